"""Pure decisions: no I/O, no clock, no randomness. Each file answers one question about a message."""
