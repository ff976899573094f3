"""Step 2, read: bytes to messages and events, outside any transaction.

Reading is pure, so it can be done again years later. What cannot be read is set aside alone,
with its bytes, as "kept unread"; it never stops what comes after it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

import sqlalchemy as sa

from hub.instances import Instance
from hub.log import logger
from hub.pipeline.parts import Parts, Reading
from hub.pipeline.waiting import PAGE, SHARE, oldest, still_waiting, takes_long
from hub.reading import NoReaderError, Outcome, Unread
from hub.sdk import Event, Message, Raw
from hub.store.intake import step

PATIENCE = 1.0
"""Seconds until a page that is not read yet is left to its thread; an ordinary one takes a thirtieth of a second."""
LIMIT = 10.0
"""Seconds a page may take where it is read by a thread of ours, which nobody can end."""
ENOUGH = 0.5
"""Seconds after which the reading of a flood stops at its next mail: others may have come meanwhile."""
SLOW = timedelta(seconds=30)
"""So long after that a flood counts as one of mails that take long. A reader has ten for each."""
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


def next_page(parts: Parts, instance: str) -> Sequence[Any]:
    """What is read next of an instance; what is being read ahead first."""
    return still_waiting(parts, parts.ahead.pop(instance, ())) or oldest(parts, instance)


def read_ahead(parts: Parts, name: str, rows: Sequence[Any]) -> None:
    """Begin with the page behind `rows`: children read it while this process records.

    Behind fewer than a flood has in a page lies nothing, most likely.
    """
    instance, reading = parts.instances.get(name), parts.reading.get(name)
    if len(rows) < SHARE or instance is None or not instance.has("Reads"):
        return
    if parts.readers.may_hang(instance.component) or takes_long(parts, name):
        return
    if rows[-1].flood and parts.crowd.here(parts.now()):
        return  # it rests first, and who comes meanwhile shall not wait for what was begun with
    following = oldest(parts, name, but=[row.id for row in rows])
    if following and (reading is None or reading.future.done()):
        parts.reading[name] = _begin(parts, instance, following, reading)
    parts.ahead[name] = following


def read_page(parts: Parts, name: str, rows: Sequence[Any]) -> list[Item | Culprit]:
    """Read a page of an instance on its own thread, which mostly waits for a child process.

    What is not read within a moment is left to that thread, and taken when the row is looked at
    again: one mail that takes long costs the other channels that moment once.
    """
    instance = parts.instances.get(name)
    if instance is None or not instance.has("Reads"):
        return [Culprit(row.id, f"the instance {name} is not running; start it and replay") for row in rows]
    return sorted(_read_group(parts, instance, rows), key=lambda one: one.raw_id)


def _read_group(parts: Parts, instance: Instance, rows: Sequence[Any]) -> list[Item | Culprit]:
    reading = parts.reading.get(instance.id)
    if reading is None or _is_over(reading, rows):
        reading = parts.reading[instance.id] = _begin(parts, instance, rows, reading)
    stuck = _be_patient(parts, instance, reading)
    # No further than to the first that is not known: what was read ahead of a page that failed may be known sooner.
    known = list(takewhile(lambda row: row.id in reading.outcomes, rows))
    done = [_judged(row, reading.outcomes.pop(row.id)) for row in known]
    if reading.future.done() and reading.future.exception() is None:
        return [*done, *stuck]  # a flood had its time: what is left is due at once, behind whoever came
    gone = {one.raw_id for one in (*done, *stuck)}
    soon: list[Any] = []
    later: list[Any] = []
    for row in rows:
        if row.id not in gone:
            (soon if row.id in reading.ids or row.id in reading.outcomes else later).append(row)
    _wait(parts, soon, SOON)
    _wait(parts, later, SOON if reading.flood else LATER)
    return [*done, *stuck]


def _is_over(reading: Reading, rows: Sequence[Any]) -> bool:
    """Whether these rows want another one. Of one that was cut short, what is known is taken first."""
    if not reading.future.done() or (reading.cut.is_set() and rows[0].id in reading.outcomes):
        return False
    return any(row.id not in reading.outcomes for row in rows)


def _begin(parts: Parts, instance: Instance, rows: Sequence[Any], last: Reading | None) -> Reading:
    """Set the instance's thread to work on what is not known yet: of a flood, as much as there is time for.

    Its mails may be made to take long, and who comes meanwhile waits for the one that is being read. Nor does anybody
    here wait for them, once that is known.
    """
    outcomes = last.outcomes if last is not None and len(last.outcomes) <= 10 * PAGE else {}
    todo = [row for row in rows if row.id not in outcomes]
    raws = [Raw(row.source_key, row.data, row.facts) for row in todo]
    others = sum(not row.flood for row in todo)  # they stand first
    begun, cut = parts.clock.monotonic(), threading.Event()
    leave = takes_long(parts, instance.id) and not others and not parts.readers.may_hang(instance.component)

    def tell(number: int, outcome: Outcome) -> bool:
        outcomes[todo[number].id] = outcome
        enough = number >= others and parts.clock.monotonic() - begun > ENOUGH
        if enough:
            parts.slow_until[instance.id] = parts.now() + SLOW
        if enough and number < len(todo) - 1:
            cut.set()
        return enough

    future = instance.reads.submit(parts.readers.read, instance.component, raws, tell)
    return Reading([row.id for row in todo], outcomes, future, leave, others < len(todo), cut)


def _be_patient(parts: Parts, instance: Instance, reading: Reading) -> list[Item | Culprit]:
    """Wait for a page a little, once. Returns the raw that is to blame, where nothing else can say which."""
    if reading.waited_for:
        return []
    reading.waited_for = True
    hangs = parts.readers.may_hang(instance.component)
    try:
        reading.future.result(LIMIT if hangs else PATIENCE)
    except NoReaderError:
        pass  # told where it happened; the rows wait
    except TimeoutError:
        if hangs:  # nobody can end that thread; what it still adds is right all the same
            number = next(number for number in reading.ids if number not in reading.outcomes)
            instance.log.error("reading hangs", raw=number, seconds=LIMIT)
            return [Culprit(number, f"it took longer than {LIMIT:g} s to read")]
    return []


def _wait(parts: Parts, rows: Sequence[Any], seconds: float) -> None:
    """Look at these again later: their channel's reader is busy."""
    if not rows:
        return
    later = parts.now() + timedelta(seconds=seconds)
    with parts.store.write() as connection:
        connection.execute(sa.update(step).where(step.c.raw_id.in_([row.id for row in rows])).values(due_at=later))


def tell_readers(parts: Parts) -> None:
    """Tell admins where nobody can be started to read, and that somebody can again. Called at every look."""
    try:
        parts.unreadable.tell(_words(parts.unreadable.host) if parts.readers.failing() else "")
    except sa.exc.SQLAlchemyError as error:  # again at the next look
        logger().debug("could not tell about the readers", error=type(error).__name__)


def _words(host: str) -> str:
    if host:
        return f"On the host {host} no process can be started to read what comes in."
    return "No process can be started to read what comes in: it waits."


def _judged(row: Any, outcome: Outcome) -> Item | Culprit:
    if isinstance(outcome, Unread):
        logger(instance=row.instance).warning("kept unread", raw=row.id, error=outcome.error)
        return Culprit(row.id, outcome.reason)
    return Item(row.id, row.instance, row.received_at, outcome)
