"""A slow source of facts delays its facts, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hub.clock import SystemClock
from hub.engine import distributed, embedded
from hub.pipeline import lookups, plan
from hub.pipeline.lookups import AHEAD, PATIENT, Facts, Lookups
from hub.sdk import Identity, Profile
from hub.store.customers import profile
from hub.store.intake import step
from hub.threads import Threads
from tests.servers.ports import wait_for
from tests.world import START, World, rows

THREADS = 2
WAITED = 0.9  # seconds, of the one that is waited for an answer


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has time in a test; a second is still told from none on a slow machine."""
    monkeypatch.setattr(lookups, "WAIT", 1.0)
    monkeypatch.setattr(lookups, "MOMENT", 0.05)


class Slow:
    """A source whose answers come when the test says."""

    def __init__(self, threads: int = THREADS) -> None:
        self.instance: Any = SimpleNamespace(
            id="slow", abilities={"KnowsCustomers"}, options=SimpleNamespace(threads=threads), waits=lambda: False
        )
        self.lookups = Lookups(Threads, SystemClock())
        self.open, self.asked = threading.Event(), list[str]()

    def look(self, what: str) -> tuple[Facts, float]:
        """What became of it, and after how many seconds."""
        begun = time.monotonic()
        found = self.lookups.look(self.instance, what, self._question(what))
        return found, time.monotonic() - begun

    def _question(self, what: str) -> Callable[[], bool]:
        def question() -> bool:
            self.asked.append(what)
            return self.open.wait(20)

        return question


def test_half_of_the_planners_wait_at_most():
    assert min(embedded.PLANNERS, distributed.PLANNERS) >= PATIENT * 2
    slow = Slow(threads=4)
    with ThreadPoolExecutor(4) as planners:
        found = list(planners.map(slow.look, "abcd"))
    slow.open.set()
    assert {one for one, _ in found} == {Facts.COMING}
    assert sum(seconds > WAITED for _, seconds in found) == PATIENT


def test_who_is_slow_is_not_waited_for_until_it_is_quick_again():
    slow = Slow()
    assert slow.look("a")[1] > WAITED
    found, seconds = slow.look("b")
    assert found is Facts.COMING
    assert seconds < WAITED
    slow.open.set()
    wait_for(lambda: slow.look("a")[0] is Facts.HERE, 5, "the answer that nobody waited for")
    wait_for(lambda: slow.look("b")[0] is Facts.HERE, 5, "the other one")
    slow.lookups.look(slow.instance, "quick", lambda: True)
    wait_for(lambda: slow.look("c")[0] is Facts.HERE, 5, "an answer that comes at once")
    assert slow.look("d")[0] is Facts.HERE


def test_that_a_source_is_away_makes_it_no_quicker():
    slow = Slow()
    assert slow.look("a")[0] is Facts.COMING
    slow.lookups.look(slow.instance, "away", lambda: False)
    time.sleep(0.1)
    found, seconds = slow.look("b")
    assert found is Facts.COMING
    assert seconds < WAITED
    slow.open.set()


def test_a_question_is_asked_once_and_few_wait_in_memory():
    slow = Slow()
    found = [slow.look(f"{n}")[0] for n in range(1000)]
    assert found.count(Facts.COMING) == THREADS * (1 + AHEAD)
    assert found.count(Facts.QUEUED) == 1000 - THREADS * (1 + AHEAD)
    assert slow.look("0")[0] is Facts.COMING
    wait_for(lambda: len(slow.asked) == THREADS, 5, "its threads to ask")
    assert slow.asked == ["0", "1"]
    slow.open.set()


def test_what_a_question_stumbles_over_is_said_once_and_asked_anew():
    slow = Slow()

    def broken() -> bool:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        slow.lookups.look(slow.instance, "a", broken)
    slow.open.set()
    assert slow.look("a")[0] is Facts.HERE


@pytest.mark.parametrize(
    ("facts", "age", "late", "seconds"),
    [
        (Facts.HERE, 0, 0, None),
        (Facts.COMING, 3000, 1, 10),
        (Facts.QUEUED, 0, 0, 10),
        (Facts.QUEUED, 40, 1, 40),
        (Facts.QUEUED, 7200, 1, 600),
        (Facts.AWAY, 0, 0, 60),
        (Facts.AWAY, 0, 4, None),
        (Facts.QUEUED, 90_000, 4, None),
    ],
)
def test_when_it_is_looked_again(facts, age, late, seconds):
    todo: Any = SimpleNamespace(received_at=START, late=late)
    wait = plan._until_next_look(todo, START + timedelta(seconds=age), facts)
    assert wait == (None if seconds is None else timedelta(seconds=seconds))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.hub.stop()


def test_a_case_opens_without_facts_and_the_late_look_brings_them(world: World):
    """What the customer says meanwhile does not wait for that look, and asks nobody a second time."""
    object.__setattr__(world.hub.parts, "lookups", Lookups(Threads, SystemClock()))
    answer = threading.Event()
    world.far.profiles = [Profile("12", "Alice Martin", identities=(Identity("email", "alice@customer.example"),))]
    world.far.trouble = lambda what: what == "find_customers" and answer.wait(20)
    try:
        world.mail(id="<1@x>", text="Où est ma commande ?")
        world.go(1)
        assert world.far.tickets["1"]["value"].customer.name == ""
        world.mail(id="<2@x>", refs=["<1@x>"], text="Je n'ai rien reçu")
        world.go(1)
        assert [text for _, text in world.far.words] == ["Je n'ai rien reçu"]
        assert world.far.calls.count("find_customers") == 1
        saved = world.far.calls.count("save_case")
    finally:
        answer.set()
    wait_for(lambda: rows(world, profile), 5, "the facts")
    world.clock.at += timedelta(seconds=15)
    world.go(1)
    assert world.far.tickets["1"]["value"].customer.name == "Alice Martin"
    assert world.far.calls.count("save_case") == saved + 1, "the case is told once, whichever message asked"
    assert rows(world, step) == []
