"""The knowledge base: approved answers, where they come from, and which of them fit a question."""
