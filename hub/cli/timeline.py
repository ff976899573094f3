"""`tresse timeline KEY`: the braid, newest first."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from hub.cli.ground import DEFAULT, PROBLEMS, AsJson, ConfigPath, clean, complain, local, out, reading, say, show_json
from hub.config import Config
from hub.sdk import ConfigError
from hub.store import timeline as braid
from hub.store.timeline import Entry, Subject

_SHOWN = 400
"""Characters of a message on the screen; --json has all of it."""

_MARKS = {"in": "<-", "out": "->"}


def timeline(
    key: Annotated[str, typer.Argument(help="An e-mail, phone, handle, order number, case number, or a name.")],
    limit: Annotated[int, typer.Option(min=1, max=braid.MOST, help="Entries on a page.")] = 20,
    before: Annotated[str, typer.Option(help="The cursor the last page ended with.")] = "",
    config: ConfigPath = DEFAULT,
    json_output: AsJson = False,
) -> None:
    """Everything one customer, order or case has said and done, newest first."""
    with reading(config) as (loaded, store), store.read() as connection:
        subject = braid.find(connection, key, loaded.hub.country)
        if subject is None:
            complain(f'Nobody and nothing is known by "{key}". Try an address, an order number or a case number.')
            raise typer.Exit(PROBLEMS)
        try:
            page = braid.page(connection, subject, before or None, limit)
        except ValueError as error:
            raise ConfigError(f"--before: {error}") from error
    if json_output:
        show_json({"subject": subject, "entries": page.entries, "next": page.next})
        return
    if subject.candidates:
        _candidates(subject)
        return
    say(subject.title or subject.key, "bold")
    for entry in page.entries:
        _show(entry, loaded)
    if page.next:
        say(f"\nMore: tresse timeline {key} --before {page.next}", "dim")


def _candidates(subject: Subject) -> None:
    say(f"Customers called {subject.title or subject.key}; ask for one of them:", "bold")
    for one in subject.candidates:
        say(f"  tresse timeline {one.key}   {one.name} ({', '.join(one.identities)})")


def _show(entry: Entry, config: Config) -> None:
    who = entry.agent or entry.sender_name or entry.sender or entry.identity
    machine = "automatic" if entry.automatic else ""  # an absence note reads like a person's words
    proof = entry.proof if entry.proof != "verified" else ""
    marks = [m for m in (entry.case_number, machine, proof, entry.state) if m and m != "ok"]
    head = f"{local(entry.at, config)}  {_MARKS.get(entry.direction, '--')} {entry.instance}  {who}"
    out.print(
        Text.assemble("\n", (clean(head), "cyan" if entry.direction == "in" else "green"), f"  {' · '.join(marks)}")
    )
    if entry.kind == "event":
        say(f"  {entry.event}: {entry.title or _facts(entry)}")
        return
    orders = ", ".join(f"{o.number} ({o.proof})" for o in entry.orders)
    for line in filter(None, (entry.subject, f"[{orders}]" if orders else "")):
        say(f"  {line}", "bold")
    text = (entry.reply or entry.text).strip()
    shown = text[:_SHOWN] + (" ..." if len(text) > _SHOWN else "")
    for line in shown.splitlines():
        say(f"  {line}")
    for file in entry.attachments:
        say(f"  + {file.name} ({file.size} bytes)", "dim")
    for proposed in entry.suggestions:
        became = f", {proposed.outcome}" if proposed.outcome else ""
        say(f"  {proposed.rank}. {proposed.title} ({proposed.band} {proposed.score:.2f}{became})", "magenta")


def _facts(entry: Entry) -> str:
    known = {k: v for k, v in entry.data.items() if isinstance(v, str | int | float) and v != ""}
    return ", ".join(f"{k} {v}" for k, v in known.items())


def add_to(app: typer.Typer) -> None:
    app.command()(timeline)
