"""`tresse answers ...`: the approved answers in the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.ground import DEFAULT, AsJson, ConfigPath, now, reading, say, show_json, show_table, writing
from hub.store.reading_answers import AnswerRow
from hub.store.reading_answers import answers as listed

group = typer.Typer(help="The approved answers.", no_args_is_help=True)

Language = Annotated[str, typer.Option(help="Only wordings in this language (fr, en, ...).")]
Limit = Annotated[int, typer.Option(min=1, max=200, help="How many.")]


@group.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV, TOML or JSON with your answers.", dir_okay=False)],
    config: ConfigPath = DEFAULT,
    json_output: AsJson = False,
) -> None:
    """Import a file of answers: all of it or, where something is wrong, nothing."""
    from hub.knowledge.answers import import_answers

    with writing(config) as (_, store):
        imported = import_answers(store, file, now())
    if json_output:
        show_json(imported)
    elif imported.already:
        say("This very file was imported before; nothing was done.")
    else:
        say(f"{imported.count} wordings imported.")
        for why in imported.skipped:
            say(f"  skipped: {why}", "yellow")


@group.command("list")
def list_answers(
    language: Language = "",
    limit: Limit = 50,
    before: Annotated[int | None, typer.Option(help="The id the last page ended with.")] = None,
    config: ConfigPath = DEFAULT,
    json_output: AsJson = False,
) -> None:
    """List the answers, newest first."""
    with reading(config) as (_, store), store.read() as connection:
        rows, more = listed(connection, language=language, before=before, limit=limit)
    _show(rows, more, as_json=json_output, empty='No answers yet: "tresse answers import FILE" brings yours.')


@group.command()
def search(
    words: Annotated[list[str], typer.Argument(help="Words that an answer must hold.")],
    language: Language = "",
    limit: Limit = 20,
    config: ConfigPath = DEFAULT,
    json_output: AsJson = False,
) -> None:
    """Find answers by their words."""
    with reading(config) as (_, store), store.read() as connection:
        rows, more = listed(connection, search=" ".join(words), language=language, limit=limit)
    _show(rows, more, as_json=json_output, empty="No answer holds all these words; try fewer.")


def _show(rows: list[AnswerRow], more: int | None, *, as_json: bool, empty: str) -> None:
    if as_json:
        show_json({"answers": rows, "next": more})
        return
    cells = [
        (r.id, r.ref, r.title, " ".join(v.language for v in r.variants), r.state, f"{r.used} of {r.proposed}")
        for r in rows
    ]
    show_table(("id", "ref", "title", "languages", "state", "used"), cells, empty)
    if more:
        say(f"More: --before {more}", "dim")


def add_to(app: typer.Typer) -> None:
    app.add_typer(group, name="answers")
