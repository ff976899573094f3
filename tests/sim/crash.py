"""Where a process may die, and a store that dies there.

A death is an exception nobody swallows, so what it leaves behind is what the death of a process
leaves: SQLite rolls back what was not committed, the operating system keeps what was. That is
`kill -9`, not a power cut; therefore these databases need not wait for the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from hub.store import Store


class Crash(KeyboardInterrupt):
    """The process died. The hub lets a KeyboardInterrupt pass everywhere, and so nothing survives it."""


class Points:
    """Counts the places where a process may die, and dies at the chosen one."""

    def __init__(self) -> None:
        self.passed = 0
        self.deaths = 0
        self.at: int | None = None
        self.dead = False
        self.where = ""
        self.disk: Callable[[], bool] = lambda: False
        """Whether the next commit fails (a full disk, a locked file)."""
        self.told: Callable[[str], None] = lambda _what: None

    def here(self, where: str) -> None:
        """The process may die here; a dead one does nothing more."""
        if self.dead:
            raise Crash(self.where)
        self.passed += 1
        if self.at is not None and self.passed >= self.at:
            self.at, self.dead, self.where = None, True, where
            self.deaths += 1
            self.told(f"!! the process dies {where}")
            raise Crash(where)

    def living(self) -> None:
        """Raise where the process is dead already."""
        if self.dead:
            raise Crash(self.where)

    def revive(self) -> None:
        """A new process."""
        self.dead = False


class DyingStore(Store):
    """The hub's own store, with a place to die before and after every commit."""

    points: Points

    def _open(self, _synchronous: str) -> Engine:
        return super()._open("OFF")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        self.points.living()
        with super().read() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        self.points.living()
        with super().write(durable=durable) as connection:
            yield connection
            self.points.here("before a commit")
            if self.points.disk():
                self.points.told("-- the disk refuses a commit")
                raise sa.exc.OperationalError("COMMIT", {}, Exception("disk I/O error"))
        self.points.here("after a commit")


def dying(points: Points) -> type[Store]:
    """The store's class for one simulation."""
    made: Any = type("SimStore", (DyingStore,), {"points": points})
    return made
