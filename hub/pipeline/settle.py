"""What became of a delivery, written with everything that follows from it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.instances import Instance
from hub.pipeline.parts import Parts
from hub.pipeline.undecided import close_undecided, tell_undecided
from hub.store import lanes as all_lanes
from hub.store import upsert
from hub.store.base import At
from hub.store.cases import case, case_ref, delivery
from hub.store.intake import message, message_ref, step
from hub.store.lanes import OPEN, OUT, read_lane

# Made once, not at every use: docs/decisions/0012-what-a-message-costs.md
_DONE_AFTER_ALL = (
    sa.update(delivery)
    .where(delivery.c.id == sa.bindparam("of"))
    .values(state="done", reason="", result=sa.bindparam("said"), done_at=sa.bindparam("now", type_=At))
)
_DONE = _DONE_AFTER_ALL.where(delivery.c.state.in_(OPEN))
_DUE_NOW = (
    sa.update(step)
    .where(
        step.c.state == "waiting",
        step.c.stage == "read",
        step.c.instance == sa.bindparam("of"),
        step.c.due_at > sa.bindparam("now", type_=At),
    )
    .values(due_at=sa.bindparam("now", type_=At))
)
_RELEASE = (
    sa.update(delivery)
    .where(delivery.c.lane == sa.bindparam("of"), delivery.c.state == "held")
    .values(state="waiting", reason="")
)


def _as_we_left_it(head: sa.Row[Any]) -> sa.ColumnElement[bool]:
    """Nobody else has taken the row on meanwhile: our own attempt is its last one.

    A call may end long after its worker was given up (frozen, cut off from the database); what another worker
    or a human has made of the row since then is newer.
    """
    return sa.and_(delivery.c.id == head.id, delivery.c.state.in_(OPEN), delivery.c.attempts <= head.attempts + 1)


def set_state(
    parts: Parts, head: sa.Row[Any], state: str, reason: str, *, due_in: float = 0.0, attempts: int | None = None
) -> None:
    """Write a state with its reason, unless the row went on without us; `due_in` is in seconds from now."""
    now = parts.now()
    due = now + timedelta(seconds=due_in)
    # What waits has no turn before it is due, so that who looks for the next turn does not pass over it each time.
    turn = (
        sa.case((delivery.c.turn_at < due, sa.literal(due, At)), else_=delivery.c.turn_at)
        if due_in
        else delivery.c.turn_at
    )
    values: dict[str, Any] = {"state": state, "reason": reason[:1000], "due_at": due, "turn_at": turn}
    if attempts is not None:
        values["attempts"] = attempts
    with parts.store.write() as connection:
        write = sa.update(delivery).where(_as_we_left_it(head)).values(**values)
        instance = connection.scalar(write.returning(delivery.c.instance))
        if state == "rejected" and instance is not None:
            tell_undecided(connection, state, instance, now)


def done(parts: Parts, instance: Instance, head: sa.Row[Any], result: str) -> None:
    """The far side has it, whatever was thought of it meanwhile. `result` is its id over there."""
    now = parts.now()
    with parts.store.write(durable=True) as connection:
        values = {"of": head.id, "said": result[:500], "now": now}
        if not connection.execute(_DONE, values).rowcount:
            connection.execute(_DONE_AFTER_ALL, values)
            close_undecided(connection, "unsure", now)
        if head.ability == "save_case":
            insert = upsert(connection, case_ref).values(case_id=head.case_id, instance=instance.id, remote_id=result)
            connection.execute(
                insert.on_conflict_do_update(index_elements=["case_id", "instance"], set_={"remote_id": result})
            )
            _release(connection, head)
            # Agents' words on this ticket may have come before we knew its number (hub/pipeline/record.py).
            if connection.execute(_DUE_NOW, {"of": instance.id, "now": now}).rowcount:
                parts.store.wake(connection, [read_lane(instance.id)])
        elif head.ability == "send":
            _sent(connection, parts, head, result)


def _release(connection: Connection, head: sa.Row[Any]) -> None:
    """What was held because the case was not there may go now."""
    connection.execute(_RELEASE, {"of": head.lane})


def _sent(connection: Connection, parts: Parts, head: sa.Row[Any], message_id: str) -> None:
    now = parts.now()
    connection.execute(
        sa.update(message).where(message.c.id == head.message_id).values(state="sent", message_id=message_id, at=now)
    )
    connection.execute(sa.update(case).where(case.c.id == head.case_id).values(acknowledged_at=now))
    insert = upsert(connection, message_ref).values(ref=message_id[:500], case_id=head.case_id, own=True)
    connection.execute(insert.on_conflict_do_nothing())


def interrupted(parts: Parts) -> None:
    """A process starts: what an earlier one had begun may still be at work over there, from its end on.

    The time on the row counts from the call's beginning, and the call may have lasted until now. What has a lane is
    not ours to judge: other workers may be at it, and who is missed is found by them (hub/engine/rescue.py).
    """
    now = parts.now()
    has_lane = sa.exists().where(all_lanes.lane.c.key == sa.literal(f"{OUT}/") + delivery.c.lane)
    with parts.store.write() as connection:
        for instance in parts.having("Finds"):
            settled = now + timedelta(seconds=instance.settle)
            begun = delivery.c.instance == instance.id, delivery.c.state == "sending", delivery.c.due_at < settled
            connection.execute(sa.update(delivery).where(*begun, ~has_lane).values(due_at=settled))


def broken_off(connection: Connection, parts: Parts, lane: str) -> None:
    """The call under way in this lane has ended, nobody knows how; its far side may be at work a little longer."""
    instance = parts.instances.get(lane.partition("/")[0])
    if instance is not None:
        settled = parts.now() + timedelta(seconds=instance.settle)
        begun = delivery.c.lane == lane, delivery.c.state == "sending"
        connection.execute(sa.update(delivery).where(*begun).values(due_at=settled))


def abandoned(connection: Connection, parts: Parts, lanes: Collection[str]) -> None:
    """Nobody drains these lanes any more, and what was begun in them may still be under way.

    Their jobs are gone or silent; a process cut off from the database lives, and may hold a call for as long as one
    may take, twice (hub/instances.py: it waits for its turn first). Then the far side settles. Only after that may
    somebody look, or call it unsure.
    """
    now = parts.now()
    sending = sa.select(delivery.c.id, delivery.c.instance, delivery.c.started_at, delivery.c.due_at).where(
        delivery.c.lane.in_(lanes), delivery.c.state == "sending"
    )
    for row in connection.execute(sending).all():
        instance = parts.instances.get(row.instance)
        if instance is not None:
            ends = max(now, (row.started_at or now) + timedelta(seconds=2 * instance.limit))
            due = max(row.due_at, ends + timedelta(seconds=instance.settle))
            connection.execute(sa.update(delivery).where(delivery.c.id == row.id).values(due_at=due))


def unsure(parts: Parts, head: sa.Row[Any], reason: str) -> None:
    """Nobody can tell whether it went out; it is shown and not repeated by the hub."""
    with parts.store.write() as connection:
        ours = sa.select(delivery.c.id).where(_as_we_left_it(head)).with_for_update()
        if connection.scalar(ours) is not None:
            mark_unsure(connection, head, reason, parts.now())


def mark_unsure(connection: Connection, head: sa.Row[Any], reason: str, now: datetime) -> None:
    """The same, in a transaction of the caller's."""
    connection.execute(sa.update(delivery).where(delivery.c.id == head.id).values(state="unsure", reason=reason[:1000]))
    if head.ability == "send":
        connection.execute(sa.update(message).where(message.c.id == head.message_id).values(state="unsure"))
    tell_undecided(connection, "unsure", head.instance, now)
