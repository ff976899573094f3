"""PostgreSQL by psycopg 3, which comes with the extra ``tresse[postgres]``."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from hub.sdk.errors import ConfigError

POOL, MORE = 24, 8
"""Connections that a process keeps once it needed them, and how many more it may open when it is busy.

As many as its threads want at the same time: a busy one would close and open connections all the time. Of three
workers with eight threads for each desk (tests/campaign/test_pipeline.py) that took a quarter of the throughput.
The one that came back last goes out first: its statements are prepared, and those that nobody needs lie still.
"""
WAIT = 20
"""Seconds a thread waits for one of them."""
NOTICE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""How a host that went away without a word is noticed, in seconds and milliseconds (libpq): else it takes two hours."""

NOTICED = {
    "idle_in_transaction_session_timeout": 15_000,
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""The same for the server, and for a process that stands still in the middle of a transaction (a frozen virtual
machine): what it has locked, a mailbox's lease among it, would stay locked until it moves again, or two hours."""


def postgresql(url: sa.URL) -> Engine:
    """The engine of a PostgreSQL address. Raises ConfigError where the driver is missing."""
    # An error's text would quote the values of the statement: customers' words, in a log.
    options = {
        "pool_size": POOL,
        "max_overflow": MORE,
        "pool_timeout": WAIT,
        "pool_use_lifo": True,
        "hide_parameters": True,
    }
    try:
        engine = sa.create_engine(url, connect_args={"application_name": "tresse", **noticing(url)}, **options)
    except (ModuleNotFoundError, sa.exc.NoSuchModuleError) as error:
        raise ConfigError(
            'database.url: PostgreSQL needs the extra: pip install "tresse[postgres]", and an address that begins '
            'with "postgresql+psycopg://"'
        ) from error
    sa.event.listen(engine, "connect", _noticed)
    sa.event.listen(engine, "connect", _clean)
    return engine


def noticing(url: sa.URL) -> dict[str, int]:
    """What is asked of libpq beside the address, where that does not say otherwise."""
    return {name: value for name, value in NOTICE.items() if name not in url.query}


def notice_statement() -> bytes:
    """What a new connection says first, so that the server notices as `NOTICED` has it."""
    return "; ".join(f"SET {name} = {value}" for name, value in NOTICED.items()).encode()


def _noticed(connection: Any, _record: Any) -> None:
    connection.execute(notice_statement())
    connection.commit()


def _clean(connection: Any, _record: Any) -> None:
    """PostgreSQL's text cannot hold U+0000, and mails can: it becomes U+FFFD, the sign for "no character"."""
    from psycopg.types import string

    for plain in (string.StrDumper, string.StrDumperVarchar, string.StrDumperUnknown):
        connection.adapters.register_dumper(str, type(plain.__name__, (_Clean, plain), {}))


class _Clean:
    """In front of one of psycopg's own ways to send a string."""

    def dump(self, text: str) -> Any:
        dump = super().dump  # type: ignore[misc]
        return dump(text.replace("\0", "\ufffd") if "\0" in text else text)
