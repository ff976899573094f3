"""One mailbox, three workers that are killed and frozen: one of them reads it, and pages are kept in order, once."""

from __future__ import annotations

import random
import threading
import time
from itertools import pairwise

import psycopg
import pytest

from hub.store.leases import LONG
from tests.campaign.judge import quantile
from tests.campaign.places import SEED, Place, Progress, size
from tests.campaign.writing import Writers
from tests.servers.ports import wait_for
from tests.servers.postgres import Postgres

SECTIONS = """
[channels.mail]
use = "feed"
url = "FAR"
acknowledge = "nobody"
"""
WORKERS = ("one", "two", "three")


def test_a_lease_is_kept_by_one(postgres):
    _lease(postgres, kills=size("KILLS", 2), stops=1)


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_a_lease_is_kept_by_one_long(postgres):
    _lease(postgres, kills=size("KILLS", 50), stops=10)


class Writing(threading.Thread):
    """Somebody writes all the time, so that every poll brings a page."""

    def __init__(self, place: Place, dice: random.Random) -> None:
        super().__init__(daemon=True)
        self._place, self._writers, self.ended = place, Writers(dice), threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.1):
            self._place.far.write("mail", self._writers.some(2))


def _reader(place: Place) -> int:
    """The process whose poll the feed saw last."""
    return [line["who"] for line in place.far.lines() if line["e"] == "poll"][-1]


def _named(place: Place, pid: int) -> str:
    return next((name for name, one in place.processes.items() if one.pid == pid), "one")


def _lease(postgres: Postgres, *, kills: int, stops: int) -> None:
    dice, progress = random.Random(SEED), Progress("lease")
    database = postgres.new_hub_database()
    with Place(SECTIONS, database=database) as place:
        place.far.mood("feed/mail", delay=(0.2, 0.5))  # so that it is read most of the time when something happens
        place.start(*WORKERS)
        writing = Writing(place, dice)
        writing.start()
        wait_for(lambda: any(line["e"] == "poll" for line in place.far.lines()), 60, "a first poll")
        for n in range(stops):
            _freeze(place, dice, kills * (n + 1) // stops - kills * n // stops)
            progress.say(n + 1, stops, "freezes")
        writing.ended.set()
        writing.join()
        written = sum(line["e"] == "wrote" for line in place.far.lines())
        url = database.replace("+psycopg", "")
        wait_for(lambda: _count(url, "SELECT count(*) FROM raw") == written, 60, "everything to be kept")
        _told(place, url, kills, stops)


def _freeze(place: Place, dice: random.Random, kills: int) -> None:
    """Freeze who reads, for longer than its lease; meanwhile the others are killed, and started again."""
    frozen = _reader(place)
    name = _named(place, frozen)
    place.far.note(e="freeze", who=frozen)
    place.processes[name].freeze()
    began = time.monotonic()
    time.sleep(dice.uniform(0.2, 1.0))
    for n in range(kills):
        other = WORKERS[(WORKERS.index(name) + 1 + n % 2) % 3]
        place.processes[other].kill()
        place.start(other)
    wait_for(lambda: _reader(place) != frozen, 60, "another one to read")
    time.sleep(max(0.5, LONG.total_seconds() + 1.0 - (time.monotonic() - began)))
    place.far.note(e="thaw", who=frozen)
    place.processes[name].thaw()
    time.sleep(1.5)


def _count(url: str, query: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])


def _told(place: Place, url: str, kills: int, stops: int) -> None:
    with psycopg.connect(url) as connection:
        keys = [int(key) for (key,) in connection.execute("SELECT source_key FROM raw ORDER BY id")]
        epoch, value = connection.execute("SELECT epoch, value FROM cursor WHERE instance = 'mail'").fetchone()
    polls = [line for line in place.far.lines() if line["e"] == "poll"]
    takes = place.logs().count('"event": "reads this source now"')
    refused = place.logs().count("a page was left to it")
    # A page kept by somebody who was overtaken would stand behind later ones, or bring the same key again.
    overlapping = sum(after <= before for before, after in pairwise(keys))
    stale = sum(after["cursor"] < before["cursor"] for before, after in pairwise(polls))
    gaps = sorted(after["t"] - before["t"] for before, after in pairwise(polls))
    print(
        f"\nlease, seed {SEED}: {len(keys)} messages, {kills} kills, {stops} freezes, {len(polls)} polls, epoch {epoch}; "
        f"overlapping commits {overlapping}, kept twice {len(keys) - len(set(keys))}, pages refused to who was "
        f"overtaken {refused}, polls from an old cursor {stale}; seconds between polls p50 "
        f"{quantile(gaps, 0.5):.2f}, longest {gaps[-1]:.1f}"
    )
    assert keys == list(range(len(keys)))
    assert overlapping == 0
    assert (value if isinstance(value, dict) else {})["n"] == len(keys)
    assert epoch == takes
