"""Step 1, receive: the bytes are committed before the source is told "received".

The cursor moves in the same transaction, so after a crash the source is asked from where the
stored rows end; what it then repeats falls on `UNIQUE(instance, source_key)`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.flow import Flow, number_of
from hub.mail.glance import sender_of
from hub.sdk import Page, Raw
from hub.store import Store, next_ids, upsert
from hub.store.intake import cursor, raw, step
from hub.store.lanes import read_lane

# Made once: putting a statement together costs twice what asking it does.
_KNOWN = sa.select(raw.c.source_key).where(
    raw.c.instance == sa.bindparam("of"), raw.c.source_key.in_(sa.bindparam("keys", expanding=True))
)
_INSERT_RAW, _INSERT_STEP = sa.insert(raw), sa.insert(step)
_asked = {
    "sqlite": sa.func.json_each(sa.bindparam("senders")).table_valued("value").c.value,
    "postgresql": sa.cast(
        sa.func.json_array_elements_text(sa.cast(sa.bindparam("senders"), sa.JSON)).column_valued("value"), sa.Integer
    ),
}
_in_flood = step.c.state == "waiting", step.c.stage == "read", step.c.instance == sa.bindparam("of")
_ANY_FLOOD = sa.select(step.c.raw_id).where(*_in_flood, step.c.flood > 0).limit(1)
_FLOODS = {
    # By a subquery and not EXISTS, which PostgreSQL makes a join of, over all of a flood.
    name: sa.select(one).where(sa.select(1).where(*_in_flood, step.c.flood == one).limit(1).scalar_subquery() == 1)
    for name, one in _asked.items()
}


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
            _keep(connection, instance, fresh, now, flow or Flow())
            store.wake(connection, [read_lane(instance)])
    return len(fresh)


def _new(connection: Connection, instance: str, page: Page) -> list[tuple[Raw, str]]:
    """The raws of the page that are not here yet, with their hash."""
    unique: dict[str, Raw] = {}
    for one in page.raws:
        unique.setdefault(one.key, one)
    if not unique:
        return []
    known = set(connection.scalars(_KNOWN, {"of": instance, "keys": list(unique)}))
    found = [(r, hashlib.sha256(r.data).hexdigest()) for r in unique.values() if r.key not in known]
    if page.rescan and found:
        # The source numbers anew (UIDVALIDITY): the same bytes are the same mail.
        hashes = [h for _, h in found]
        had = set(
            connection.scalars(sa.select(raw.c.sha256).where(raw.c.instance == instance, raw.c.sha256.in_(hashes)))
        )
        found = [(r, h) for r, h in found if h not in had]
    return found


def _keep(connection: Connection, instance: str, fresh: list[tuple[Raw, str]], now: datetime, flow: Flow) -> None:
    ids = next_ids(connection, raw, len(fresh))
    rows = [_row(instance, one, digest, now) | {"id": i} for i, (one, digest) in zip(ids, fresh, strict=True)]
    connection.execute(_INSERT_RAW, rows)
    senders = [(instance, sender_in(one)) for one, _ in fresh]
    turns = turns_of(senders, floods_here(connection, senders), now, flow)
    connection.execute(_INSERT_STEP, [_step(i, instance, now, *turn) for i, turn in zip(ids, turns, strict=True)])


def turns_of(
    senders: Iterable[tuple[str, str]], floods: set[tuple[str, int]], now: datetime, flow: Flow
) -> list[tuple[datetime, int]]:
    """When each, by instance and sender, has its turn, and the number of the sender whose flood it is read behind.

    0 for none. `floods` are those that are known of, by instance and number; what begins here is added.
    """
    found = []
    for instance, sender in senders:
        turn, number = flow.turn(instance, sender, now), number_of(sender)
        if turn > now:
            floods.add((instance, number))
        found.append((turn, number if (instance, number) in floods else 0))
    return found


def floods_here(connection: Connection, senders: Sequence[tuple[str, str]]) -> set[tuple[str, int]]:
    """The floods of these senders that wait to be read.

    Behind them comes everything more of their senders, though this process may never have heard of it: else a
    customer's words could overtake each other.
    """
    return {
        (instance, number)
        for instance in {instance for instance, _ in senders}
        for number in _floods(connection, instance, {number_of(one) for of, one in senders if of == instance})
    }


def _floods(connection: Connection, instance: str, senders: Collection[int]) -> Iterable[int]:
    """Those of the senders whose flood waits to be read."""
    if not any(senders) or connection.scalar(_ANY_FLOOD, {"of": instance}) is None:
        return ()
    asked = {"of": instance, "senders": json.dumps([*senders])}
    return connection.scalars(_FLOODS[connection.dialect.name], asked).all()


def sender_in(one: Raw) -> str:
    """Who seems to have sent it: by the channel's word, else by a glance at its bytes."""
    return str(one.facts.get("sender") or sender_of(one.data))


def _row(instance: str, one: Raw, digest: str, now: datetime) -> dict[str, Any]:
    return {
        "instance": instance,
        "source_key": one.key,
        "received_at": now,
        "sha256": digest,
        "size": len(one.data),
        "facts": dict(one.facts),
        "data": one.data,
    }


def _step(number: int, instance: str, now: datetime, turn: datetime, flood: int) -> dict[str, Any]:
    waits = {"raw_id": number, "stage": "read", "state": "waiting", "instance": instance, "due_at": now}
    return waits | {"turn_at": turn, "flood": flood}


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
