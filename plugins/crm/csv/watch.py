"""One file kept in memory: looked at from time to time, read again when it changed, swapped at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from hub.sdk import Log

from .table import Table, Unreadable, read_table

BookT = TypeVar("BookT")

Signature = tuple[int, int]
"""Modification time in ns and size in bytes."""


class Watched(Generic[BookT]):
    """What `make` built from the last good state of a file."""

    def __init__(
        self,
        path: Path,
        make: Callable[[Table], BookT],
        *,
        separator: str,
        look_every: float,
        quiet: float,
        now: Callable[[], datetime],
        log: Log,
    ) -> None:
        self.path, self._make, self._separator = path, make, separator
        self._look_every, self._quiet, self._now, self._log = look_every, quiet, now, log
        self._lock = threading.Lock()
        self._book: BookT | None = None
        self._tried: Signature | None = None  # the state of the file that was last read, well or not
        self._seen: Signature | None = None  # the state at the last look
        self._looked: float | None = None

    def read(self) -> tuple[Table, BookT]:
        """Read the file now, whatever is in memory. Raises Unreadable."""
        table = read_table(self.path, self._separator)
        return table, self._make(table)

    def book(self) -> BookT:
        """The content, at most `look_every` seconds behind. Raises Unreadable while there was never a good one.

        While one thread reads a changed file, the others go on with the last good content.
        """
        book = self._book
        if book is None:
            with self._lock:
                return self._book or self._first()
        if self._is_time() and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._book or book

    def _is_time(self) -> bool:
        return self._looked is None or abs(self._now().timestamp() - self._looked) >= self._look_every

    def _first(self) -> BookT:
        signature = self._signature()
        _, self._book = self.read()
        self._tried = self._seen = signature
        self._looked = self._now().timestamp()
        return self._book

    def _signature(self) -> Signature | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    def _look(self) -> None:
        before, self._seen = self._seen, self._signature()
        self._looked = self._now().timestamp()
        if self._seen == self._tried or not (self._seen == before or self._is_quiet()):
            return
        self._tried = self._seen
        try:
            _, self._book = self.read()
        except Unreadable as error:
            self._log.warning("file not taken over; the last good content stays", file=self.path.name, why=str(error))
        else:
            self._log.info("file read again", file=self.path.name)

    def _is_quiet(self) -> bool:
        """Whether the file was left alone for a while; one that just changed may still grow."""
        return self._seen is None or self._now().timestamp() - self._seen[0] / 1e9 >= self._quiet
