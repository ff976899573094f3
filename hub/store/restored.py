"""What a database knows of its own restore, and what is changed in its rows for it (docs/decisions/0010)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.rules.dates import parse_date
from hub.store.cases import case, case_counter, delivery
from hub.store.intake import cursor, raw
from hub.store.notes import get_note, set_note
from hub.store.people import login
from hub.store.session import upsert

NOTE = "restored"
SPARE = 1000
"""Case numbers passed over at least; and, for each case of as long a time before the backup, `EACH` more."""
EACH = 10


@dataclass(frozen=True, slots=True)
class Restored:
    """A restore: of a backup `taken_at`, done `at`; the lost hub may have worked `until`."""

    taken_at: datetime
    until: datetime
    at: datetime


def read_restored(connection: Connection) -> Restored | None:
    """The last restore of this database, if any."""
    kept = json.loads(get_note(connection, NOTE) or "{}")
    times = [parse_date(kept.get(name, "")) for name in ("taken_at", "until", "at")]
    taken_at, until, at = times
    return Restored(taken_at, until, at) if taken_at and until and at else None


def write_restored(connection: Connection, restored: Restored) -> None:
    """Remember the restore, for ever: what came before it may be fetched again much later."""
    kept = {n: getattr(restored, n).isoformat() for n in ("taken_at", "until", "at")}
    set_note(connection, NOTE, json.dumps(kept))


def last_sign(connection: Connection) -> datetime | None:
    """When the hub last wrote something that bears a time: no backup holds more than that."""
    newest = sa.select(raw.c.received_at).order_by(raw.c.id.desc()).limit(1)
    signs = [
        connection.scalar(newest),
        connection.scalar(sa.select(sa.func.max(cursor.c.moved_at))),
        connection.scalar(sa.select(sa.func.max(delivery.c.started_at))),
    ]
    return max((s for s in signs if s is not None), default=None)


def skip_numbers(connection: Connection, restored: Restored) -> int:
    """Pass over the case numbers that the lost hub may have given; returns how many.

    A number given twice would lead a customer, an agent or a desk to a stranger's case.
    """
    span = max(restored.until - restored.taken_at, timedelta(0))
    like = sa.select(sa.func.count()).where(case.c.opened_at >= restored.taken_at - span)
    count = SPARE + EACH * (connection.scalar(like) or 0)
    for year in range(restored.taken_at.year, restored.at.year + 1):
        insert = upsert(connection, case_counter).values(year=year, last=count)
        further = {"last": case_counter.c.last + count}
        connection.execute(insert.on_conflict_do_update(index_elements=["year"], set_=further))
    return count


def end_all_sessions(connection: Connection) -> None:
    """Sessions that were ended after the backup must not come back with it."""
    connection.execute(sa.update(login).values(session_epoch=login.c.session_epoch + 1))
