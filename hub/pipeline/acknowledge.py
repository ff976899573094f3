"""May the hub acknowledge this message? Every "no" has a reason that the case's page shows.

RFC 3834 section 2 and docs/explanation/acknowledgements.md: once per case, capped per sender and
in total, never to machines, and only where the envelope sender and From agree or the sender is
proven, so that a forged From never sends somebody's case number to a stranger.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.pipeline.parts import Parts
from hub.store import alone, upsert
from hub.store.cases import case, delivery
from hub.store.intake import message
from hub.store.people import throttle


def why_not(connection: Connection, parts: Parts, of_case: sa.Row[Any], said: sa.Row[Any], address: str) -> str:
    """The reason not to acknowledge `said`, or an empty string. Counts towards the caps when empty."""
    channel = parts.instances.get(said.instance)
    if channel is None or not channel.has("Sends"):
        return "this channel cannot send"
    voice = parts.config.voice(channel.section)
    if voice != "hub":
        return f'acknowledge = "{voice}": the hub is silent here'
    if of_case.acknowledged_at is not None or of_case.acknowledge_reason:
        return of_case.acknowledge_reason or "this case was acknowledged already"
    earlier = sa.select(message.c.id).where(message.c.case_id == of_case.id, message.c.id < said.id).limit(1)
    if connection.scalar(earlier) is not None:
        return "only a case's first message is acknowledged"
    if not said.may_acknowledge:
        return said.acknowledge_reason or "the message does not allow it"
    return _over_cap(connection, parts, address)


def acknowledgement_is_owed(connection: Connection, case_id: int) -> bool:
    """Whether one was owed for this case already, whatever became of it."""
    owed = sa.select(delivery.c.id).where(delivery.c.case_id == case_id, delivery.c.ability == "send")
    return connection.scalar(owed.limit(1)) is not None


def give_back(connection: Connection, address: str, owed_at: datetime) -> None:
    """An acknowledgement was withdrawn before it was sent: it does not count towards the caps."""
    keys = (_key(address), "ack")
    counted = sa.update(throttle).where(throttle.c.key.in_(keys), throttle.c.window_at == _day(owed_at))
    connection.execute(counted.where(throttle.c.count > 0).values(count=throttle.c.count - 1))


def _key(address: str) -> str:
    return f"ack:{address}"[:200]


def _day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _over_cap(connection: Connection, parts: Parts, address: str) -> str:
    limits = parts.config.acknowledge
    alone(connection, "acknowledge")  # two at once would both be the last one allowed
    day = _day(parts.now())
    if _count(connection, _key(address), day) >= limits.per_sender_day:
        return f"{limits.per_sender_day} acknowledgements went to this address today (acknowledge.per_sender_day)"
    today = _count(connection, "ack", day)
    if today >= limits.per_day:
        return f"{limits.per_day} acknowledgements were sent today (acknowledge.per_day)"
    _raise_count(connection, _key(address), day)
    _raise_count(connection, "ack", day)
    if not today:  # once a day: it reads the whole table
        connection.execute(sa.delete(throttle).where(throttle.c.window_at < day - timedelta(days=7)))
    return ""


def _count(connection: Connection, key: str, day: datetime) -> int:
    found = sa.select(throttle.c.count).where(throttle.c.key == key, throttle.c.window_at == day)
    return connection.scalar(found) or 0


def _raise_count(connection: Connection, key: str, day: datetime) -> None:
    insert = upsert(connection, throttle).values(key=key, window_at=day, count=1)
    connection.execute(
        insert.on_conflict_do_update(index_elements=["key", "window_at"], set_={"count": throttle.c.count + 1})
    )


def remember(connection: Connection, case_id: int, reason: str) -> None:
    """Keep why a case was not acknowledged; the first reason stays."""
    connection.execute(
        sa.update(case)
        .where(case.c.id == case_id, case.c.acknowledge_reason == "", case.c.acknowledged_at.is_(None))
        .values(acknowledge_reason=reason)
    )
