"""Which raws wait to be read: instance by instance, in the order in which they came, a flood behind all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.pipeline.parts import Parts
from hub.store.base import At
from hub.store.intake import raw, step

PAGE = 100
"""Messages that share a transaction: one commit costs as much as a hundred inserts."""
SHARE = 20
"""Messages of a flood in a page while others are about: who comes next waits until they are read."""

_WAITS = sa.and_(step.c.state == "waiting", step.c.stage == "read")


_OLDEST = (
    sa.select(step.c.raw_id, step.c.due_at, step.c.flood)
    .where(
        _WAITS,
        step.c.instance == sa.bindparam("of"),
        # What waits for its reader has no reason: nothing behind it may pass. What waits for a ticket's case has one.
        sa.or_(step.c.due_at <= sa.bindparam("now", type_=At), step.c.reason == ""),
        step.c.raw_id.not_in(sa.bindparam("but", expanding=True)),
    )
    .order_by(step.c.raw_id)  # as the indexes are
    .limit(PAGE)
)
_OTHERS = _OLDEST.where(step.c.flood == 0)
_WHOLE = (
    sa.select(raw.c.id, raw.c.instance, raw.c.source_key, raw.c.received_at, raw.c.facts, raw.c.data, step.c.flood)
    .join(step, step.c.raw_id == raw.c.id)
    .where(raw.c.id.in_(sa.bindparam("of", expanding=True)))
)


def oldest(parts: Parts, instance: str, but: Sequence[int] = ()) -> Sequence[Any]:
    """A page of what an instance brought in and is due to be read, `but` for the raws of these ids.

    In the order in which it came, except that others pass a flood. No sender's words overtake each other: after one
    that is a flood's, all of that sender's are, until those are read (hub/pipeline/receive.py).
    """
    now = parts.now()
    with parts.store.read() as connection:
        asked = {"of": instance, "now": now, "but": list(but)}
        slow, crowded, rests = takes_long(parts, instance), parts.crowd.here(now), flood_rests(parts, instance)
        ids = _next_ids(connection, asked, now, crowded=crowded, slow=slow, rests=rests)
        whole = {row.id: row for row in connection.execute(_WHOLE, {"of": ids})} if ids else {}
    rows = [whole[one] for one in ids if one in whole]  # in our order: a database would sort all their bytes
    if not all(row.flood for row in rows):
        parts.crowd.came(now)
    return rows


def takes_long(parts: Parts, instance: str) -> bool:
    """Whether the flood of an instance, if there is one, is known as one of mails that take long to read."""
    until = parts.slow_until.get(instance)
    return until is not None and parts.now() < until


def flood_rests(parts: Parts, instance: str) -> bool:
    """Whether no more of an instance's flood is read for a moment. It has to rest only while others are about."""
    until = parts.rests_until.get(instance)
    return until is not None and parts.clock.monotonic() < until and parts.crowd.here(parts.now())


def _next_ids(
    connection: Connection, asked: Mapping[str, Any], now: datetime, *, crowded: bool, slow: bool, rests: bool
) -> list[int]:
    found = _due(connection.execute(_OLDEST, asked).all(), now)
    flood = [row.raw_id for row in found if row.flood]
    if not flood:
        return [row.raw_id for row in found]
    # All that came before one of these and is no flood's is among the others, their senders' first words as well.
    others = [row.raw_id for row in _due(connection.execute(_OTHERS, asked).all(), now)]
    if rests or (others and slow):
        return others  # read and recorded without the flood
    return [*others, *flood[: max(SHARE, 0 if crowded else PAGE - len(others))]]


def _due(rows: Sequence[Any], now: datetime) -> list[Any]:
    return list(takewhile(lambda row: row.due_at <= now, rows))


def still_waiting(parts: Parts, rows: Sequence[Any]) -> Sequence[Any]:
    """Without those that somebody else saw to meanwhile."""
    if not rows:
        return rows
    with parts.store.read() as connection:
        wanted = sa.select(step.c.raw_id).where(step.c.raw_id.in_([row.id for row in rows]), _WAITS)
        there = set(connection.scalars(wanted))
    return [row for row in rows if row.id in there]


def instances_to_read(parts: Parts) -> list[str]:
    """Those with something due to be read, the one that has waited longest first: each has its page in turn."""
    # One short look per instance: a `DISTINCT` would walk through the whole backlog.
    found = []
    with parts.store.read() as connection:
        for name in _who_brought(connection, parts):
            first = (
                sa.select(step.c.due_at)
                .where(_WAITS, step.c.instance == name, step.c.due_at <= parts.now())
                .order_by(step.c.raw_id)
                .limit(1)
            )
            if (at := connection.scalar(first)) is not None:
                found.append((at, name))
    return [name for _, name in sorted(found)]


def _who_brought(connection: Connection, parts: Parts) -> set[str]:
    """The running instances, and one that is gone and left something behind."""
    gone = sa.select(step.c.instance).where(_WAITS, step.c.instance.not_in(parts.instances)).limit(1)
    left = connection.scalar(gone) if parts.left_behind() else None
    return {*(i.id for i in parts.having("Reads")), *([left] if left else [])}
