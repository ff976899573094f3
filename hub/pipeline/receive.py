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

from hub.flow import Flow
from hub.pipeline.keeping import keep, stored_key
from hub.sdk import Page, Raw
from hub.store import Store, upsert
from hub.store.intake import cursor, raw
from hub.store.lanes import read_lane

# Made once: docs/decisions/0012-what-a-message-costs.md
_KNOWN = sa.select(raw.c.source_key).where(
    raw.c.instance == sa.bindparam("of"), raw.c.source_key.in_(sa.bindparam("keys", expanding=True))
)


class Overtaken(Exception):
    """Somebody else reads this source by now (its lease has another owner): what we brought is not kept."""


def receive(
    store: Store,
    instance: str,
    page: Page,
    now: datetime,
    source: str = "",
    *,
    flow: Flow | None = None,
    epoch: int | None = None,
) -> int:
    """Keep a page; returns how many raws were new. `source` names the cursor to move, if any.

    Durable when it returns. Raises what the database raises: the caller must not acknowledge then.
    Where several processes could read the source, `epoch` is the one of the lease that the page was
    fetched under; raises Overtaken when the lease has moved on.
    """
    with store.write(durable=True) as connection:
        if source:  # first: an owner that was overtaken waits for nobody and keeps nothing
            _move(connection, instance, source, page.cursor, now, epoch)
        fresh = _new(connection, instance, page)
        if fresh:
            keep(connection, [(instance, fresh)], now, flow or Flow())
            store.wake(connection, [read_lane(instance)])
    return len(fresh)


def _new(connection: Connection, instance: str, page: Page) -> list[Raw]:
    """The raws of the page that are not here yet."""
    unique: dict[str, Raw] = {}
    for one in page.raws:
        unique.setdefault(stored_key(one.key), one)
    if not unique:
        return []
    known = set(connection.scalars(_KNOWN, {"of": instance, "keys": list(unique)}))
    found = [one for key, one in unique.items() if key not in known]
    if page.rescan and found:
        # The source numbers anew (UIDVALIDITY): the same bytes are the same mail.
        hashes = [hashlib.sha256(one.data).hexdigest() for one in found]
        had = set(
            connection.scalars(sa.select(raw.c.sha256).where(raw.c.instance == instance, raw.c.sha256.in_(hashes)))
        )
        found = [one for one, digest in zip(found, hashes, strict=True) if digest not in had]
    return found


def _move(connection: Connection, instance: str, source: str, value: Any, now: datetime, epoch: int | None) -> None:
    if epoch is not None:
        mine = sa.and_(cursor.c.instance == instance, cursor.c.source == source, cursor.c.epoch == epoch)
        if not connection.execute(sa.update(cursor).where(mine).values(value=dict(value), moved_at=now)).rowcount:
            raise Overtaken(f"{instance}/{source}")
        return
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
