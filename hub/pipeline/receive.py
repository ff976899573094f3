"""Step 1, receive: the bytes are committed before the source is told "received".

The cursor moves in the same transaction, so after a crash the source is asked from where the
stored rows end; what it then repeats falls on `UNIQUE(instance, source_key)`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from hub.flow import Flow, number_of
from hub.mail.glance import sender_of
from hub.sdk import Page, Raw
from hub.store import Store, next_ids, upsert
from hub.store.base import At, to_ms
from hub.store.intake import cursor, raw, step
from hub.store.lanes import read_lane

# Made once: putting a statement together costs twice what asking it does.
_KNOWN = sa.select(raw.c.source_key).where(
    raw.c.instance == sa.bindparam("of"), raw.c.source_key.in_(sa.bindparam("keys", expanding=True))
)
_INSERT_RAW, _INSERT_STEP = sa.insert(raw), sa.insert(step)
_PUSHED = postgresql.insert(raw).on_conflict_do_nothing().returning(raw.c.id, raw.c.instance, raw.c.source_key)
_BEHIND = (
    sa.update(step)
    .where(
        step.c.raw_id
        == sa.select(raw.c.id)
        .where(
            raw.c.instance == sa.bindparam("of"),
            raw.c.source_key == sa.bindparam("called"),
            raw.c.id > sa.bindparam("last"),  # what was here before keeps its place
        )
        .scalar_subquery()
    )
    .values(turn_at=sa.bindparam("turn", type_=At), flood=sa.bindparam("of_flood"))
)
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
_SQLITE_RAW = """
INSERT INTO raw (instance, source_key, received_at, sha256, size, facts, data)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_SQLITE_STEP = """
INSERT INTO step (raw_id, stage, state, instance, due_at)
SELECT id, 'read', 'waiting', instance, ? FROM raw WHERE id > ?
"""


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


def keep_pushed(connection: Connection, pushes: Iterable[tuple[str, Sequence[Raw]]], now: datetime, flow: Flow) -> None:
    """Keep what several senders pushed, whoever they are. No cursor moves: nobody asked.

    What is here already stays as it is, and of a key that comes twice the first one is kept.
    """
    found = [(instance, one, hashlib.sha256(one.data).hexdigest()) for instance, raws in pushes for one in raws]
    if not found:
        return
    turns: dict[tuple[str, str], tuple[datetime, int]] = {}
    by_raw = _turns(connection, [(instance, one) for instance, one, _ in found], now, flow)
    for (instance, one, _), turn in zip(found, by_raw, strict=True):
        turns.setdefault((instance, one.key), turn)
    if connection.dialect.name == "sqlite":
        _push_to_sqlite(connection, found, turns, now)
        return
    kept = connection.execute(_PUSHED, [_row(instance, one, digest, now) for instance, one, digest in found]).all()
    if kept:
        steps = [_step(row.id, row.instance, now, *turns[row.instance, row.source_key]) for row in kept]
        connection.execute(_INSERT_STEP, steps)


def _push_to_sqlite(
    connection: Connection,
    found: Sequence[tuple[str, Raw, str]],
    turns: Mapping[tuple[str, str], tuple[datetime, int]],
    now: datetime,
) -> None:
    """The same below Core, which would cost more than SQLite does: every web thread waits for this one.

    Nobody else writes meanwhile, so what lies behind the last id is ours.
    """
    last, at = connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM raw").scalar_one(), to_ms(now)
    rows = [
        (instance, one.key, at, digest, len(one.data), json.dumps(dict(one.facts)), one.data)
        for instance, one, digest in found
    ]
    connection.exec_driver_sql(_SQLITE_RAW, rows)
    connection.exec_driver_sql(_SQLITE_STEP, (at, last))
    behind = [
        {"of": instance, "called": key, "last": last, "turn": turn, "of_flood": flood}
        for (instance, key), (turn, flood) in turns.items()
        if flood
    ]
    if behind:  # a flood; everybody else's turn is at once, which costs no statement
        connection.execute(_BEHIND, behind)


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
    turns = _turns(connection, [(instance, one) for one, _ in fresh], now, flow)
    connection.execute(_INSERT_STEP, [_step(i, instance, now, *turn) for i, turn in zip(ids, turns, strict=True)])


def _turns(
    connection: Connection, raws: Sequence[tuple[str, Raw]], now: datetime, flow: Flow
) -> list[tuple[datetime, int]]:
    """When each has its turn, and the number of the sender whose flood it is read behind; 0 for none.

    Behind a flood that waits to be read comes everything more of its sender, though this process may never have
    heard of it: else a customer's words could overtake each other.
    """
    senders = [(instance, _sender(one)) for instance, one in raws]
    floods = {
        (instance, number)
        for instance in {instance for instance, _ in senders}
        for number in _floods(connection, instance, {number_of(one) for of, one in senders if of == instance})
    }
    found = []
    for instance, sender in senders:
        turn, number = flow.turn(instance, sender, now), number_of(sender)
        if turn > now:
            floods.add((instance, number))
        found.append((turn, number if (instance, number) in floods else 0))
    return found


def _floods(connection: Connection, instance: str, senders: Collection[int]) -> Iterable[int]:
    """Those of the senders whose flood waits to be read."""
    if not any(senders) or connection.scalar(_ANY_FLOOD, {"of": instance}) is None:
        return ()
    asked = {"of": instance, "senders": json.dumps([*senders])}
    return connection.scalars(_FLOODS[connection.dialect.name], asked).all()


def _sender(one: Raw) -> str:
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
