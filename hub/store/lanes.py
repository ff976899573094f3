"""Lanes: strands of work that must stay in order, for engines of several processes (docs/decisions/0007).

A row says that work is open in a lane; it goes when nothing is left. Its lock is what closes the race
between somebody who writes work and the worker who finds the lane empty. With one process that looks
at the rows itself nobody opens lanes, and this table stays empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.base import At, metadata
from hub.store.cases import delivery
from hub.store.intake import step
from hub.store.session import upsert

READ, PLAN = "read", "plan"
"""Stages of a step, and the beginnings of their lanes' keys."""
OUT = "out"
"""The beginning of a delivery's lane's key."""
READING, PLANNING = "#read", "#plan"
"""Queues beside those of the instances, whose names are their ids: no id begins so."""
OPEN = ("waiting", "sending")
"""States of a delivery that still has to go out."""

lane = sa.Table(
    "lane",
    metadata,
    sa.Column("key", sa.String(160), primary_key=True),
    sa.Column("queue", sa.String(80), nullable=False),
    sa.Column("due_at", At, nullable=False),  # when somebody should look again
    sa.Column("behind", sa.Boolean, nullable=False),  # others have their turn first (hub/flow.py)
    sa.Column("live", sa.Boolean, nullable=False),  # a job is under way
    sa.Index("ix_lane_queue_live_due_at", "queue", "live", "due_at"),
)


@dataclass(frozen=True, slots=True, order=True)
class Lane:
    """One strand. `queue` says who drains it; `behind` that others have their turn first."""

    key: str
    queue: str
    behind: bool = False


def read_lane(instance: str) -> Lane:
    """What an instance brought in, on its way to the timeline."""
    return Lane(f"{READ}/{instance}", READING)


def plan_lane(case_id: int | None, raw_id: int, *, behind: bool = False) -> Lane:
    """What is to be decided for a case; for a raw without one, for itself."""
    return Lane(f"{PLAN}/{case_id}" if case_id is not None else f"{PLAN}/raw{raw_id}", PLANNING, behind)


def out_lane(of_delivery: str, *, behind: bool = False) -> Lane:
    """The lane of deliveries whose column `lane` says ``INSTANCE/CASE``."""
    # What goes out to an instance has a queue of its own, so that a slow one delays only itself.
    return Lane(f"{OUT}/{of_delivery}", of_delivery.partition("/")[0], behind)


def lanes_of_raws(connection: Connection, raw_ids: Collection[int]) -> list[Lane]:
    """The lanes in which these raws wait to be planned."""
    waiting = sa.select(step.c.raw_id, step.c.case_id, step.c.due_at, step.c.turn_at).where(
        step.c.raw_id.in_(raw_ids), step.c.stage == PLAN, step.c.state == "waiting"
    )
    return [plan_lane(row.case_id, row.raw_id, behind=row.turn_at > row.due_at) for row in connection.execute(waiting)]


def open_lanes(
    connection: Connection, lanes: Iterable[Lane], now: datetime, room: Mapping[str, int] | None = None
) -> list[Lane]:
    """Note that there is work; returns the lanes that have no job yet and are marked as having one now.

    The caller defers those jobs in the same transaction. A flood's lanes get none here, nor those for which their
    queue has no `room`: they are due, and `take_due` takes them when there is. In the order of their keys, so that
    two writers never wait for each other in a ring.
    """
    rows, begun = [], Counter[str]()
    for one in _each_once(lanes):
        live = not one.behind and (room is None or begun[one.queue] < room[one.queue])
        begun[one.queue] += live
        rows.append({"key": one.key, "queue": one.queue, "due_at": now, "behind": one.behind, "live": live})
    if not rows:
        return []
    insert = upsert(connection, lane).values(rows)
    new = insert.excluded
    # A row that is not updated is locked all the same: whoever is about to end this lane sees our work first.
    taken = insert.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "live": new.live,
            # Whoever stands in line keeps the place.
            "due_at": sa.case((lane.c.due_at < now, lane.c.due_at), else_=sa.literal(now, At)),
            "behind": sa.and_(lane.c.behind, new.behind),
        },
        where=~lane.c.live,
    ).returning(lane.c.key, lane.c.queue, lane.c.behind, lane.c.live)
    return [Lane(row.key, row.queue, row.behind) for row in connection.execute(taken) if row.live]


def _each_once(lanes: Iterable[Lane]) -> list[Lane]:
    """By key; one that is not behind others wins over the same lane that is."""
    return sorted({one.key: one for one in sorted(lanes, key=lambda o: o.behind, reverse=True)}.values())


# Made once, not at every use: docs/decisions/0012-what-a-message-costs.md
_of: sa.BindParameter[Any] = sa.bindparam("of")
_first_step = sa.select(sa.func.min(step.c.due_at)).where(step.c.state == "waiting")
_NEXT_READ = _first_step.where(step.c.stage == READ, step.c.instance == _of)
_of_case = step.c.stage == PLAN, step.c.case_id == _of
# What failed and waits keeps what came after it (hub/pipeline/next.py), however long that has been due.
_failed = (
    sa.select(sa.func.min(step.c.place))
    .where(step.c.state == "waiting", *_of_case, step.c.late == 0, step.c.due_at > sa.bindparam("now", type_=At))
    .scalar_subquery()
)
_NEXT_PLAN = _first_step.where(*_of_case, step.c.place <= sa.func.coalesce(_failed, step.c.place))
_NEXT_RAW = _first_step.where(step.c.stage == PLAN, step.c.raw_id == _of)
_NEXT_OUT = (
    sa.select(delivery.c.due_at)
    .where(delivery.c.lane == _of, delivery.c.state.in_(OPEN))
    .order_by(delivery.c.id)
    .limit(1)
)
_OVERSLEPT = (
    sa.update(lane)
    .where(
        lane.c.queue == READING,
        ~lane.c.live,
        lane.c.due_at > sa.bindparam("now", type_=At),
        sa.exists().where(
            step.c.state == "waiting",
            step.c.stage == READ,
            step.c.instance == sa.func.substr(lane.c.key, len(READ) + 2),
            step.c.due_at <= sa.bindparam("now", type_=At),
        ),
    )
    .values(due_at=sa.bindparam("now", type_=At))
)
_LOCK = sa.select(lane).where(lane.c.key == _of).with_for_update()
_CLOSE = sa.delete(lane).where(lane.c.key == _of)


