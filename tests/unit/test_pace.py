"""How fast an instance is called: the admin's limit, and what the far side's answers say."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa

from hub.clock import SystemClock
from hub.config.model import SectionOptions
from hub.pace import Pace, listen
from hub.pipeline.deliver import PATIENCE
from hub.sdk import Unavailable
from hub.store.cases import delivery
from tests.unit.braid import open_store
from tests.world import ToldClock, World

NOW = 1_764_000_000.0


@pytest.mark.parametrize(
    ("status", "headers", "heard"),
    [
        (429, {"Retry-After": "30"}, (30.0, 0.0)),
        (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "12"}, (12.0, 0.0)),
        (200, {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{NOW + 45:.0f}"}, (45.0, 0.0)),
        (200, {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "10"}, (10.0, 2.0)),
        (200, {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "50", "X-RateLimit-Reset": "10"}, None),
        (200, {"RateLimit": "limit=100, remaining=0, reset=7"}, (7.0, 0.0)),
        (200, {"RateLimit": '"default";r=0;t=30', "RateLimit-Policy": '"default";q=100;w=60'}, (30.0, 0.0)),
        (200, {"RateLimit": '"default";r=4;t=20', "RateLimit-Policy": '"default";q=100;w=60'}, (20.0, 5.0)),
        (200, {"RateLimit-Limit": "10", "RateLimit-Remaining": "0", "RateLimit-Reset": "3"}, (3.0, 0.0)),
        (200, {"RateLimit-Remaining": "nonsense", "RateLimit-Reset": "3"}, None),
        (503, {"Retry-After": "30"}, None),  # an outage: the component says Unavailable(retry_after=30)
        (200, {}, None),
    ],
)  # fmt: skip
def test_what_answers_say(status, headers, heard):
    assert listen(status, headers, NOW) == heard


@pytest.mark.parametrize(("calls", "spacing"), [("10/s", 0.1), ("100/min", 0.6), ("3600 / h", 1.0), ("", None)])
def test_a_limit_is_a_spacing(calls, spacing):
    assert SectionOptions(calls=calls).spacing == pytest.approx(spacing)


@pytest.mark.parametrize("calls", ["ten", "0/s", "5/day", "-1/s", "5"])
def test_nonsense_is_no_limit(calls):
    with pytest.raises(ValueError, match="how many calls"):
        SectionOptions(calls=calls)


def test_threads_and_processes_share_one_pace(tmp_path):
    """Two `Pace`s on one database, as two workers have; the far side sees the limit in every second."""
    store, clock, stop = open_store(tmp_path), SystemClock(), threading.Event()
    called: list[float] = []
    began = time.monotonic()

    def work(pace: Pace) -> None:
        for _ in range(5):
            assert pace.take(30) == 0.0
            called.append(time.monotonic())

    threads = [threading.Thread(target=work, args=(Pace("desk", store, clock, stop, 0.05),)) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert len(called) == 20
    # A thread may be late with its word, so single gaps say little; all together they cannot have been quicker.
    assert max(called) - began >= 19 * 0.05
    store.close()


def test_a_turn_too_far_off_is_not_waited_for(tmp_path):
    store, clock = open_store(tmp_path), ToldClock()
    pace = Pace("desk", store, clock, threading.Event(), None)
    assert pace.take(1) == 0.0
    assert not pace.active
    pace.after_request(429, {"Retry-After": "600"})
    assert pace.take(5) == pytest.approx(600)
    with pytest.raises(Unavailable) as caught:
        pace.before_request()
    assert caught.value.retry_after == pytest.approx(600)
    clock.wait(threading.Event(), 601)
    assert pace.take(5) == 0.0
    store.close()


def test_a_calls_first_request_is_paid_with_the_call(tmp_path):
    store, clock = open_store(tmp_path), ToldClock()
    pace = Pace("desk", store, clock, threading.Event(), 1.0)
    began = clock.now()
    assert pace.take(5) == 0.0

    def call() -> None:
        pace.before_request()
        assert clock.now() == began
        pace.before_request()  # a second one in the same call takes a turn of its own

    pace.paid(call)()
    assert (clock.now() - began).total_seconds() == pytest.approx(1.05)
    store.close()


def test_a_lane_waits_as_long_as_the_limit_says_and_it_is_no_attempt(tmp_path):
    world = World(tmp_path)
    world.hub.instances["desk"].pace.after_request(429, {"Retry-After": f"{PATIENCE + 60:.0f}"})
    world.mail(text="Bonjour, où est ma commande ?")
    world.go(3)
    assert world.far.tickets == {}
    with world.hub.store.read() as connection:
        head = connection.execute(sa.select(delivery).where(delivery.c.ability == "save_case")).one()
    assert (head.state, head.attempts) == ("waiting", 0)
    assert world.hub.instances["desk"].health.state == "green"
    world.go(80)
    assert len(world.far.tickets) == 1
    world.hub.stop()
