"""One embedded engine per database: a second process is refused with a sentence."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import sqlalchemy as sa

from hub.config import Config
from hub.log import logger
from hub.sdk import ConfigError
from hub.store import Store

WATCH = 2.0
"""Seconds between two looks whether a session, and with it the lock, is still there."""
REFUSED = 5
"""Looks at which somebody else had it before this engine ends: our own session may be on its way out."""
_END = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = :pid AND backend_start = :backend_start"
)


class Lock(Protocol):
    """Held from the start of an engine to its end; gone with the process that held it."""

    def take(self) -> None: ...
    def watch(self, stop: threading.Event, lost: Callable[[], None]) -> None:
        """From now on see to it that it is held, until `stop`; `lost` is called once somebody else has it."""
        ...

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

    def watch(self, stop: threading.Event, lost: Callable[[], None]) -> None:
        """The kernel holds it as long as this process lives."""

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
        self._session: dict[str, Any] = {}
        """By which the server knows it."""
        self._lock = threading.Lock()
        self._released = False

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
        own = sa.text("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        self._session = dict(connection.execute(own).mappings().one())
        connection.commit()
        self._connection = connection

    def watch(self, stop: threading.Event, lost: Callable[[], None]) -> None:
        """The session ends with the database, or with its connection: then the lock is taken anew."""

        def watching() -> None:
            refused = 0
            while not stop.wait(WATCH):
                try:
                    self._keep()
                    refused = 0
                except ConfigError as error:
                    refused += 1
                    if refused > REFUSED:
                        logger().error("this engine ends", reason=str(error))
                        lost()
                        return
                except sa.exc.SQLAlchemyError:
                    continue  # away; whoever works tells of it

        threading.Thread(target=watching, name="lock", daemon=True).start()

    def _keep(self) -> None:
        """Take it anew where its session has ended. Raises ConfigError when somebody else was quicker."""
        with self._lock:
            if self._released:
                return
            if self._connection is not None:
                try:
                    self._connection.execute(sa.text("SELECT 1"))
                    self._connection.commit()
                    return
                except sa.exc.SQLAlchemyError:
                    self._let_go()
            with self._store.session() as connection:  # where only the connection was cut, the server may not know yet
                connection.execute(_END, self._session)
                connection.commit()
            self.take()
            logger().info("the database has this engine's lock again")

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()  # the lock belongs to the session: it must not return to the pool
            self._connection.close()
            self._connection = None

    def release(self) -> None:
        """Let go. Safe to call twice."""
        with self._lock:
            self._released = True
            self._let_go()


class NoLock:
    """For a process without an engine."""

    def take(self) -> None:
        """Nothing to take."""

    def watch(self, stop: threading.Event, lost: Callable[[], None]) -> None:
        """Nothing to hold."""

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
