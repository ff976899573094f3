"""Which deliveries are next: the lanes whose head is due, instance by instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.pipeline.parts import Parts
from hub.store.base import At
from hub.store.cases import delivery
from hub.store.lanes import OPEN


@dataclass(frozen=True, slots=True)
class DueLane:
    """A lane whose head is due; `behind`: its turn is not yet, others go first (hub/flow.py)."""

    name: str
    instance: str
    behind: bool = False


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many lanes an instance's threads can take now, and how many of these may be a flood's."""

    lanes: int
    floods: int


def due_lanes(connection: Connection, parts: Parts, free: Mapping[str, Capacity]) -> list[DueLane]:
    """Lanes whose head is due; of each instance and state as many as its threads are `free` for.

    No more, and those that were interrupted first: what is handed to threads has had its turn, and whoever comes
    later waits behind it.

    Each instance is asked for by itself, so that a backlog of one hides no other, and only the head of
    a lane counts: what stands behind a head that waits is not due, whatever its own time says.
    """
    found: dict[str, DueLane] = {}
    for name, capacity in free.items():
        for state in reversed(OPEN):
            for one in _heads(connection, name, state, parts.now(), capacity):
                found.setdefault(one.name, one)
    return list(found.values())


_earlier = delivery.alias()
_due = sa.select(delivery.c.lane).where(
    delivery.c.instance == sa.bindparam("of"),
    delivery.c.state == sa.bindparam("is"),
    delivery.c.due_at <= sa.bindparam("now", type_=At),
    ~sa.exists().where(_earlier.c.lane == delivery.c.lane, _earlier.c.state.in_(OPEN), _earlier.c.id < delivery.c.id),
)
_IN_TURN = (
    _due.where(delivery.c.turn_at <= sa.bindparam("now", type_=At))
    .order_by(delivery.c.turn_at, delivery.c.id)
    .limit(sa.bindparam("most"))
)
_BEHIND = (
    _due.where(delivery.c.turn_at > sa.bindparam("now", type_=At))
    .order_by(delivery.c.due_at, delivery.c.id)
    .limit(sa.bindparam("most"))
)


def _heads(connection: Connection, instance: str, state: str, now: datetime, capacity: Capacity) -> list[DueLane]:
    """Lanes of an instance whose head is due: those whose turn it is, then a flood's."""
    asked = {"of": instance, "is": state, "now": now}
    found = [DueLane(lane, instance) for lane in connection.scalars(_IN_TURN, {**asked, "most": capacity.lanes})]
    behind = min(capacity.lanes - len(found), capacity.floods)
    if behind > 0:
        lanes = connection.scalars(_BEHIND, {**asked, "most": behind})
        found += [DueLane(lane, instance, behind=True) for lane in lanes]
    return found
