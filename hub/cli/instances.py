"""`tresse instances`, `tresse pause`, `tresse resume`."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli.ground import DEFAULT, AsJson, ConfigPath, local, now, reading, say, show_json, show_table
from hub.config import Config, did_you_mean
from hub.sdk import ConfigError
from hub.store.overview import health_rows, waiting_for

Name = Annotated[str, typer.Argument(metavar="INSTANCE", help="The name of its section, such as support.")]


def instances(config: ConfigPath = DEFAULT, json_output: AsJson = False) -> None:
    """List every configured instance: how it is, since when, what waits for it."""
    with reading(config) as (loaded, store), store.read(snapshot=True) as connection:
        health, waiting = health_rows(connection), waiting_for(connection)
    rows = []
    for section in loaded.sections:
        row = health.get(section.id)
        state = "off" if not section.options.enabled else "paused" if row and row.paused_at else None
        rows.append(
            {
                "id": section.id,
                "kind": section.kind,
                "use": section.use,
                "state": state or (row.health if row else "green"),
                "since": (row.paused_at or row.since) if row else None,
                "retry_at": row.retry_at if row else None,
                "waiting": waiting.get(section.id, 0),
                "reason": row.reason if row else "",
            }
        )
    if json_output:
        show_json({"instances": rows})
        return
    cells = [
        (r["id"], f"{r['kind']}: {r['use']}", r["state"], local(r["since"], loaded), r["waiting"], r["reason"])  # type: ignore[arg-type]
        for r in rows
    ]
    show_table(("id", "what", "state", "since", "waiting", "why"), cells, "Nothing is configured yet.")


def pause(name: Name, config: ConfigPath = DEFAULT) -> None:
    """Fetch nothing from an instance and send nothing to it, until `tresse resume`. What others push is kept."""
    moved = _decide(name, config, on=True)
    say(f"{name} is paused." if moved else f"{name} was paused already.")


def resume(name: Name, config: ConfigPath = DEFAULT) -> None:
    """Let a paused instance go on: what waited goes out, in order."""
    moved = _decide(name, config, on=False)
    say(f"{name} goes on." if moved else f"{name} was not paused.")


def _decide(name: str, path: ConfigPath, *, on: bool) -> bool:
    from hub.pipeline.replay import pause as decide

    with reading(path) as (loaded, store):
        _known(name, loaded)
        return decide(store, now(), name, "tresse pause", on=on)


def _known(name: str, config: Config) -> None:
    names = [section.id for section in config.sections]
    if name not in names:
        raise ConfigError(f"there is no instance called {name}; {did_you_mean(name, names) or ', '.join(names)}")


def add_to(app: typer.Typer) -> None:
    app.command()(instances)
    app.command()(pause)
    app.command()(resume)
