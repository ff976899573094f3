"""`tresse kept`, `tresse deliveries`, `tresse replay ...`: what waits for a human, and saying "again"."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli.ground import (
    DEFAULT,
    PROBLEMS,
    AsJson,
    ConfigPath,
    complain,
    local,
    now,
    reading,
    say,
    show_json,
    show_table,
)
from hub.sdk import ConfigError
from hub.store.reading_deliveries import STATES, kept_unread
from hub.store.reading_deliveries import deliveries as owed

group = typer.Typer(help="Try again what was set aside.", no_args_is_help=True)

Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many.")]
Before = Annotated[int | None, typer.Option(help="The id the last page ended with.")]
Number = Annotated[int | None, typer.Argument(metavar="[ID]", help="One of them; see --all.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
Instance = Annotated[str, typer.Option(help="With --all: only those to this instance.")]


def kept(limit: Limit = 50, before: Before = None, config: ConfigPath = DEFAULT, json_output: AsJson = False) -> None:
    """List what is kept unread: received, safe, and not understood."""
    with reading(config) as (loaded, store), store.read() as connection:
        rows, more = kept_unread(connection, before=before, limit=limit)
    if json_output:
        show_json({"kept": rows, "next": more})
        return
    cells = [(r.id, local(r.received_at, loaded), r.instance, r.size, r.reason) for r in rows]
    show_table(("id", "received", "instance", "bytes", "why"), cells, "Everything received has been read.")
    if rows:
        say('Try again: "tresse replay raw ID" or "tresse replay raw --all"', "dim")


def deliveries(
    state: Annotated[str, typer.Option(help=f"Only these: {', '.join(STATES)}.")] = "",
    instance: Annotated[str, typer.Option(help="Only to this instance.")] = "",
    limit: Limit = 50,
    before: Before = None,
    config: ConfigPath = DEFAULT,
    json_output: AsJson = False,
) -> None:
    """List what is owed to other systems, newest first."""
    if state and state not in STATES:
        raise typer.BadParameter(f"one of {', '.join(STATES)}", param_hint="--state")
    with reading(config) as (loaded, store), store.read() as connection:
        rows, more = owed(connection, state=state, instance=instance, before=before, limit=limit)
    if json_output:
        show_json({"deliveries": rows, "next": more})
        return
    cells = [
        (r.id, local(r.created_at, loaded), r.instance, r.ability, r.case_number, r.state, r.attempts, r.reason)
        for r in rows
    ]
    heads = ("id", "since", "instance", "what", "case", "state", "tries", "why")
    show_table(heads, cells, "Nothing of the kind is owed to anybody.")
    if more:
        say(f"More: --before {more}", "dim")


@group.command("raw")
def replay_raws(
    number: Number = None, every: All = False, config: ConfigPath = DEFAULT, json_output: AsJson = False
) -> None:
    """Read something that was kept unread once more (`tresse kept` lists it)."""
    from hub.pipeline.replay import replay_raw

    _one_or_all(number, every)
    with reading(config) as (_, store):
        count = replay_raw(store, now(), number)
    _said(count, "to be read again", json_output=json_output)


@group.command("delivery")
def replay_deliveries(
    number: Number = None,
    every: All = False,
    instance: Instance = "",
    config: ConfigPath = DEFAULT,
    json_output: AsJson = False,
) -> None:
    """Try a refused or held delivery again (`tresse deliveries --state rejected` lists them)."""
    from hub.pipeline.replay import replay_delivery

    _one_or_all(number, every, instance)
    with reading(config) as (_, store):
        count = replay_delivery(store, now(), number, instance=instance)
    _said(count, "to be tried again", json_output=json_output)


@group.command("unsure")
def settle(
    sent: Annotated[bool, typer.Option("--sent/--not-sent", help="It went out; or it did not, and goes out now.")],
    number: Number = None,
    every: All = False,
    instance: Instance = "",
    config: ConfigPath = DEFAULT,
    json_output: AsJson = False,
) -> None:
    """Decide an unsure delivery, or all of them, after looking at the far side: did it go out?"""
    from hub.pipeline.replay import settle_unsure

    _one_or_all(number, every, instance)
    with reading(config) as (_, store):
        count = settle_unsure(store, now(), number, sent=sent, instance=instance)
    if number is not None and not count:
        raise ConfigError(f'delivery {number} is not unsure: "tresse deliveries --state unsure" lists those that are')
    if number is not None and not json_output:
        say("Noted: it went out." if sent else "It goes out now.")
    elif sent and count and not json_output:
        say(f"{count} noted: they went out.")
    else:
        _said(count, "to go out now", json_output=json_output)


def _one_or_all(number: int | None, every: bool, instance: str = "") -> None:
    if (number is None) != every:
        raise typer.BadParameter("name one ID, or say --all")
    if instance and not every:
        raise typer.BadParameter("--instance goes with --all")


def _said(count: int, what: str, *, json_output: bool) -> None:
    if json_output:
        show_json({"count": count})
    elif count:
        say(f"{count} {what}; a running hub begins within a second.")
    else:
        complain("There was nothing to replay.")
    if not count:
        raise typer.Exit(PROBLEMS)


def add_to(app: typer.Typer) -> None:
    app.command()(kept)
    app.command()(deliveries)
    app.add_typer(group, name="replay")
