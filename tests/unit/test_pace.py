"""How fast an instance is called: the admin's limit, and what the far side's answers say."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from hub.clock import SystemClock
from hub.config.model import SectionOptions
from hub.instances import Lend
from hub.pace import NoTurn, Pace, TooSoon, listen
from hub.pipeline.deliver import PATIENCE
from hub.sdk import Unavailable
from hub.store.cases import delivery
from hub.store.sides import all_said
from hub.threads import Threads
from tests.unit.braid import open_store
from tests.world import CONFIG, ToldClock, World

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

    def call() -> None:
        pace.before_request()
        assert clock.now() == began
        pace.before_request()  # a second one in the same call takes a turn of its own

    pace.paid(call, 30.0)()
    assert (clock.now() - began).total_seconds() == pytest.approx(1.05)
    store.close()


def turns(pace: Pace, clock: ToldClock, count: int, said: dict[str, str]) -> list[float]:
    """When calls leave, each of them answered 429 with `said`; in seconds from the first."""
    began, left = clock.now(), []
    for _ in range(count):
        assert pace.take(1e6) == 0.0
        left.append((clock.now() - began).total_seconds())
        pace.after_request(429, said)
    return left


def test_what_the_far_side_says_never_makes_it_quicker(tmp_path):
    """Neither than the admin's limit, nor than what it said before: answers come in any order."""
    store, clock, stop = open_store(tmp_path), ToldClock(), threading.Event()
    assert turns(Pace("slow", store, clock, stop, 60.0), clock, 3, {"Retry-After": "1"}) == pytest.approx([0, 63, 126])
    pace = Pace("desk", store, clock, stop, None)
    for after in ("600", "1"):
        pace.after_request(429, {"Retry-After": after})
    assert pace.far_off() == pytest.approx(600)
    store.close()


def test_what_one_process_heard_holds_in_the_others_and_after_a_restart(tmp_path):
    world = World(tmp_path)
    world.hub.instances["desk"].pace.after_request(200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "600"})
    other = Pace("desk", world.hub.store, world.clock, threading.Event(), None)
    assert not other.active
    with world.hub.store.read() as connection:
        other.adopt(all_said(connection)["desk"].heeds_until)
    assert other.take(5) == pytest.approx(600)
    world.restart()
    assert world.hub.instances["desk"].pace.take(5) == pytest.approx(600, abs=5)
    world.mail(text="Bonjour, où est ma commande ?")
    world.go(3)
    assert world.far.tickets == {}
    world.hub.stop()


def test_who_stands_in_line_for_the_row_reads_the_clock_behind_it(tmp_path, monkeypatch):
    store, clock = open_store(tmp_path), ToldClock()
    pace, late, write = Pace("desk", store, clock, threading.Event(), 1.0), [5.0], store.write

    @contextmanager
    def slow(**how: Any) -> Iterator[Any]:
        with write(**how) as connection:
            clock.at += timedelta(seconds=late.pop() if late else 0)
            yield connection

    monkeypatch.setattr(store, "write", slow)
    began, left = clock.now(), []
    for _ in range(3):
        assert pace.take(30) == 0.0
        left.append((clock.now() - began).total_seconds())
    assert left == pytest.approx([5.0, 6.05, 7.1])
    store.close()


def test_a_call_that_waits_for_a_thread_has_no_turn_yet(tmp_path):
    """Else turns pile up while all threads are busy, and the calls leave together."""
    world, left = World(tmp_path, CONFIG.replace('use = "files"', 'use = "files"\ncalls = "10/s"')), []
    files = world.hub.instances["files"]
    files._calls, files._lend, began = Threads("files-call", 2), real(files._lend), time.monotonic()
    files.pace = Pace("files", world.hub.store, SystemClock(), threading.Event(), 0.1)

    def call() -> None:
        left.append(time.monotonic())
        if len(left) <= 2:
            time.sleep(max(0.0, began + 1.0 - time.monotonic()))  # slow for a second, and quick from then on

    callers = [threading.Thread(target=files.call, args=(call,)) for _ in range(10)]
    for one in callers:
        one.start()
    for one in callers:
        one.join(30)
    assert len(left) == 10
    quick = sorted(left)[2:]
    assert quick[-1] - quick[0] >= 7 * 0.1
    world.hub.stop()


def real(lend: Lend) -> Lend:
    return replace(lend, clock=SystemClock())


@pytest.mark.parametrize("spacing", [12.0, 60.0])
def test_a_call_of_several_requests_comes_to_its_end_under_a_slow_limit(tmp_path, spacing):
    store, clock = open_store(tmp_path), ToldClock()
    pace, began = Pace("desk", store, clock, threading.Event(), spacing), clock.now()

    def call() -> str:
        for _ in range(3):
            pace.before_request()
        return "done"

    assert pace.paid(call, max(30.0, pace.call))() == "done"
    assert (clock.now() - began).total_seconds() == pytest.approx(2 * 1.05 * spacing)
    store.close()


def test_a_call_whose_next_request_has_no_turn_says_that_it_may_be_done(tmp_path):
    """And the far side is well. Where nothing was sent, nothing can be done."""
    world = World(tmp_path, CONFIG.replace('use = "desk"', 'use = "desk"\ncalls = "1/min"\ntimeout = "5s"'))
    desk = world.hub.instances["desk"]

    def call() -> None:
        desk.pace.before_request()
        desk.pace.before_request()

    with pytest.raises(NoTurn) as caught:
        desk.call(call)
    assert caught.value.maybe_done
    with pytest.raises(TooSoon) as early:
        desk.call(call)
    assert not early.value.maybe_done
    assert desk.health.state == "green"
    world.hub.stop()


def test_a_probe_without_a_turn_keeps_nobody_away(tmp_path):
    world = World(tmp_path, CONFIG.replace('use = "files"', 'use = "files"\ncalls = "1/min"\ntimeout = "5s"'))
    files = world.hub.instances["files"]
    files.failed(Unavailable("gone"))
    world.clock.at = files.retry_at() + timedelta(seconds=1)
    assert files.pace.take(0) == 0.0  # somebody's second request
    assert files.ready()
    with pytest.raises(TooSoon):
        files.call(lambda: None)
    assert files.ready()
    world.hub.stop()


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
