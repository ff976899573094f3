"""Step 2, read: bytes to messages and events, outside any transaction.

Reading is pure, so it can be done again years later. What cannot be read is set aside alone,
with its bytes, as "kept unread"; it never stops what comes after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from hub.instances import Instance
from hub.log import logger
from hub.pipeline.parts import Parts, Reading
from hub.reading import NoReaderError, Outcome, Unread
from hub.sdk import Event, Message, Raw
from hub.store.intake import raw, step

PAGE = 100
"""Messages that share a transaction: one commit costs as much as a hundred inserts."""
PATIENCE = 1.0
"""Seconds until a page that is not read yet is left to its thread; an ordinary one takes a thirtieth of a second."""
LIMIT = 10.0
"""Seconds a page may take where it is read by a thread of ours, which nobody can end."""
SOON, LATER = 0.5, 5.0
"""Seconds until raws are looked at again: those that are being read, and those behind them."""


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


def read_page(parts: Parts, rows: Sequence[Any]) -> list[Item | Culprit]:
    """Read a page, each instance's raws on its own thread, which mostly waits for a child process.

    What is not read within a moment is left to that thread, and taken when the row is looked at
    again: one mail that takes long costs the other channels that moment once.
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
    reading = parts.reading.get(instance.id)
    begun = reading is None or reading.future.done()
    stuck: list[Item | Culprit] = []
    if begun:
        outcomes = reading.outcomes if reading is not None and len(reading.outcomes) <= 10 * PAGE else {}
        todo = [row for row in rows if row.id not in outcomes]
        reading = parts.reading[instance.id] = _begin(parts, instance, todo, outcomes)
        stuck = _be_patient(parts, instance, todo, reading)
    assert reading is not None
    done = [_judged(row, reading.outcomes.pop(row.id)) for row in rows if row.id in reading.outcomes]
    known = {one.raw_id for one in (*done, *stuck)}
    _wait(parts, [row for row in rows if row.id not in known], SOON if begun else LATER)
    return [*done, *stuck]


def _begin(parts: Parts, instance: Instance, rows: Sequence[Any], outcomes: dict[int, Outcome]) -> Reading:
    """Set the instance's thread to work on what is not known yet."""
    raws = [Raw(row.source_key, row.data, row.facts) for row in rows]

    def tell(number: int, outcome: Outcome) -> None:
        outcomes[rows[number].id] = outcome

    return Reading(outcomes, instance.reads.submit(parts.readers.read, instance.component, raws, tell))


def _be_patient(parts: Parts, instance: Instance, rows: Sequence[Any], reading: Reading) -> list[Item | Culprit]:
    """Wait for a page a little. Returns the raw that is to blame, where nothing else can say which."""
    hangs = parts.readers.may_hang(instance.component)
    try:
        reading.future.result(LIMIT if hangs else PATIENCE)
    except NoReaderError:
        pass  # told where it happened; the rows wait
    except TimeoutError:
        if hangs:  # nobody can end that thread; what it still adds is right all the same
            row = next(row for row in rows if row.id not in reading.outcomes)
            instance.log.error("reading hangs", raw=row.id, seconds=LIMIT)
            return [Culprit(row.id, f"it took longer than {LIMIT:g} s to read")]
    return []


def _wait(parts: Parts, rows: Sequence[Any], seconds: float) -> None:
    """Look at these again later: their channel's reader is busy."""
    if not rows:
        return
    later = parts.now() + timedelta(seconds=seconds)
    with parts.store.write() as connection:
        connection.execute(sa.update(step).where(step.c.raw_id.in_([row.id for row in rows])).values(due_at=later))


def _judged(row: Any, outcome: Outcome) -> Item | Culprit:
    if isinstance(outcome, Unread):
        logger(instance=row.instance).warning("kept unread", raw=row.id, error=outcome.error)
        return Culprit(row.id, outcome.reason)
    return Item(row.id, row.instance, row.received_at, outcome)
