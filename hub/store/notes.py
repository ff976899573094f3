"""Small facts of the hub itself, by name (table `note`)."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.health import note
from hub.store.session import upsert

# Made once, not at every use: docs/decisions/0012-what-a-message-costs.md
_VALUE = sa.select(note.c.value).where(note.c.key == sa.bindparam("of"))


def get_note(connection: Connection, key: str) -> str | None:
    """The fact `key`, or None."""
    return connection.scalar(_VALUE, {"of": key})


def set_note(connection: Connection, key: str, value: str) -> None:
    """Write the fact `key`."""
    insert = upsert(connection, note).values(key=key, value=value)
    connection.execute(insert.on_conflict_do_update(index_elements=["key"], set_={"value": value}))


def drop_note(connection: Connection, key: str) -> None:
    """Forget the fact `key`."""
    connection.execute(sa.delete(note).where(note.c.key == key))
