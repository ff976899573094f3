"""`tresse alerts`: what needs a person now, and whether telling somebody works."""

from __future__ import annotations

import time
from typing import Annotated, Any

import sqlalchemy as sa
import typer

from hub.cli.ground import DEFAULT, PROBLEMS, AsJson, ConfigPath, complain, local, now, reading, say, show_json
from hub.cli.ground import show_table as table
from hub.sdk import ConfigError
from hub.store import Store, telling
from hub.store.alerts import close_alert, raise_alert
from hub.store.health import alert
from hub.store.overview import open_alerts

group = typer.Typer(help="What needs a person now.", invoke_without_command=True)

TEST = "test"


@group.callback()
def list_alerts(context: typer.Context, config: ConfigPath = DEFAULT, json_output: AsJson = False) -> None:
    """List the open alerts, newest first."""
    if context.invoked_subcommand:
        return
    with reading(config) as (loaded, store), store.read() as connection:
        rows = open_alerts(connection)
    if json_output:
        show_json({"alerts": rows})
        return
    cells = [(r.id, local(r.opened_at, loaded), r.instance, r.text) for r in rows]
    table(("id", "since", "instance", "what"), cells, "Nothing needs a person.")


@group.command("test")
def tell_test(
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait for the running hub.")] = 30.0,
    config: ConfigPath = DEFAULT,
    json_output: AsJson = False,
) -> None:
    """Send a test alert the way real ones go: the running hub tells it, by every way in [alerts]."""
    with reading(config) as (loaded, store):
        settings = loaded.alerts
        if not settings.targets:
            raise ConfigError("nobody is told of alerts: set webhook or mail in [alerts]")
        number = _raise(store, settings.after)
        try:
            rows = _outcome(store, number, len(settings.targets), wait)
        finally:
            with store.write() as connection:
                close_alert(connection, TEST, now())
    told = [r.target for r in rows if r.state in ("done", "over")]
    failed = {r.target: r.reason or "no running hub took it up" for r in rows if r.target not in told}
    failed |= {t: "no running hub took it up" for t in settings.targets if t not in told and t not in failed}
    if json_output:
        show_json({"told": told, "failed": failed})
    for target in [] if json_output else told:
        say(f"{target}: told; its end follows within a second.", "green")
    for target, reason in {} if json_output else failed.items():
        complain(f"{target}: {reason}")
    if failed:
        raise typer.Exit(PROBLEMS)


def _raise(store: Store, after: float) -> int:
    """Open the test's alert, as long ago as [alerts] after asks for."""
    from datetime import timedelta

    with store.write() as connection:
        close_alert(connection, TEST, now())
        raise_alert(connection, TEST, "This is a test; nothing is wrong.", now() - timedelta(seconds=after))
        return int(connection.scalar(sa.select(sa.func.max(alert.c.id)).where(alert.c.key == TEST)) or 0)


def _outcome(store: Store, number: int, expected: int, wait: float) -> list[Any]:
    """The rows of the telling, once each way was tried or the time is over."""
    end = time.monotonic() + wait
    while True:
        with store.read() as connection:
            rows = list(telling.of_alert(connection, number))
        tried = [r for r in rows if r.state != "waiting" or r.reason]
        if len(tried) >= expected or time.monotonic() > end:
            return rows
        time.sleep(0.2)


def add_to(app: typer.Typer) -> None:
    app.add_typer(group, name="alerts")
