"""The circuits' rows: one for each side of an instance, shared by every process."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.circuit import Health, outage, worst
from hub.rules.dates import parse_date
from hub.store.alerts import close_alert, close_alerts_of, raise_alert, reword_alert
from hub.store.health import instance, instance_health, note
from hub.store.notes import drop_note, set_note
from hub.store.session import alone, upsert

MAKE = "make"
"""The side of an instance that could not be made."""
_KNOWN = "known/"
"""Beginning of the notes that say which instances processes have."""


def load_side(connection: Connection, name: str, side: str, otherwise: Health) -> Health:
    """A side as the database has it; on PostgreSQL nobody else changes it until this transaction ends."""
    mine = sa.and_(instance_health.c.instance == name, instance_health.c.side == side)
    row = connection.execute(sa.select(instance_health).where(mine).with_for_update()).one_or_none()
    return _health(row) if row is not None else otherwise


def save_side(connection: Connection, name: str, side: str, health: Health, now: datetime) -> Health:
    """Write a side, raise or close the instance's one alert; returns the health of the whole."""
    row = asdict(health)
    row["health"] = row.pop("state")
    insert = upsert(connection, instance_health).values(instance=name, side=side, **row)
    connection.execute(insert.on_conflict_do_update(index_elements=["instance", "side"], set_=row))
    rows = connection.execute(sa.select(instance_health).where(instance_health.c.instance == name))
    whole = worst(_health(one) for one in rows)
    key = f"instance:{name}"
    if whole.state == "red":
        raise_alert(connection, key, whole.reason, whole.since, name)
        reword_alert(connection, key, whole.reason)
    elif whole.state == "green":
        close_alert(connection, key, whole.since)
    elif outage(health, now):
        text = f"{name} has not answered for ten minutes or longer: {health.reason}"
        raise_alert(connection, key, text, health.since, name)
        reword_alert(connection, key, text)
    return whole


def all_sides(connection: Connection) -> dict[str, dict[str, Health]]:
    """Every side of every instance."""
    found: dict[str, dict[str, Health]] = {}
    for row in connection.execute(sa.select(instance_health)):
        found.setdefault(row.instance, {})[row.side] = _health(row)
    return found


def begin_sides(connection: Connection, made: set[str], broken: dict[str, str], now: datetime) -> None:
    """At a start: what was sick is tried at once, what could not be made is red.

    Of the configured instances alone: another process may have a newer configuration, and work with more
    (hub/pipeline/gone.py forgets those that nobody has).
    """
    alone(connection, "sides")  # several processes start at once, and would wait for each other's rows
    known = made | set(broken)
    say_known(connection, known, now)
    healed = sa.and_(instance_health.c.side == MAKE, instance_health.c.instance.in_(made))
    connection.execute(sa.delete(instance_health).where(healed))
    sick = sa.and_(instance_health.c.retry_at.is_not(None), instance_health.c.instance.in_(known))
    connection.execute(sa.update(instance_health).where(sick).values(retry_at=now, probe_until=None))
    for name, reason in sorted(broken.items()):
        save_side(connection, name, MAKE, Health("red", now, reason), now)
    for name in sorted(made):
        row = load_side(connection, name, "out", Health("green", now))
        save_side(connection, name, "out", row, now)


def say_known(connection: Connection, names: Collection[str], now: datetime) -> None:
    """Say that a process has these instances; a sign of life for others, who may have another configuration."""
    for name in sorted(names):
        set_note(connection, f"{_KNOWN}{name}", now.isoformat())


def known_since(connection: Connection, since: datetime) -> set[str]:
    """The instances of which some process has said since then that it has them."""
    rows = connection.execute(sa.select(note).where(note.c.key.startswith(_KNOWN, autoescape=True)))
    said = {row.key.removeprefix(_KNOWN): parse_date(row.value) for row in rows}
    return {name for name, at in said.items() if at is not None and at > since}


def forget_instance(connection: Connection, name: str, now: datetime) -> None:
    """An instance that nobody has: its circuits go, and the alerts about it close."""
    connection.execute(sa.delete(instance_health).where(instance_health.c.instance == name))
    close_alerts_of(connection, name, now)
    drop_note(connection, f"{_KNOWN}{name}")


@dataclass(frozen=True, slots=True)
class Said:
    """What stands about an instance beside its circuits."""

    paused: bool = False
    heeds_until: datetime | None = None
    """Until when a word about how fast it may be called holds (hub/pace.py)."""


def all_said(connection: Connection) -> dict[str, Said]:
    """What is decided about every instance that anything is decided about."""
    columns = instance.c.id, instance.c.paused_at, instance.c.next_at, instance.c.spacing_until
    return {
        name: Said(paused_at is not None, max((at for at in until if at is not None), default=None))
        for name, paused_at, *until in connection.execute(sa.select(*columns))
    }


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
