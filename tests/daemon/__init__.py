"""The real daemon, in a process of its own, with what it lives on taken away."""
