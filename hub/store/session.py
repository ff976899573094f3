"""Opening the database: pragmas, transactions, one writer.

SQLite has one writer; a transaction that begins as a reader and then writes may be refused
with SQLITE_BUSY however long it waits. So writing transactions say BEGIN IMMEDIATE, and
threads of one process queue on a lock instead of polling for the file's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from hub.sdk.errors import ConfigError


class Store:
    """The database. `read()` and `write()` are the only ways in; both give a Connection."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self._lock = threading.RLock() if self.sqlite else None
        self._engine = self._open("NORMAL")
        # On PostgreSQL every commit is durable; on SQLite a second pool waits for the disk.
        self._durable = self._open("FULL") if self.sqlite else self._engine

    def _open(self, synchronous: str) -> Engine:
        if not self.sqlite:
            return sa.create_engine(self.url, pool_pre_ping=True, hide_parameters=True)
        if self.url.database in (None, "", ":memory:"):
            raise ConfigError("database.url: the hub needs a file, not a database in memory")
        _make_private(Path(str(self.url.database)))
        # An error's text would quote the values of the statement: customers' words, in a log.
        engine = sa.create_engine(
            self.url, connect_args={"timeout": 30, "check_same_thread": False}, hide_parameters=True
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
            connection.exec_driver_sql(f"BEGIN {kind}")

        return engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A snapshot to read from."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """A short transaction. `durable` waits for the disk: intake, and marks before a call outside.

        Never call the network in here. Rolls back when the block raises.
        """
        engine = self._durable if durable else self._engine
        if self._lock is None:
            with engine.begin() as connection:
                yield connection
            return
        with self._lock, engine.connect() as plain:
            connection = plain.execution_options(begin="IMMEDIATE")
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close every connection. Safe to call twice."""
        self._engine.dispose()
        self._durable.dispose()


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