def end_lane(connection: Connection, key: str, now: datetime, not_before: datetime | None = None) -> Lane | None:
    """A job has drained what it could: close the lane, let it wait, or say that more is due (returned, still live).

    `not_before` is when its instance may be called again.
    """
    row = connection.execute(_LOCK, {"of": key}).one_or_none()
    due = next_due(connection, key, now)
    if not_before is not None and due is not None:
        due = max(due, not_before)
    if row is None:
        return None  # somebody closed it: what is open now is found by `lost_lanes`
    if due is None:
        connection.execute(_CLOSE, {"of": key})
        return None
    if due <= now:
        return Lane(row.key, row.queue, row.behind)
    connection.execute(sa.update(lane).where(lane.c.key == key).values(live=False, due_at=due))
    return None


def next_due(connection: Connection, key: str, now: datetime) -> datetime | None:
    """When there is something to do in a lane; None where it is empty."""
    kind, _, rest = key.partition("/")
    found: datetime | None
    if kind == READ:
        found = connection.scalar(_NEXT_READ, {"of": rest})
    elif kind == PLAN and rest.startswith("raw"):
        found = connection.scalar(_NEXT_RAW, {"of": int(rest[3:])})
    elif kind == PLAN:
        found = connection.scalar(_NEXT_PLAN, {"of": int(rest), "now": now})
    else:
        found = connection.scalar(_NEXT_OUT, {"of": rest})
    return found


def take_due(
    connection: Connection, queues: Collection[str], now: datetime, limit: int, floods: int | None = None
) -> Sequence[Lane]:
    """Lanes without a job whose time has come, marked as having one now; the caller defers the jobs.

    Those whose turn it is, then at most `floods` of a flood's. What another process is just looking at is
    passed over.
    """
    keys = _due(connection, queues, now, limit, behind=False)
    keys += _due(connection, queues, now, limit - len(keys) if floods is None else floods, behind=True)
    if not keys:
        return []
    mark = sa.update(lane).where(lane.c.key.in_(keys)).values(live=True)
    return [Lane(*row) for row in connection.execute(mark.returning(lane.c.key, lane.c.queue, lane.c.behind))]


def _due(connection: Connection, queues: Collection[str], now: datetime, limit: int, *, behind: bool) -> list[str]:
    if limit <= 0:
        return []
    due = (
        sa.select(lane.c.key)
        .where(
            lane.c.queue.in_(queues), ~lane.c.live, lane.c.due_at <= now, lane.c.behind if behind else ~lane.c.behind
        )
        .order_by(lane.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(connection.scalars(due))


def lost_lanes(connection: Connection, now: datetime, limit: int = 1000) -> int:
    """Open a lane for work that has none: rows of a restored backup, of a hub with another engine, of a hand.

    And wake a lane of readers that waits for something later, while something is due: whoever wrote that died before
    it said so (hub/pipeline/waking.py). Returns how many. They are due at once and have no job yet.
    """
    found = [*_lost_steps(connection, now, limit), *_lost_deliveries(connection, now, limit)]
    rows = [
        {"key": one.key, "queue": one.queue, "due_at": now, "behind": one.behind, "live": False}
        for one in _each_once(found)
    ]
    if rows:
        connection.execute(upsert(connection, lane).values(rows).on_conflict_do_nothing())
    return len(rows) + connection.execute(_OVERSLEPT, {"now": now}).rowcount


def _lost_steps(connection: Connection, now: datetime, limit: int) -> list[Lane]:
    name = sa.case(
        (step.c.stage == READ, sa.literal("read/") + step.c.instance),
        (step.c.case_id.is_(None), sa.literal("plan/raw") + sa.cast(step.c.raw_id, sa.String)),
        else_=sa.literal("plan/") + sa.cast(step.c.case_id, sa.String),
    )
    missing = ~sa.exists().where(lane.c.key == name)
    query = (
        sa.select(name.label("key"), step.c.stage)
        .where(step.c.state == "waiting", step.c.due_at <= now, missing)
        .distinct()
        .limit(limit)
    )
    queues = {READ: READING, PLAN: PLANNING}
    return [Lane(row.key, queues[row.stage]) for row in connection.execute(query)]


def _lost_deliveries(connection: Connection, now: datetime, limit: int) -> list[Lane]:
    missing = ~sa.exists().where(lane.c.key == sa.literal("out/") + delivery.c.lane)
    query: sa.Select[Any] = (
        sa.select(delivery.c.lane)
        .where(delivery.c.state.in_(OPEN), delivery.c.due_at <= now, missing)
        .distinct()
        .limit(limit)
    )
    return [out_lane(name) for name in connection.scalars(query)]


def free_lanes(connection: Connection, *where: sa.ColumnElement[bool]) -> list[str]:
    """These lanes lost their job: they are due again. Returns their keys."""
    return list(connection.scalars(sa.update(lane).where(lane.c.live, *where).values(live=False).returning(lane.c.key)))
