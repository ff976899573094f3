"""Which messages are planned next, and what becomes of one that cannot be: for every engine the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.log import logger
from hub.pipeline.parts import Parts
from hub.pipeline.plan import plan_raw
from hub.pipeline.suggest import Answers
from hub.pipeline.unread import tell_kept
from hub.store import ILL
from hub.store.base import At
from hub.store.intake import step

TRIES = 5
"""How often a message that our own code or a plugin stumbles over is planned before it is set aside."""

MORE = 200
"""How many messages at a time are planned of the cases whose turn it is, all together."""
MANY = 10_000
"""Cases at most that are passed over at one look."""
_ALL = 2**31 - 1


def due_plans(
    connection: Connection, now: datetime, limit: int, *where: sa.ColumnElement[bool], floods: int | None = None
) -> list[Any]:
    """Steps to plan (`raw_id`, `case_id`, `turn_at`): those whose turn it is, then a flood's (hub/flow.py).

    `floods` is how many of these at most. Of a case, the oldest that are due come instead of those found. A case
    whose oldest message failed and waits takes nobody's place: it is asked for what stands behind it.
    """
    passed: set[int] = set()
    while True:
        free = sa.or_(step.c.case_id.is_(None), step.c.case_id.not_in(passed)) if passed else sa.true()
        turns = _turns(connection, now, limit + len(passed), *where, free, floods=floods)
        cases = dict.fromkeys(row.case_id for row in turns if row.case_id is not None)
        of_cases = _of_cases(connection, now, cases) if cases else {}
        waits = {case for case in cases if not of_cases[case]}
        if not waits or len(passed) > MANY:
            break
        passed |= waits
    strands = {row.case_id or f"raw{row.raw_id}": of_cases.get(row.case_id, [row]) for row in turns}
    return [row for strand in list(strands.values())[:limit] for row in strand]


def _turns(
    connection: Connection, now: datetime, limit: int, *where: sa.ColumnElement[bool], floods: int | None
) -> list[Any]:
    """What is due, in the order of turns: no more than `limit`."""
    columns = step.c.raw_id, step.c.case_id, step.c.turn_at
    due = sa.select(*columns).where(*_waits(step), step.c.due_at <= now, *where).order_by(step.c.due_at, step.c.raw_id)
    # Two questions, each along an index: in one, what waits for later would be passed over at every look.
    found: list[Any] = list(connection.execute(due.where(step.c.turn_at <= now).limit(limit)))
    behind = min(limit - len(found), limit if floods is None else floods)
    if behind > 0:
        found += connection.execute(due.where(step.c.turn_at > now).limit(behind))
    return found


def _of_cases(connection: Connection, now: datetime, cases: Collection[int]) -> dict[int, list[Any]]:
    """What is to be planned of each case, in the order of its messages, up to one that failed and waits."""
    first, oldest = _not_yet(connection, now, cases), _oldest_of(connection, now, cases)
    return {case: [row for row in oldest[case] if row.place <= first.get(case, row.place)] for case in cases}


def _oldest_of(connection: Connection, now: datetime, cases: Collection[int]) -> dict[int, list[Any]]:
    """What is due of each case, from its oldest message on: whichever of them brought the case here.

    That is not the order of due times, for what failed is due again later than what came after it, nor that of the
    raws: what came in first on one channel may be recorded after another channel's.
    """
    of = _steps_of(cases)
    order = of.c.place, of.c.raw_id
    nth = sa.func.row_number().over(partition_by=of.c.case_id, order_by=order).label("nth")
    columns = of.c.raw_id, of.c.case_id, of.c.turn_at, of.c.place, nth
    placed = sa.select(*columns).where(*_waits(of), of.c.due_at <= now).subquery("of_cases_placed")
    most = max(1, MORE // len(cases))
    found: dict[int, list[Any]] = {case: [] for case in cases}
    for row in connection.execute(sa.select(placed).where(placed.c.nth <= most).order_by(placed.c.nth)):
        found[row.case_id].append(row)
    return found


def _waits(steps: sa.FromClause) -> tuple[sa.ColumnElement[bool], ...]:
    """Those that wait to be planned."""
    return steps.c.state == "waiting", steps.c.stage == "plan"


# Made once, not at every use: docs/decisions/0012-what-a-message-costs.md
_waiting = (
    sa.select(step.c.raw_id, step.c.due_at)
    .where(*_waits(step))
    .where(sa.or_(step.c.due_at <= sa.bindparam("now", type_=At), step.c.late == 0))
    .order_by(step.c.place, step.c.raw_id)
    .limit(sa.bindparam("most"))
)
_OF_CASE = _waiting.where(step.c.case_id == sa.bindparam("of"))
_OF_RAW = _waiting.where(step.c.raw_id == sa.bindparam("of"))


def due_in_lane(connection: Connection, now: datetime, lane: str, limit: int) -> list[int]:
    """The raws to plan of one case (its number) or of one raw without a case (``rawNUMBER``), the oldest first."""
    of_raw = lane.startswith("raw")
    asked = {"of": int(lane[3:] if of_raw else lane), "now": now, "most": limit}
    rows = connection.execute(_OF_RAW if of_raw else _OF_CASE, asked)
    found: list[int] = []
    for row in rows:
        if row.due_at <= now:
            found.append(row.raw_id)
        else:
            break  # it failed and waits: what the customer said later must not overtake it
    return found


def _not_yet(connection: Connection, now: datetime, cases: Collection[int]) -> dict[int | None, int]:
    """By case, the place of its oldest message that is planned for the first time and not due yet.

    It failed and waits, or the clock was set back. What the customer said later must not overtake it.
    """
    of = _steps_of(cases)
    ahead = (
        sa.select(of.c.case_id, sa.func.min(of.c.place))
        .where(*_waits(of), of.c.due_at > now, of.c.late == 0)
        .group_by(of.c.case_id)
    )
    return dict(connection.execute(ahead).all())


def _steps_of(cases: Collection[int]) -> sa.Subquery:
    """All that is left of some cases.

    A limit that nothing reaches keeps SQLite from looking at it together with what is asked of these: it would walk
    through all that is due, to find it in order.
    """
    return sa.select(step).where(step.c.case_id.in_(cases)).limit(_ALL).subquery("of_cases")


def plan_raws(parts: Parts, answers: Answers, raw_ids: Sequence[int]) -> None:
    """Plan the raws of one case, in the order given, until one fails: what comes after it waits with it."""
    for raw_id in raw_ids:
        if parts.stop.is_set():
            return
        try:
            begun = parts.clock.monotonic()
            plan_raw(parts, answers, raw_id)
            parts.pushes.give_way(parts.clock.monotonic() - begun, parts.stop)
        except ILL:
            raise  # the database is ill: the step stays as it is
        except Exception as error:  # noqa: BLE001 - this message alone is set aside
            logger().error("could not plan", raw=raw_id, error=type(error).__name__)
            logger().debug("could not plan", exc_info=True)
            _set_aside(parts, raw_id, type(error).__name__)
            return


def _set_aside(parts: Parts, raw_id: int, reason: str) -> None:
    with parts.store.write() as connection:
        row = connection.execute(sa.select(step.c.attempts).where(step.c.raw_id == raw_id)).one_or_none()
        if row is None:
            return
        now = parts.now()
        due = now + timedelta(seconds=2.0 ** min(row.attempts, 8))
        state = "waiting" if row.attempts < TRIES else "kept"
        values = {"state": state, "attempts": row.attempts + 1, "reason": f"{reason} while it was planned"}
        connection.execute(sa.update(step).where(step.c.raw_id == raw_id).values(due_at=due, turn_at=due, **values))
        if state == "kept":
            tell_kept(connection, now)
