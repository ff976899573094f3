"""Bytes to a mail's fields, and back: pure functions, no I/O.

`read.read_mail` and `read.attachment` read, `compose.compose` writes; the other files are one
concern each (docs/architecture.md).
"""
