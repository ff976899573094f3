"""Step 2, read: bytes to messages and events, outside any transaction.

Reading is pure, so it can be done again years later. What cannot be read is set aside alone,
with its bytes, as "kept unread"; it never stops what comes after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from hub.log import logger
from hub.pipeline.parts import Parts
from hub.sdk import Event, Message, Raw
from hub.store.intake import raw, step

PAGE = 100
"""Messages that share a transaction: one commit costs as much as a hundred inserts."""


@dataclass(frozen=True, slots=True)
class Item:
    """One raw and what was read from it."""

    raw_id: int
    instance: str
    received_at: datetime
    said: tuple[Message | Event, ...]


@dataclass(frozen=True, slots=True)
class Culprit:
    """A raw that could not be read or recorded, and why."""

    raw_id: int
    reason: str


def next_page(parts: Parts, limit: int = PAGE) -> Sequence[Any]:
    """The oldest raws that wait to be read."""
    waiting = (
        sa.select(raw.c.id, raw.c.instance, raw.c.source_key, raw.c.received_at, raw.c.facts, raw.c.data)
        .join(step, step.c.raw_id == raw.c.id)
        .where(step.c.state == "waiting", step.c.stage == "read", step.c.due_at <= parts.now())
        .order_by(step.c.due_at, step.c.raw_id)  # as the index is: sorting a backlog would read all its bytes
        .limit(limit)
    )
    with parts.store.read() as connection:
        return connection.execute(waiting).all()


def read(parts: Parts, row: Any) -> Item | Culprit:
    """Read one raw with the component it came through."""
    instance = parts.instances.get(row.instance)
    reader = getattr(instance.component, "read", None) if instance is not None else None
    if reader is None:
        return Culprit(row.id, f"the instance {row.instance} is not running; start it and replay")
    try:
        said = reader(Raw(row.source_key, row.data, row.facts))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it was, the bytes are kept and the next mail is read
        # The words of an exception may quote the mail; the type and our own sentence say enough.
        logger(instance=row.instance).warning("kept unread", raw=row.id, error=type(error).__name__)
        known = type(error).__module__.startswith("hub.")
        return Culprit(row.id, str(error) if known else f"{type(error).__name__} while it was read")
    return Item(row.id, row.instance, row.received_at, tuple(said))
