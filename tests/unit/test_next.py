"""Which messages are planned next, where some failed and wait, and others come in hundreds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from hub.pipeline.next import due_in_lane, due_plans
from hub.store.intake import raw, step
from hub.store.lanes import next_due
from tests.world import World


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.hub.stop()


THOUSANDS = range(1, 2500)


def waiting(world: Any, *some: tuple[int, int, Any], places: Callable[[int], int] = int) -> None:
    """Messages that wait to be planned, each with its case and its due time; `places` in the case, by raw."""
    now = world.clock.now()
    with world.hub.store.write() as connection:
        for raw_id, case_id, due in some:
            values = {"instance": "support", "source_key": f"s{raw_id}", "sha256": "", "size": 0, "facts": {}}
            connection.execute(sa.insert(raw).values(id=raw_id, received_at=now, data=b"", **values))
            waits = {
                "stage": "plan",
                "state": "waiting",
                "instance": "support",
                "case_id": case_id,
                "place": places(raw_id),
            }
            connection.execute(sa.insert(step).values(raw_id=raw_id, due_at=due, turn_at=now, **waits))
    world.hub.parts.stop.set()


def due_of(world: Any, free: Any) -> dict[int, list[int]]:
    """The messages planned next, by case."""
    found: dict[int, list[int]] = {}
    with world.hub.store.read() as connection:
        for row in due_plans(connection, world.clock.now(), 10, free):
            found.setdefault(row.case_id, []).append(row.raw_id)
    return found


def test_a_case_with_thousands_of_messages_hides_no_failed_one_of_another(world):
    """What failed and waits keeps what its customer said later, however many older ones another case has."""
    now = world.clock.now()
    later = now + timedelta(hours=1)
    waiting(world, *[(n, 1, now) for n in THOUSANDS], (5001, 2, later), (5002, 2, now))
    assert due_of(world, step.c.raw_id.in_([1, 5002])).keys() == {1}


def test_beside_a_case_with_thousands_of_messages_what_failed_comes_before_what_was_said_later(world):
    """Also when it is due again, but later than all the rest: the order is that of the messages."""
    now = world.clock.now()
    again, first = now - timedelta(minutes=1), now - timedelta(hours=1)
    waiting(world, *[(n, 1, first) for n in THOUSANDS], (5001, 2, again), (5002, 2, first), (5003, 2, first))
    found = due_of(world, step.c.raw_id.in_([2499, 5002]))
    assert found[2] == [5001, 5002, 5003]
    assert found[1] == list(range(1, len(found[1]) + 1)), "from the oldest, though the newest brought the case"


def test_cases_whose_oldest_message_failed_and_waits_take_nobodys_place(world):
    """However many of them there are, and however much was said in them since."""
    now = world.clock.now()
    later, first = now + timedelta(seconds=16), now - timedelta(hours=1)
    failed = [(100 * case, case, later) for case in range(1, 60)]
    since = [(100 * case + n, case, first) for case in range(1, 60) for n in range(1, 20)]
    waiting(world, *failed, *since, (9000, 90, now), (9001, 91, later), (9002, 91, now))
    assert due_of(world, sa.true()) == {90: [9000]}


def test_a_lane_whose_oldest_message_failed_is_due_when_that_is(world):
    """Not at once, for what came after it: its worker would ask again and again, and do nothing."""
    now = world.clock.now()
    later, first = now + timedelta(seconds=16), now - timedelta(hours=1)
    waiting(world, (1, 7, later), (2, 7, first), (3, 8, first), (4, 8, later), (5, 8, first), (6, 9, later))
    with world.hub.store.read() as connection:
        due = {case: next_due(connection, f"plan/{case}", now) for case in (7, 8, 9, 10)}
    assert due == {7: later, 8: first, 9: later, 10: None}


def test_a_case_is_planned_in_the_order_of_its_messages_also_where_only_a_part_of_it_is_taken(world):
    """Which is not that of its raws: what came in first on one channel may be recorded last."""
    now = world.clock.now()
    waiting(world, *[(n, 1, now) for n in THOUSANDS], (5001, 2, now), (5002, 2, now), places=lambda raw_id: -raw_id)
    found = due_of(world, sa.true())
    assert found[1] == list(reversed(THOUSANDS))[: len(found[1])]
    with world.hub.store.read() as connection:
        assert due_in_lane(connection, now, "2", 1) == [5002]
        assert due_in_lane(connection, now, "1", 3) == [2499, 2498, 2497]
