"""What the admin's first page and `/metrics` tell: how the instances are, what waits, the last day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.circuit import worst
from hub.store.base import to_ms
from hub.store.cases import case, delivery, suggestion
from hub.store.customers import identity
from hub.store.health import alert, instance
from hub.store.intake import event, message, step
from hub.store.reading_entries import filled
from hub.store.sides import all_sides


@dataclass(frozen=True, slots=True)
class Health:
    """How an instance is: ``green``, ``amber`` or ``red``, why, and since when."""

    instance: str
    health: str
    reason: str
    since: datetime
    seen_at: datetime | None
    failures: int
    retry_at: datetime | None
    voice: str | None
    paused_at: datetime | None
    paused_by: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person must look at; it closes when its cause is gone."""

    id: int
    key: str
    instance: str
    text: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """The hub in numbers.

    `judged` are messages with suggestions that an agent has answered since; for `served` of them a
    suggestion was used or edited. `backlog` is the age in seconds of the oldest thing that is due.
    """

    customers: int
    cases: int
    open_cases: int
    messages: int
    kept: int
    steps: int
    deliveries: dict[str, int]
    outcomes: dict[str, int]
    judged: int
    served: int
    backlog: float


@dataclass(frozen=True, slots=True)
class Hour:
    """What came in and went out in one hour."""

    at: datetime
    incoming: int
    outgoing: int
    events: int


def health_rows(connection: Connection) -> dict[str, Health]:
    """Health by instance id, of its sickest side; an instance that never worked has no row."""
    decided = {row.id: row for row in connection.execute(sa.select(instance))}
    found: dict[str, Health] = {}
    for name, sides in sorted(all_sides(connection).items()):
        whole, row = worst(sides.values()), decided.get(name)
        found[name] = Health(
            instance=name,
            health=whole.state,
            reason=whole.reason,
            since=whole.since,
            seen_at=max((s.seen_at for s in sides.values() if s.seen_at), default=None),
            failures=whole.failures,
            retry_at=whole.retry_at,
            voice=row.voice if row else None,
            paused_at=row.paused_at if row else None,
            paused_by=row.paused_by if row else "",
        )
    return found


def waiting_for(connection: Connection) -> dict[str, int]:
    """How many deliveries wait for each instance; those without any are missing."""
    query = sa.select(delivery.c.instance, sa.func.count()).where(delivery.c.state.in_(("waiting", "sending")))
    return dict(connection.execute(query.group_by(delivery.c.instance)).all())


def open_alerts(connection: Connection) -> list[Alert]:
    """What needs a person now, newest first."""
    query = sa.select(alert).where(alert.c.closed_at.is_(None)).order_by(alert.c.opened_at.desc(), alert.c.id.desc())
    return [filled(Alert, row) for row in connection.execute(query.limit(100)).mappings()]


def counts(connection: Connection, now: datetime) -> Counts:
    """The figures of the tiles and of `/metrics`."""
    return Counts(
        customers=connection.scalar(sa.select(sa.func.count(identity.c.customer_id.distinct()))) or 0,
        cases=_count(connection, case),
        open_cases=_count(connection, case, case.c.state == "open"),
        messages=_count(connection, message),
        kept=_count(connection, step, step.c.state == "kept"),
        steps=_count(connection, step, step.c.state == "waiting"),
        deliveries=_by(connection, delivery.c.state),
        outcomes=_by(connection, suggestion.c.outcome, suggestion.c.outcome != ""),
        judged=_messages_with(connection, suggestion.c.outcome != ""),
        served=_messages_with(connection, suggestion.c.outcome.in_(("used", "edited"))),
        backlog=backlog_age(connection, now),
    )


def backlog_age(connection: Connection, now: datetime) -> float:
    """Seconds since the oldest step or delivery fell due; 0 where nothing is late."""
    oldest: list[datetime | None] = [
        connection.scalar(sa.select(sa.func.min(table.c.due_at)).where(table.c.state == "waiting"))
        for table in (step, delivery)
    ]
    return max([0.0, *((now - at).total_seconds() for at in oldest if at is not None)])


def last_day(connection: Connection, now: datetime, hours: int = 24) -> list[Hour]:
    """Messages and events per hour, oldest first; the last hour is the running one."""
    end = now.replace(minute=0, second=0, microsecond=0)
    starts = [end - timedelta(hours=h) for h in reversed(range(hours))]
    since = to_ms(starts[0])
    said: dict[tuple[int, str], int] = {}
    first = _first_since(connection, message, message.c.received_at, starts[0])
    bucket = (sa.type_coerce(message.c.received_at, sa.BigInteger) - since) // 3_600_000
    for hour, direction, number in connection.execute(
        sa.select(bucket, message.c.direction, sa.func.count())
        .where(message.c.id >= first)
        .group_by(bucket, message.c.direction)
    ):
        said[hour, direction] = number
    first = _first_since(connection, event, event.c.at, starts[0])
    bucket = (sa.type_coerce(event.c.at, sa.BigInteger) - since) // 3_600_000
    for hour, number in connection.execute(
        sa.select(bucket, sa.func.count()).where(event.c.id >= first).group_by(bucket)
    ):
        said[hour, "event"] = number
    return [
        Hour(at, said.get((n, "in"), 0), said.get((n, "out"), 0), said.get((n, "event"), 0))
        for n, at in enumerate(starts)
    ]


def _count(connection: Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0


def _messages_with(connection: Connection, outcome: sa.ColumnElement[bool]) -> int:
    return connection.scalar(sa.select(sa.func.count(suggestion.c.message_id.distinct())).where(outcome)) or 0


def _by(connection: Connection, column: sa.Column[str], *where: sa.ColumnElement[bool]) -> dict[str, int]:
    query = sa.select(column, sa.func.count()).where(*where).group_by(column)
    return dict(connection.execute(query).all())


def _first_since(connection: Connection, table: sa.Table, at: sa.Column[datetime], since: datetime) -> int:
    """The first row of `table` not older than `since`, by halving.

    Rows arrive in the order of their ids, so that the primary key serves as an index of
    arrival, and intake need not keep one more.
    """
    low, high = 1, (connection.scalar(sa.select(sa.func.max(table.c.id))) or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            sa.select(table.c.id, at).where(table.c.id >= middle).order_by(table.c.id).limit(1)
        ).first()
        if row is None or row[1] >= since:
            high = middle
        else:
            low = row[0] + 1
    return low
