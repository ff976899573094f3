"""One embedded engine per database: a second process is refused with a sentence."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import sqlalchemy as sa

from hub.config import Config
from hub.sdk import ConfigError
from hub.store import Store


class Lock(Protocol):
    """Held from the start of an engine to its end; gone with the process that held it."""

    def take(self) -> None: ...
    def release(self) -> None: ...


class EngineLock:
    """An advisory lock on a file beside the database; the kernel lets go of it when the process dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    @classmethod
    def beside(cls, database: Path) -> EngineLock:
        """Of an SQLite file, wherever the data lies: it is the database that bears one engine only."""
        return cls(Path(f"{database}.lock").absolute())

    def take(self) -> None:
        """Take the lock. Raises ConfigError when another process holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise ConfigError(
                f"another hub (process {holder}) already works on this database: stop it first, "
                f"or give this one its own [hub] data directory"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let go. Safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None


class DatabaseLock:
    """An advisory lock of a PostgreSQL session: workers share it, an embedded engine has it alone."""

    def __init__(self, store: Store, *, shared: bool) -> None:
        self._store, self._shared = store, shared
        self._connection: sa.Connection | None = None

    def take(self) -> None:
        """Take the lock. Raises ConfigError when an engine of another kind works on this database."""
        connection = self._store.session()
        way = "_shared" if self._shared else ""
        if not connection.scalar(sa.text(f"SELECT pg_try_advisory_lock{way}(504158, 2)")):
            connection.close()
            who = "another hub works on this database, with an engine of its own: stop it first, or set "
            if not self._shared:
                who = "another hub works on this database: stop it and every worker first, or to run several set "
            raise ConfigError(f'{who}[engine] kind = "distributed" for all of them')
        connection.commit()
        self._connection = connection

    def release(self) -> None:
        """Let go. Safe to call twice."""
        if self._connection is not None:
            self._connection.invalidate()  # the lock belongs to the session: it must not return to the pool
            self._connection.close()
            self._connection = None


class NoLock:
    """For a process without an engine."""

    def take(self) -> None:
        """Nothing to take."""

    def release(self) -> None:
        """Nothing to give back."""


def lock_of(config: Config, store: Store, *, engine: bool) -> Lock:
    """The lock of this configuration's engine."""
    if not engine:
        return NoLock()
    if not store.sqlite and config.engine.kind == "distributed":
        return DatabaseLock(store, shared=True)
    return sole_lock(store)


def sole_lock(store: Store) -> Lock:
    """For who must be alone with the database: an embedded engine, or a command that changes it underneath."""
    if store.sqlite:
        return EngineLock.beside(Path(str(store.url.database)))
    return DatabaseLock(store, shared=False)


@contextmanager
def held(lock: Lock) -> Iterator[None]:
    """While the block runs. Raises ConfigError when somebody else holds it."""
    lock.take()
    try:
        yield
    finally:
        lock.release()
