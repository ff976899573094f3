"""What is owed to far sides, and what was received but could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.cases import case, delivery
from hub.store.intake import message, raw, step
from hub.store.reading_entries import filled

STATES = ("waiting", "sending", "held", "unsure", "rejected", "done", "skipped")


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One thing owed to a far side, with the case and message it is for."""

    id: int
    key: str
    instance: str
    ability: str
    lane: str
    state: str
    attempts: int
    reason: str
    result: str
    due_at: datetime
    created_at: datetime
    started_at: datetime | None
    done_at: datetime | None
    case_number: str | None
    message_id: int | None


@dataclass(frozen=True, slots=True)
class KeptRow:
    """Something received that could not be read; its bytes are safe. `size` in bytes."""

    id: int
    instance: str
    source_key: str
    received_at: datetime
    size: int
    sha256: str
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class RawRow:
    """The bytes as they came."""

    id: int
    instance: str
    source_key: str
    received_at: datetime
    size: int
    sha256: str
    facts: Mapping[str, Any]
    data: bytes


_DELIVERY = sa.select(delivery, case.c.number.label("case_number")).outerjoin(case, case.c.id == delivery.c.case_id)


def deliveries_by_state(connection: Connection, instance: str = "") -> dict[str, int]:
    """How many there are in each state, of all or of those to `instance`."""
    query = sa.select(delivery.c.state, sa.func.count()).group_by(delivery.c.state)
    if instance:
        query = query.where(delivery.c.instance == instance)
    return {state: count for state, count in connection.execute(query)}


def deliveries(
    connection: Connection, *, state: str = "", instance: str = "", before: int | None = None, limit: int = 50
) -> tuple[list[DeliveryRow], int | None]:
    """Deliveries, newest first, and the id to go on `before` (None: these were the last)."""
    where = [delivery.c.id < before] if before is not None else []
    if state:
        where.append(delivery.c.state == state)
    if instance:
        where.append(delivery.c.instance == instance)
    query = _DELIVERY.where(*where).order_by(delivery.c.id.desc()).limit(limit + 1)
    rows = [filled(DeliveryRow, row) for row in connection.execute(query).mappings()]
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def deliveries_of_messages(connection: Connection, messages: list[int]) -> dict[int, list[DeliveryRow]]:
    """What each of these messages caused, oldest first, found through their cases."""
    cases = sa.select(message.c.case_id).where(message.c.id.in_(messages), message.c.case_id.is_not(None))
    query = _DELIVERY.where(delivery.c.case_id.in_(cases), delivery.c.message_id.in_(messages))
    found: dict[int, list[DeliveryRow]] = {}
    for row in connection.execute(query.order_by(delivery.c.id)).mappings():
        found.setdefault(row["message_id"], []).append(filled(DeliveryRow, row))
    return found


def deliveries_of_case(connection: Connection, case_id: int) -> list[DeliveryRow]:
    """Everything a case owes or owed, oldest first."""
    query = _DELIVERY.where(delivery.c.case_id == case_id).order_by(delivery.c.id).limit(500)
    return [filled(DeliveryRow, row) for row in connection.execute(query).mappings()]


def kept_unread(
    connection: Connection, *, before: int | None = None, limit: int = 50
) -> tuple[list[KeptRow], int | None]:
    """What is kept unread, newest first, and the id to go on `before`."""
    where = [step.c.state == "kept"] + ([raw.c.id < before] if before is not None else [])
    columns = (raw.c.id, raw.c.instance, raw.c.source_key, raw.c.received_at, raw.c.size, raw.c.sha256)
    query = (
        sa.select(*columns, step.c.attempts, step.c.reason)
        .join(step, step.c.raw_id == raw.c.id)
        .where(*where)
        .order_by(raw.c.id.desc())
        .limit(limit + 1)
    )
    rows = [filled(KeptRow, row) for row in connection.execute(query).mappings()]
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def raw_row(connection: Connection, raw_id: int) -> RawRow | None:
    """The bytes as they came, or None."""
    row = connection.execute(sa.select(raw).where(raw.c.id == raw_id)).mappings().first()
    return filled(RawRow, row) if row else None
