"""`tresse run`, `tresse worker`, `tresse web`, `tresse migrate`, `tresse demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.ground import DEFAULT, AsJson, ConfigPath, say
from hub.config import load
from hub.sdk import Duration, Settings


class _Time(Settings):
    value: Duration


def seconds(text: str) -> float:
    """``30s`` as seconds. Raises BadParameter, which ends with the usage."""
    try:
        return _Time.model_validate({"value": text}).value
    except ValueError:
        raise typer.BadParameter('write a time as "30s", "5m" or "1h"') from None


def run(config: ConfigPath = DEFAULT) -> None:
    """Start the hub and stay until Ctrl-C or SIGTERM."""
    from hub.daemon import run as daemon

    daemon(load(config))


def worker(config: ConfigPath = DEFAULT) -> None:
    """Start the engine without the pages: any number of them where [engine] is distributed. Ends on Ctrl-C, SIGTERM."""
    from hub.daemon import run as daemon

    daemon(load(config), pages=False)


def web(
    config: ConfigPath = DEFAULT,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer.")] = 1,
) -> None:
    """Serve the pages, the API and what others push, without an engine: beside one or more workers."""
    from hub.daemon import serve

    serve(load(config), workers)


def migrate(config: ConfigPath = DEFAULT) -> None:
    """Make the database, or bring it to this version's schema (`tresse run` does it by itself)."""
    from hub.app import open_store

    loaded = load(config)
    open_store(loaded).close()
    say("The database is up to date.")


def demo(
    duration: Annotated[
        str, typer.Option("--for", metavar="TIME", help="Stop by itself after 30s, 5m, ... and print a JSON summary.")
    ] = "",
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Listen here; a free port unless named.")] = None,
    directory: Annotated[
        Path | None, typer.Option(help="Keep everything here; a second start goes on with it.", file_okay=False)
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Look at the hub with an invented shop. Sends no mail anywhere."""
    from hub.demo import run_demo

    run_demo(seconds(duration) if duration else None, port, directory, json_output=json_output)


def add_to(app: typer.Typer) -> None:
    app.command()(demo)
    app.command()(run)
    app.command()(worker)
    app.command()(web)
    app.command()(migrate)
