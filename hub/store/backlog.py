"""How far behind the hub is, and where: what waits, since when, for whom. For `/metrics` and whoever is on duty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.cases import delivery
from hub.store.health import alert
from hub.store.intake import cursor, step

STUCK = ("waiting", "sending", "held", "unsure", "rejected")
"""States of a delivery that is not at its end."""


@dataclass(frozen=True, slots=True)
class Behind:
    """What waits at one place. `oldest` is the age in seconds of the oldest thing that is due; 0 where nothing is."""

    place: str
    state: str
    count: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Owned:
    """A source and whether a process reads it now; None where only one process could."""

    instance: str
    source: str
    owned: bool | None


def instances_in(connection: Connection, column: sa.Column[str], *where: sa.ColumnElement[bool]) -> Iterator[str]:
    """The names in `column`, of rows that fulfil `where`: a step along its index for each, however many rows it has."""
    last = ""
    while (name := connection.scalar(sa.select(sa.func.min(column)).where(column > last))) is not None:
        last = name
        if not where or connection.scalar(sa.select(column).where(column == name, *where).limit(1)) is not None:
            yield name


def steps_behind(connection: Connection, now: datetime) -> list[Behind]:
    """By stage (``read``, ``plan``) and state (``waiting``, ``kept``)."""
    query = sa.select(step.c.stage, step.c.state, sa.func.count(), sa.func.min(step.c.due_at))
    return [_behind(now, *row) for row in connection.execute(query.group_by(step.c.stage, step.c.state))]


def deliveries_behind(connection: Connection, now: datetime) -> list[Behind]:
    """By instance and state, what is not at its end."""
    query = sa.select(delivery.c.instance, delivery.c.state, sa.func.count(), sa.func.min(delivery.c.due_at))
    query = query.where(delivery.c.state.in_(STUCK)).group_by(delivery.c.instance, delivery.c.state)
    return [_behind(now, *row) for row in connection.execute(query)]


def _behind(now: datetime, place: str, state: str, count: int, due: datetime | None) -> Behind:
    return Behind(place, state, count, max(0.0, (now - due).total_seconds()) if due is not None else 0.0)


def sources_owned(connection: Connection, now: datetime) -> list[Owned]:
    """Which sources have a living owner (hub/store/leases.py)."""
    rows = connection.execute(sa.select(cursor.c.instance, cursor.c.source, cursor.c.epoch, cursor.c.until))
    return [
        Owned(row.instance, row.source, row.until is not None and row.until >= now if row.epoch else None)
        for row in rows
    ]


def alerts_by_kind(connection: Connection) -> dict[str, int]:
    """Open alerts by the first word of their key (``instance``, ``rejected``, ``unsure``, ``disk``, ...)."""
    found: dict[str, int] = {}
    for key in connection.scalars(sa.select(alert.c.key).where(alert.c.closed_at.is_(None))):
        kind = key.partition(":")[0]
        found[kind] = found.get(kind, 0) + 1
    return found
