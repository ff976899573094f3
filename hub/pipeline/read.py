"""Step 2, read: bytes to messages and events, outside any transaction.

Reading is pure, so it can be done again years later. What cannot be read is set aside alone,
with its bytes, as "kept unread"; it never stops what comes after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.instances import Instance
from hub.log import logger
from hub.pipeline.parts import Parts
from hub.sdk import Event, Message, Raw, Reads
from hub.store.intake import raw, step

PAGE = 100
"""Messages that share a transaction: one commit costs as much as a hundred inserts."""
LIMIT = 10.0
"""Seconds a page may take to be read; an ordinary one takes a thirtieth of a second."""
LATER = 15.0
"""Seconds until a channel whose reader is stuck is looked at again."""


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


def next_page(parts: Parts, instance: str, limit: int = PAGE) -> Sequence[Any]:
    """What an instance brought in and waits to be read, in the order of turns."""
    waiting = (
        sa.select(raw.c.id, raw.c.instance, raw.c.source_key, raw.c.received_at, raw.c.facts, raw.c.data)
        .join(step, step.c.raw_id == raw.c.id)
        .where(step.c.state == "waiting", step.c.stage == "read", step.c.instance == instance)
        .where(step.c.due_at <= parts.now())
        .order_by(step.c.turn_at, step.c.raw_id)  # as the index is: sorting a backlog would read all its bytes
        .limit(limit)
    )
    with parts.store.read() as connection:
        return connection.execute(waiting).all()


def instances_to_read(parts: Parts) -> list[str]:
    """Those with something due to be read, the one that has waited longest first: each has its page in turn."""
    # One short look per instance: a `DISTINCT` would walk through the whole backlog.
    now, found = parts.now(), []
    with parts.store.read() as connection:
        for name in _who_brought(connection, parts):
            oldest = (
                sa.select(step.c.due_at)
                .where(step.c.state == "waiting", step.c.stage == "read", step.c.instance == name)
                .where(step.c.due_at <= now)
                .order_by(step.c.turn_at, step.c.raw_id)
                .limit(1)
            )
            if (at := connection.scalar(oldest)) is not None:
                found.append((at, name))
    return [name for _, name in sorted(found)]


def _who_brought(connection: Connection, parts: Parts) -> set[str]:
    """The running instances, and one that is gone and left something behind."""
    gone = (
        sa.select(step.c.instance)
        .where(step.c.state == "waiting", step.c.stage == "read", step.c.instance.not_in(parts.instances))
        .limit(1)
    )
    left = connection.scalar(gone) if parts.left_behind() else None
    return {*(i.id for i in parts.having("Reads")), *([left] if left else [])}


def read_page(parts: Parts, rows: Sequence[Any]) -> list[Item | Culprit]:
    """Read a page, each instance's raws on its own thread and within a limit.

    A reader that hangs costs the others that limit once: the message it hangs in is set aside, and
    the rest of its channel waits until it lets go.
    """
    found: list[Item | Culprit] = []
    of_instance: dict[str, list[Any]] = {}
    for row in rows:
        of_instance.setdefault(row.instance, []).append(row)
    for name, group in of_instance.items():
        instance = parts.instances.get(name)
        if instance is None or not instance.has("Reads"):
            found += [Culprit(row.id, f"the instance {name} is not running; start it and replay") for row in group]
        else:
            found += _read_group(parts, instance, group)
    return sorted(found, key=lambda one: one.raw_id)


def _read_group(parts: Parts, instance: Instance, rows: Sequence[Any]) -> list[Item | Culprit]:
    done: list[Item | Culprit] = []
    before = parts.reading.get(instance.id)
    if before is not None and not before.done():
        _wait(parts, rows)
        return done
    reader = cast("Reads", instance.component).read
    parts.reading[instance.id] = future = instance.reads.submit(_read_each, reader, rows, done)
    try:
        future.result(LIMIT)
    except TimeoutError:
        read = list(done)  # the thread may still add to its own list; what it adds is read again later
        instance.log.error("reading hangs", raw=rows[len(read)].id, seconds=LIMIT)
        _wait(parts, rows[len(read) + 1 :])
        return [*read, Culprit(rows[len(read)].id, f"it took longer than {LIMIT:g} s to read")]
    return done


def _read_each(reader: Callable[[Raw], Iterable[Message | Event]], rows: Sequence[Any], done: list[Any]) -> None:
    for row in rows:
        done.append(_read(reader, row))  # noqa: PERF401 - one by one: whoever waits sees how far it came


def _wait(parts: Parts, rows: Sequence[Any]) -> None:
    """Look at these again later: their channel's reader is stuck."""
    later = parts.now() + timedelta(seconds=LATER)
    with parts.store.write() as connection:
        connection.execute(sa.update(step).where(step.c.raw_id.in_([row.id for row in rows])).values(due_at=later))


def _read(reader: Callable[[Raw], Iterable[Message | Event]], row: Any) -> Item | Culprit:
    """Read one raw."""
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
