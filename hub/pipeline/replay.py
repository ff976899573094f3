"""A human says "again": kept messages are read again, refused deliveries are tried again; or "not now": a pause.

These write rows only; a running daemon picks them up within a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.pipeline.undecided import close_undecided
from hub.pipeline.unread import KEPT
from hub.store import Store
from hub.store.alerts import close_alert
from hub.store.cases import case, delivery
from hub.store.intake import message, message_body, step
from hub.store.lanes import READ, out_lane, plan_lane, read_lane
from hub.store.sides import set_paused


def replay_raw(store: Store, now: datetime, raw_id: int | None = None) -> int:
    """Take a kept raw (or all of them) up again where it stopped; returns how many.

    One that was recorded already is planned again, not read: it would be taken for a copy of itself.
    """
    which = step.c.state == "kept" if raw_id is None else sa.and_(step.c.state == "kept", step.c.raw_id == raw_id)
    with store.write() as connection:
        ids = sa.select(step.c.raw_id).where(which)
        unread = sa.select(message.c.id).where(message.c.raw_id.in_(ids), message.c.state == "unread")
        connection.execute(sa.delete(message_body).where(message_body.c.message_id.in_(unread)))
        connection.execute(sa.delete(message).where(message.c.raw_id.in_(ids), message.c.state == "unread"))
        # Nobody's flood: what its sender said later may not be one either, and must not be read first.
        values = {"state": "waiting", "due_at": now, "turn_at": now, "flood": 0, "attempts": 0, "reason": ""}
        again = sa.update(step).where(which).values(values)
        taken = connection.execute(again.returning(step.c.raw_id, step.c.stage, step.c.case_id, step.c.instance)).all()
        if connection.scalar(sa.select(step.c.raw_id).where(step.c.state == "kept").limit(1)) is None:
            close_alert(connection, KEPT, now)
        lanes = [read_lane(t.instance) if t.stage == READ else plan_lane(t.case_id, t.raw_id) for t in taken]
        store.wake(connection, lanes)
    return len(taken)


def replay_delivery(store: Store, now: datetime, delivery_id: int | None = None, *, instance: str = "") -> int:
    """Try a rejected or held delivery (or all of them, or all to `instance`) again; returns how many.

    An unsure one is not repeated here: say what happened to it first (`settle_unsure`).
    """
    which = [delivery.c.state.in_(("rejected", "held")), *_of(delivery_id, instance)]
    with store.write() as connection:
        again = sa.update(delivery).where(*which).values(state="waiting", due_at=now, turn_at=now, reason="replayed")
        lanes = connection.scalars(again.returning(delivery.c.lane)).all()
        close_undecided(connection, "rejected", now)
        store.wake(connection, [out_lane(one) for one in lanes])
    return len(lanes)


def retry_now(store: Store, now: datetime, delivery_id: int) -> bool:
    """Bring a waiting delivery's next try forward to now."""
    with store.write() as connection:
        soon = sa.update(delivery).where(delivery.c.id == delivery_id, delivery.c.state == "waiting")
        lanes = connection.scalars(soon.values(due_at=now, turn_at=now).returning(delivery.c.lane)).all()
        store.wake(connection, [out_lane(one) for one in lanes])
    return bool(lanes)


def settle_unsure(
    store: Store,
    now: datetime,
    delivery_id: int | None = None,
    *,
    sent: bool,
    instance: str = "",
    expected: int | None = None,
) -> int:
    """A human looked: it went out (`sent`), or it did not and is sent now. Returns how many were unsure.

    Without an id all are settled, or all to `instance`; with `expected` none where they are another number
    by now: of one that came since, nobody has looked what became of it.
    """
    which = [delivery.c.state == "unsure", *_of(delivery_id, instance)]
    state = "done" if sent else "waiting"
    # Nobody looks for what a human has looked for: it counts as not begun. The number of attempts only grows, for by
    # it a call that ends late knows that the row went on without it (hub/pipeline/settle.py).
    values: dict[str, Any] = {"state": state, "due_at": now, "turn_at": now, "reason": "decided by a human"}
    values |= {"started_at": None, "attempts": delivery.c.attempts + 1}
    told = (delivery.c.ability, delivery.c.message_id, delivery.c.case_id, delivery.c.lane)
    try:
        with store.write() as connection:
            rows = connection.execute(sa.update(delivery).where(*which).values(**values).returning(*told)).all()
            if expected not in (None, len(rows)):
                raise _ChangedError
            # Of what is not sent, `message_id` names the customer's words.
            _show(connection, [row for row in rows if row.ability == "send"], now, sent=sent)
            if rows:
                close_undecided(connection, "unsure", now)
            store.wake(connection, [out_lane(row.lane) for row in rows])
    except _ChangedError:
        return 0
    return len(rows)


class _ChangedError(Exception):
    """There are more or fewer than a human has looked at: all stays as it was."""


def _show(connection: Connection, sends: Sequence[sa.Row[Any]], now: datetime, *, sent: bool) -> None:
    """What was decided, on the timelines; a page of rows at a time."""
    for first in range(0, len(sends), 500):
        some = sends[first : first + 500]
        shown = sa.update(message).where(message.c.id.in_([row.message_id for row in some]))
        connection.execute(shown.values(state="sent" if sent else "queued"))
        if sent:
            cases = sa.update(case).where(case.c.id.in_([row.case_id for row in some]))
            connection.execute(cases.values(acknowledged_at=now))


def _of(delivery_id: int | None, instance: str) -> list[sa.ColumnElement[bool]]:
    """The conditions that an id and an instance make."""
    one = [] if delivery_id is None else [delivery.c.id == delivery_id]
    return [*one, *([delivery.c.instance == instance] if instance else [])]


def pause(store: Store, now: datetime, instance: str, by: str, *, on: bool) -> bool:
    """Pause an instance, or let it go on; False where it was so already. Takes effect within about a second.

    While paused it is not called: nothing is fetched and nothing goes out. What others push is still kept.
    """
    with store.write() as connection:
        return set_paused(connection, instance, by, now if on else None)
