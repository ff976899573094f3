"""The command `tresse`: one file per group of commands, each a thin shell around what the hub can do."""

from hub.cli.main import app, main

__all__ = ["app", "main"]
