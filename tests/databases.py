"""Which database a test of the store and the pipeline runs on: each such test runs on both.

A test asks for `database_url(folder)` where it would write an SQLite address itself. Modules named in
`tests/unit/conftest.py` are run once for each database; on PostgreSQL every folder has a fresh one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from hub.store import Store
from hub.store.migrate import migrate


class _Now:
    """What the test that runs now uses."""

    new: Callable[[], str] | None = None
    lanes = False
    made: dict[str, str]


_Now.made = {}


def database_url(folder: Path, name: str = "tresse.db") -> str:
    """A database of the test's own; the same folder and name give the same one within a test."""
    if _Now.new is None:
        return f"sqlite:///{folder / name}"
    key = str(folder / name)
    if key not in _Now.made:
        _Now.made[key] = _Now.new()
    return _Now.made[key]


def on_postgresql(new: Callable[[], str] | None, *, lanes: bool = False) -> None:
    """Let what follows use databases that `new` makes, with `lanes` if wanted; None: SQLite again."""
    _Now.new, _Now.lanes, _Now.made = new, lanes, {}


def is_sqlite() -> bool:
    """Whether the test that runs now uses SQLite."""
    return _Now.new is None


def with_lanes() -> bool:
    """Whether its hub finds its work through lanes."""
    return _Now.lanes


@cache
def _ready() -> bytes:
    """A file with the hub's tables, migrated once a process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tresse.db"
        store = Store(f"sqlite:///{file}")
        migrate(store)
        store.close()
        return file.read_bytes()


def make_ready(file: Path) -> None:
    """Put the hub's tables where an SQLite file is to be, as `new_hub_database` has them; one that is there stays."""
    if is_sqlite() and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_ready())


def settings(folder: Path) -> str:
    """The `[database]` table for a configuration in `folder`; nothing for SQLite."""
    return "" if is_sqlite() else f'\n[database]\nurl = "{database_url(folder)}"\n'
