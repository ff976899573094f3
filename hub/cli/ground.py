"""What the commands share: options, the database, and how something is said to people and to scripts."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hub.clock import SystemClock
from hub.config import Config, ConfigErrors, Problem, load
from hub.sdk import ConfigError
from hub.store import ILL, Store

OK, PROBLEMS, USAGE = 0, 1, 2
"""Exit codes: all is well; something is wrong, and was said; the command line was not understood."""

MISSING = ("42P01", "42703")
"""A table or a column that is not there, in PostgreSQL's words: this database is of another version, or empty. SQLite
calls it an OperationalError."""

DEFAULT = Path("config/hub.toml")

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", envvar="TRESSE_CONFIG", help="The configuration.", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts: JSON on standard output.")]

# A pipe has no width: nothing is folded and nothing is cut there.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 10_000)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def now() -> datetime:
    """The time, for the rows a command writes."""
    return SystemClock().now()


@contextmanager
def reading(path: Path) -> Iterator[tuple[Config, Store]]:
    """The configuration and its database, beside a running daemon. Raises ConfigError where there is none yet."""
    from hub.app import connect

    config = load(path)
    url = sa.make_url(config.database_url)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        raise ConfigError(f'there is no database yet in {config.hub.data}: "tresse run" makes it')
    store = connect(config)
    try:
        yield config, store
    except (*ILL, sa.exc.ProgrammingError) as error:
        cause = getattr(error, "orig", error)
        if not isinstance(error, ILL) and getattr(cause, "sqlstate", None) not in MISSING:
            raise
        text = f"the database does not answer as it should ({str(cause).partition(chr(10))[0]})"
        raise ConfigError(f'{text}: "tresse migrate" brings it to this version') from error
    finally:
        store.close()


@contextmanager
def writing(path: Path) -> Iterator[tuple[Config, Store]]:
    """The same for commands that may come before the first start: the database is made, or brought up to date."""
    from hub.app import open_store

    config = load(path)
    store = open_store(config)
    try:
        yield config, store
    finally:
        store.close()


def say(text: str, style: str = "") -> None:
    """One line for people."""
    out.print(Text(clean(text), style=style))


def complain(text: str) -> None:
    """One line about something that is wrong, on standard error."""
    err.print(Text(clean(text), style="red"))


def show_json(value: Any) -> None:
    """A value for scripts."""
    from hub.store.timeline import as_json

    sys.stdout.write(json.dumps(as_json(value), ensure_ascii=False, indent=2) + "\n")


def show_table(heads: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Rows for people; `empty` says what to do when there are none."""
    listed = [[Text(clean(str("" if cell is None else cell))) for cell in row] for row in rows]
    if not listed:
        say(empty, "dim")
        return
    table = Table(*heads, box=None, pad_edge=False, header_style="bold", show_edge=False)
    for row in listed:
        table.add_row(*row)
    out.print(table)


def show_problems(problems: Iterable[Problem]) -> None:
    """Problems on standard error, one a line."""
    for problem in problems:
        complain(str(problem))


def fail(error: Exception) -> int:
    """Tell an error of ours as sentences; the exit code."""
    show_problems(error.problems) if isinstance(error, ConfigErrors) else complain(str(error))
    return PROBLEMS


def clean(text: str) -> str:
    """Without control characters: what a customer wrote must not steer somebody's terminal (ECMA-48, ESC)."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c)[0] != "C" or c == "\u200d")


def local(at: datetime | None, config: Config) -> str:
    """A time in the company's zone, to the minute."""
    from zoneinfo import ZoneInfo

    return at.astimezone(ZoneInfo(config.hub.timezone)).strftime("%Y-%m-%d %H:%M") if at else ""
