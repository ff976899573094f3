"""`tresse docs DIR`: the reference, written from the code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli import reference
from hub.cli.ground import say


def docs(
    directory: Annotated[Path, typer.Argument(help="Where to write; docs/reference of the project.", file_okay=False)],
) -> None:
    """Write the reference (settings, commands, plugins, hooks) from the code."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in reference.pages().items():
        (directory / name).write_text(text, "utf-8")
        say(str(directory / name))


def add_to(app: typer.Typer) -> None:
    app.command(hidden=True)(docs)
