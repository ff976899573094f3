"""The command line put together, and the one place where an error becomes a sentence."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import Annotated

import typer

from hub.cli import (
    alerts,
    answers,
    backup,
    checking,
    documents,
    instances,
    people,
    plugins,
    running,
    timeline,
    work,
)
from hub.cli.ground import PROBLEMS, fail
from hub.sdk import PROJECT, TresseError

FIRST_STEPS = """\
Three things to do first:

  tresse demo                          look at it, with an invented shop
  tresse check --config my/hub.toml    check your own configuration (--live asks every system)
  tresse run --config my/hub.toml      start the hub
"""

app = typer.Typer(
    name=PROJECT,
    help="Braids every channel your customers write on into one timeline, beside the tools you have.",
    epilog="Exit codes: 0 all is well, 1 something is wrong (and was said), 2 the command line was not understood.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tresse {metadata.version(PROJECT)}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Without a command: help, and what to do first."""
    context.obj = {"debug": debug}
    if context.invoked_subcommand is None:
        typer.echo(context.get_help() + "\n")
        typer.echo(FIRST_STEPS)


for group in (running, checking, plugins, timeline, answers, instances, work, alerts, people, backup, documents):
    group.add_to(app)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end with its exit code. Errors of ours are sentences; `--debug` shows where they rose."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        app(given, prog_name=PROJECT)
    except TresseError as error:
        if "--debug" in given:
            raise
        sys.exit(fail(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `tresse timeline ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PROBLEMS)
