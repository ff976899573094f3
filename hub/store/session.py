"""Opening the database: pragmas, transactions, one writer.

SQLite has one writer; a transaction that begins as a reader and then writes may be refused
with SQLITE_BUSY however long it waits. So writing transactions say BEGIN IMMEDIATE, and
threads of one process queue on a lock instead of polling for the file's.

PostgreSQL has many. What must be decided by one at a time says so with `alone`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from hub.sdk.errors import ConfigError
from hub.store.postgresql import postgresql

if TYPE_CHECKING:
    from hub.store.lanes import Lane

ILL = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)
"""What is raised when the database itself is ill (gone, full, busy, out of connections, tired of waiting for us):
nobody's item is to blame."""


class Store:
    """The database. `read()` and `write()` are the only ways in; both give a Connection.

    `waker` is set by an engine of several processes, before anything is written: it is told of open lanes in the
    transaction that writes the work (what is pushed in great numbers: hub/pipeline/waking.py).
    """

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.waker: Callable[[Connection, Sequence[Lane]], None] | None = None
        self._lock = threading.RLock() if self.sqlite else None
        self._engine = self._open("NORMAL")
        # On PostgreSQL every commit is durable; on SQLite a second pool waits for the disk.
        self._durable = self._open("FULL") if self.sqlite else self._engine
        # On PostgreSQL a statement is a snapshot of itself, and costs one round trip instead of three.
        self._at_once = self._engine.execution_options(**({} if self.sqlite else {"isolation_level": "AUTOCOMMIT"}))
        whole = {} if self.sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._snapshot = self._engine.execution_options(**whole)

    def _open(self, synchronous: str) -> Engine:
        if not self.sqlite:
            return postgresql(self.url)
        if self.url.database in (None, "", ":memory:"):
            raise ConfigError("database.url: the hub needs a file, not a database in memory")
        _make_private(Path(str(self.url.database)))
        # An error's text would quote the values of the statement: customers' words, in a log.
        engine = sa.create_engine(
            self.url,
            connect_args={"timeout": 30, "check_same_thread": False},
            hide_parameters=True,
            pool_reset_on_return=None,  # `read` and `write` end what they begin
        )

        @sa.event.listens_for(engine, "connect")
        def _pragmas(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves, below
            for pragma in (
                "journal_mode=WAL",
                f"synchronous={synchronous}",
                "foreign_keys=ON",
                "cache_size=-32768",
                "temp_store=MEMORY",
                "mmap_size=268435456",
            ):
                connection.execute(f"PRAGMA {pragma}")

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            kind = connection.get_execution_options().get("begin", "")
            driver = connection.connection.driver_connection
            assert driver is not None
            try:
                driver.execute(f"BEGIN {kind}")  # below Core: each transaction pays for this
            except sqlite3.OperationalError as error:
                raise sa.exc.OperationalError("BEGIN", None, error) from error

        return engine

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """To read from; with `snapshot` all that is read belongs to one moment (on SQLite it always does)."""
        engine = self._snapshot if snapshot else self._at_once
        with engine.connect() as connection, connection.begin():
            yield connection

    def wake(self, connection: Connection, lanes: Sequence[Lane]) -> None:
        """Tell whoever drains `lanes` that there is work; last in the transaction that writes it."""
        if self.waker is not None and lanes:
            self.waker(connection, lanes)

    @contextmanager
    def write(self, *, durable: bool = False, single: bool = False) -> Iterator[Connection]:
        """A short transaction. `durable` waits for the disk: intake, and marks before a call outside.

        Never call the network in here. Rolls back when the block raises. A `single` statement that is all of it
        commits itself on PostgreSQL, which saves two round trips; whoever makes two of it breaks the promise.
        """
        engine = self._durable if durable else self._engine
        if self._lock is None:
            with (self._at_once if single else engine).begin() as connection:
                yield connection
            return
        with self._lock, engine.connect() as plain:
            connection = plain.execution_options(begin="IMMEDIATE")
            with connection.begin():
                yield connection

    def session(self) -> Connection:
        """A connection of one's own, to hold and to close; for what belongs to a session (an advisory lock)."""
        return self._engine.connect()

    def close(self) -> None:
        """Close every connection. Safe to call twice."""
        self._engine.dispose()
        self._durable.dispose()


def alone(connection: Connection, *what: object) -> None:
    """Until this transaction ends, nobody else is inside `alone` with the same words.

    SQLite has one writer anyway. On PostgreSQL an advisory lock, which also holds behind pgbouncer.
    """
    if connection.dialect.name == "postgresql":
        number = zlib.crc32("/".join(str(w) for w in what).encode())
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(0x7E55E, number - 2**31)))


def _make_private(file: Path) -> None:
    """Customers' mail lies in there: for the hub's own user alone. SQLite gives its side files the same mode."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not file.exists():
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))


def upsert(store_or_connection: Connection, table: sa.Table) -> Any:
    """`INSERT` with `on_conflict_*` for the database at hand (PostgreSQL and SQLite share the syntax)."""
    if store_or_connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as pg_insert

        return pg_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(table)


def next_ids(connection: Connection, table: sa.Table, count: int) -> list[int]:
    """`count` fresh ids for rows of `table`, to insert them in one statement and still know them.

    Inserting with RETURNING in the order of the rows makes SQLAlchemy send SQLite one statement
    a row. Must be called in the transaction that inserts: on SQLite it holds the only writer,
    on PostgreSQL the ids come from the table's own sequence.
    """
    if count == 0:
        return []
    if connection.dialect.name == "postgresql":
        sequence = sa.func.pg_get_serial_sequence(table.name, "id")
        series = sa.func.generate_series(1, count).table_valued("n")
        return [int(i) for i in connection.scalars(sa.select(sa.func.nextval(sequence)).select_from(series))]
    last = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
    return list(range(last + 1, last + 1 + count))
