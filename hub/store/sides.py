"""The circuits' rows: one for each side of an instance, shared by every process."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.circuit import Health, worst
from hub.store.alerts import close_alert, raise_alert
from hub.store.health import instance, instance_health
from hub.store.session import alone, upsert

MAKE = "make"
"""The side of an instance that could not be made."""


def load_side(connection: Connection, name: str, side: str, otherwise: Health) -> Health:
    """A side as the database has it; on PostgreSQL nobody else changes it until this transaction ends."""
    mine = sa.and_(instance_health.c.instance == name, instance_health.c.side == side)
    row = connection.execute(sa.select(instance_health).where(mine).with_for_update()).one_or_none()
    return _health(row) if row is not None else otherwise


def save_side(connection: Connection, name: str, side: str, health: Health) -> Health:
    """Write a side, raise or close the instance's alert; returns the health of the whole."""
    row = asdict(health)
    row["health"] = row.pop("state")
    insert = upsert(connection, instance_health).values(instance=name, side=side, **row)
    connection.execute(insert.on_conflict_do_update(index_elements=["instance", "side"], set_=row))
    rows = connection.execute(sa.select(instance_health).where(instance_health.c.instance == name))
    whole = worst(_health(one) for one in rows)
    if whole.state == "red":
        raise_alert(connection, f"instance:{name}", whole.reason, whole.since, name)
    elif whole.state == "green":
        close_alert(connection, f"instance:{name}", whole.since)
    return whole


def all_sides(connection: Connection) -> dict[str, dict[str, Health]]:
    """Every side of every instance."""
    found: dict[str, dict[str, Health]] = {}
    for row in connection.execute(sa.select(instance_health)):
        found.setdefault(row.instance, {})[row.side] = _health(row)
    return found


def begin_sides(connection: Connection, made: set[str], broken: dict[str, str], now: datetime) -> None:
    """At a start: what was sick is tried at once, what could not be made is red, what left is forgotten."""
    alone(connection, "sides")  # several processes start at once, and would wait for each other's rows
    known = made | set(broken)
    connection.execute(sa.delete(instance_health).where(instance_health.c.instance.not_in(known)))
    healed = sa.and_(instance_health.c.side == MAKE, instance_health.c.instance.in_(made))
    connection.execute(sa.delete(instance_health).where(healed))
    sick = instance_health.c.retry_at.is_not(None)
    connection.execute(sa.update(instance_health).where(sick).values(retry_at=now, probe_until=None))
    for name, reason in sorted(broken.items()):
        save_side(connection, name, MAKE, Health("red", now, reason))
    for name in sorted(made):
        row = load_side(connection, name, "out", Health("green", now))
        save_side(connection, name, "out", row)


def paused(connection: Connection) -> dict[str, datetime]:
    """The instances that are paused, and since when."""
    rows = connection.execute(sa.select(instance.c.id, instance.c.paused_at).where(instance.c.paused_at.is_not(None)))
    return dict(rows.all())


def set_paused(connection: Connection, name: str, by: str, at: datetime | None) -> bool:
    """Pause an instance (`at` None: let it go on); False where it was so already."""
    before = connection.scalar(sa.select(instance.c.paused_at).where(instance.c.id == name))
    if (before is None) == (at is None):
        return False
    row = {"paused_at": at, "paused_by": by[:80] if at else ""}
    insert = upsert(connection, instance).values(id=name, **row)
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=row))
    return True


def _health(row: sa.Row[tuple[object, ...]]) -> Health:
    return Health(row.health, row.since, row.reason, row.seen_at, row.failures, row.retry_at, row.probe_until)
