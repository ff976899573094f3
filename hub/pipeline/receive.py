"""Step 1, receive: the bytes are committed before the source is told "received".

The cursor moves in the same transaction, so after a crash the source is asked from where the
stored rows end; what it then repeats falls on `UNIQUE(instance, source_key)`.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.sdk import Page, Raw
from hub.store import Store, next_ids, upsert
from hub.store.intake import cursor, raw, step


def receive(store: Store, instance: str, page: Page, now: datetime, source: str = "") -> int:
    """Keep a page; returns how many raws were new. `source` names the cursor to move, if any.

    Durable when it returns. Raises what the database raises: the caller must not acknowledge then.
    """
    with store.write(durable=True) as connection:
        fresh = _new(connection, instance, page)
        if fresh:
            _keep(connection, instance, fresh, now)
        if source:
            _move(connection, instance, source, page.cursor, now)
    return len(fresh)


def _new(connection: Connection, instance: str, page: Page) -> list[tuple[Raw, str]]:
    """The raws of the page that are not here yet, with their hash."""
    unique = {r.key: r for r in page.raws}
    if not unique:
        return []
    known = set(
        connection.scalars(sa.select(raw.c.source_key).where(raw.c.instance == instance, raw.c.source_key.in_(unique)))
    )
    found = [(r, hashlib.sha256(r.data).hexdigest()) for r in unique.values() if r.key not in known]
    if page.rescan and found:
        # The source numbers anew (UIDVALIDITY): the same bytes are the same mail.
        hashes = [h for _, h in found]
        had = set(
            connection.scalars(sa.select(raw.c.sha256).where(raw.c.instance == instance, raw.c.sha256.in_(hashes)))
        )
        found = [(r, h) for r, h in found if h not in had]
    return found


def _keep(connection: Connection, instance: str, fresh: list[tuple[Raw, str]], now: datetime) -> None:
    ids = next_ids(connection, raw, len(fresh))
    rows = [
        {
            "id": number,
            "instance": instance,
            "source_key": r.key,
            "received_at": now,
            "sha256": digest,
            "size": len(r.data),
            "facts": dict(r.facts),
            "data": r.data,
        }
        for number, (r, digest) in zip(ids, fresh, strict=True)
    ]
    connection.execute(sa.insert(raw), rows)
    connection.execute(
        sa.insert(step),
        [{"raw_id": i, "stage": "read", "state": "waiting", "instance": instance, "due_at": now} for i in ids],
    )


def _move(connection: Connection, instance: str, source: str, value: Any, now: datetime) -> None:
    insert = upsert(connection, cursor).values(instance=instance, source=source, value=dict(value), moved_at=now)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["instance", "source"], set_={"value": dict(value), "moved_at": now}
        )
    )


def read_cursor(store: Store, instance: str, source: str) -> dict[str, Any]:
    """Where `source` of `instance` stands; empty at the first time."""
    with store.read() as connection:
        found = connection.scalar(
            sa.select(cursor.c.value).where(cursor.c.instance == instance, cursor.c.source == source)
        )
    return dict(found or {})
