"""Rows of what is told outside about alerts: owed, claimed by one worker, done or tried again later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.health import alert, telling
from hub.store.session import upsert

LEASE = timedelta(seconds=90)
"""How long a claim holds: longer than any try may take. Who dies in between leaves it to the next."""


def owed(connection: Connection, targets: Iterable[str], opened_before: datetime) -> list[dict[str, Any]]:
    """What must be told and has no row yet: alerts that stand open, and ends of those that were told."""
    rows: list[dict[str, Any]] = []
    for target in targets:
        known = sa.exists().where(telling.c.alert_id == alert.c.id, telling.c.target == target)
        fresh = sa.select(alert.c.id).where(alert.c.closed_at.is_(None), alert.c.opened_at <= opened_before, ~known)
        rows += [{"alert_id": i, "target": target, "what": "opened"} for i in connection.scalars(fresh)]
        over = (
            sa.select(alert.c.id)
            .join(telling, telling.c.alert_id == alert.c.id)
            .where(telling.c.state == "done", telling.c.what == "opened", telling.c.target == target)
            .where(alert.c.closed_at.is_not(None))
        )
        rows += [{"alert_id": i, "target": target, "what": "closed"} for i in connection.scalars(over)]
    return rows


def owe(connection: Connection, rows: Sequence[dict[str, Any]], now: datetime) -> None:
    """Write the rows; two workers who do so at once owe nothing twice."""
    values = [{**row, "state": "waiting", "due_at": now} for row in rows]
    connection.execute(upsert(connection, telling).on_conflict_do_nothing(), values)
    for row in rows:
        if row["what"] == "closed":
            beginning = sa.update(telling).where(
                telling.c.alert_id == row["alert_id"], telling.c.target == row["target"], telling.c.what == "opened"
            )
            connection.execute(beginning.values(state="over"))


def due(connection: Connection, targets: Iterable[str], now: datetime, limit: int = 10) -> Sequence[sa.Row[Any]]:
    """What is to be told now, with its alert, the oldest first."""
    query = (
        sa.select(telling, alert.c.key, alert.c.instance, alert.c.text, alert.c.opened_at, alert.c.closed_at)
        .join(alert, alert.c.id == telling.c.alert_id)
        .where(telling.c.state == "waiting", telling.c.due_at <= now, telling.c.target.in_(list(targets)))
        .order_by(telling.c.due_at, telling.c.id)
    )
    return connection.execute(query.limit(limit)).all()


def claim(connection: Connection, row: sa.Row[Any], now: datetime) -> bool:
    """Take `row` for one try; False when another worker has."""
    mine = sa.update(telling).where(
        telling.c.id == row.id, telling.c.state == "waiting", telling.c.attempts == row.attempts
    )
    taken = mine.values(attempts=row.attempts + 1, due_at=now + LEASE)
    return bool(connection.execute(taken).rowcount)


def told(connection: Connection, telling_id: int, now: datetime) -> None:
    """It was told."""
    done = sa.update(telling).where(telling.c.id == telling_id)
    connection.execute(done.values(state="done", reason="", told_at=now))


def not_told(connection: Connection, telling_id: int, reason: str, due_at: datetime | None) -> None:
    """It was not; the next try is at `due_at`, None for never."""
    values: dict[str, Any] = {"reason": reason[:500], "state": "waiting" if due_at else "gave up"}
    again = sa.update(telling).where(telling.c.id == telling_id)
    connection.execute(again.values(**values, **({"due_at": due_at} if due_at else {})))


def of_alert(connection: Connection, alert_id: int) -> Sequence[sa.Row[Any]]:
    """What became of one alert's telling, by target."""
    query = sa.select(telling).where(telling.c.alert_id == alert_id, telling.c.what == "opened")
    return connection.execute(query.order_by(telling.c.target)).all()
