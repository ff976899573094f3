"""A human says "again": kept messages are read again, refused deliveries are tried again; or "not now": a pause.

These write rows only; a running daemon picks them up within a second.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

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
        again = sa.update(step).where(which).values(state="waiting", due_at=now, turn_at=now, attempts=0, reason="")
        taken = connection.execute(again.returning(step.c.raw_id, step.c.stage, step.c.case_id, step.c.instance)).all()
        if connection.scalar(sa.select(step.c.raw_id).where(step.c.state == "kept").limit(1)) is None:
            close_alert(connection, KEPT, now)
        lanes = [read_lane(t.instance) if t.stage == READ else plan_lane(t.case_id, t.raw_id) for t in taken]
        store.wake(connection, lanes)
    return len(taken)


def replay_delivery(store: Store, now: datetime, delivery_id: int | None = None) -> int:
    """Try a rejected or held delivery (or all of them) again; returns how many.

    An unsure one is not repeated here: say what happened to it first (`settle_unsure`).
    """
    again = sa.update(delivery).where(delivery.c.state.in_(("rejected", "held")))
    if delivery_id is not None:
        again = again.where(delivery.c.id == delivery_id)
    with store.write() as connection:
        replayed = again.values(state="waiting", due_at=now, turn_at=now, reason="replayed").returning(delivery.c.lane)
        lanes = connection.scalars(replayed).all()
        _close_if_none(connection, "rejected", now)
        store.wake(connection, [out_lane(one) for one in lanes])
    return len(lanes)


def retry_now(store: Store, now: datetime, delivery_id: int) -> bool:
    """Bring a waiting delivery's next try forward to now."""
    with store.write() as connection:
        soon = sa.update(delivery).where(delivery.c.id == delivery_id, delivery.c.state == "waiting")
        lanes = connection.scalars(soon.values(due_at=now, turn_at=now).returning(delivery.c.lane)).all()
        store.wake(connection, [out_lane(one) for one in lanes])
    return bool(lanes)


def settle_unsure(store: Store, now: datetime, delivery_id: int, *, sent: bool) -> bool:
    """A human looked: it went out (`sent`), or it did not and is sent now. False when it was not unsure."""
    with store.write() as connection:
        row = connection.execute(
            sa.select(delivery).where(delivery.c.id == delivery_id, delivery.c.state == "unsure")
        ).one_or_none()
        if row is None:
            return False
        state = "done" if sent else "waiting"
        values = {"state": state, "due_at": now, "turn_at": now, "reason": "decided by a human", "attempts": 0}
        connection.execute(sa.update(delivery).where(delivery.c.id == delivery_id).values(**values))
        if row.ability == "send":  # of the others, `message_id` names the customer's words
            shown = sa.update(message).where(message.c.id == row.message_id)
            connection.execute(shown.values(state="sent" if sent else "queued"))
        if row.ability == "send" and sent:
            connection.execute(sa.update(case).where(case.c.id == row.case_id).values(acknowledged_at=now))
        _close_if_none(connection, "unsure", now)
        store.wake(connection, [out_lane(row.lane)])
    return True


def pause(store: Store, now: datetime, instance: str, by: str, *, on: bool) -> bool:
    """Pause an instance, or let it go on; False where it was so already. Takes effect within about a second.

    While paused it is not called: nothing is fetched and nothing goes out. What others push is still kept.
    """
    with store.write() as connection:
        return set_paused(connection, instance, by, now if on else None)


def _close_if_none(connection: Connection, state: str, now: datetime) -> None:
    if connection.scalar(sa.select(delivery.c.id).where(delivery.c.state == state).limit(1)) is None:
        close_alert(connection, state, now)
