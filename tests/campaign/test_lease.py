"""One mailbox, three workers that are killed and frozen: one of them reads it, and pages are kept in order, once.

Each freeze hits the owner while its page is under way, and it is thawed when another has taken the lease: its page
comes late, under an epoch that is over. What was kept by whom is told by the database (`commits.py`).
"""

from __future__ import annotations

import json
import random
import threading
import time
from itertools import pairwise

import psycopg
import pytest

from tests.campaign.commits import Commit, commits, look, owner, record
from tests.campaign.judge import quantile
from tests.campaign.places import SEED, Place, Process, Progress, size
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
READ = (0.2, 0.5)
"""Seconds that a page is under way: so that the mailbox is read most of the time when something happens."""


def test_a_lease_is_kept_by_one(postgres):
    _lease(postgres, kills=size("KILLS", 2), stops=1, quick=True)


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_a_lease_is_kept_by_one_long(postgres):
    _lease(postgres, kills=size("KILLS", 50), stops=10, quick=False)


def test_the_record_tells_a_page_of_one_who_was_overtaken():
    kept = [Commit("a", True, 1, 0, 0), Commit("a", False, 1, 0, 4), Commit("b", True, 2, 4, 4)]
    fine, late, back = Commit("b", False, 2, 4, 9), Commit("a", False, 2, 4, 9), Commit("b", False, 2, 4, 2)
    assert look(iter([*kept, fine])).overlapping == []
    assert look(iter([*kept, late])).overlapping == [late]
    assert look(iter([*kept, fine, back])).overlapping == [back]


class Writing(threading.Thread):
    """Somebody writes all the time, so that every poll brings a page."""

    def __init__(self, place: Place, dice: random.Random) -> None:
        super().__init__(daemon=True)
        self._place, self._writers, self.ended = place, Writers(dice), threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.1):
            self._place.far.write("mail", self._writers.some(2))


class Workers:
    """The three, who of them owns the mailbox, and what was done to them."""

    def __init__(self, place: Place, url: str, dice: random.Random) -> None:
        self.place, self.url, self._dice = place, url, dice
        self.kills = self.owners_killed = 0

    def owner(self, but: Process | None = None) -> Process | None:
        """The living process that took the lease last; None where it is `but`, or has ended."""
        life = owner(self.url, "mail")
        found = next((one for one in self.place.processes.values() if one.life == life), None)
        return None if found is but else found

    def taken(self, but: Process | None = None) -> Process:
        """The same, as soon as there is one."""
        wait_for(lambda: self.owner(but), 60, "the mailbox to have an owner")
        found = self.owner(but)
        assert found is not None
        return found

    def kill(self, frozen: Process) -> None:
        """Kill one of the others, in turn the owner of the moment and one that is not; it is started again at once."""
        self.kills += 1
        if self.kills % 2:
            victim = self.taken(frozen)
            time.sleep(self._dice.uniform(0.2, 1.0))
        else:
            others = [one for one in self.place.processes.values() if one not in (frozen, self.owner(frozen))]
            victim = self._dice.choice(others)
        victim.kill()
        self.owners_killed += owner(self.url, "mail") == victim.life
        self.place.processes[victim.name] = Process(self.place, victim.name)

    def freeze(self) -> Process:
        """Freeze the owner while a page with something in it is on the way to it."""
        far = self.place.far
        far.mood("feed/mail", delay=(1.0, 1.0))
        since = far.log.stat().st_size

        def asked() -> Process | None:
            with far.log.open("rb") as log:
                log.seek(since)
                told = [json.loads(line) for line in log if b'"asked"' in line and line.endswith(b"\n")]
            now = self.owner()
            return now if told and now and told[-1]["who"] == now.pid and told[-1]["count"] else None

        wait_for(asked, 60, "the owner to ask for a page")
        frozen = self.owner()
        assert frozen is not None
        frozen.freeze()
        far.note(e="freeze", who=frozen.pid)
        far.mood("feed/mail", delay=READ)
        return frozen

    def thaw(self, frozen: Process) -> None:
        """Thaw it while nobody's write to a cursor gets on, for a moment: else it might hear that its lease is gone
        before it tries to keep its page, and who of its threads is first would decide what this test sees."""
        with psycopg.connect(self.url) as connection:
            connection.execute("LOCK TABLE cursor IN SHARE MODE")
            self.place.far.note(e="thaw", who=frozen.pid)
            frozen.thaw()
            time.sleep(1.0)
        time.sleep(0.5)


def _lease(postgres: Postgres, *, kills: int, stops: int, quick: bool) -> None:
    dice, progress = random.Random(SEED), Progress("lease")
    database = postgres.new_hub_database()
    url = database.replace("+psycopg", "")
    record(url)
    with Place(SECTIONS, database=database, quick=quick) as place:
        place.far.mood("feed/mail", delay=READ)
        place.start(*WORKERS)
        workers, writing = Workers(place, url, dice), Writing(place, dice)
        writing.start()
        for n in range(stops):
            frozen = workers.freeze()
            for _ in range(kills * (n + 1) // stops - kills * n // stops):
                workers.kill(frozen)
            workers.taken(frozen)
            workers.thaw(frozen)
            for one in place.processes.values():
                wait_for(one.ready, 60, f"{one.name} to start")
            progress.say(n + 1, stops, "freezes")
        writing.ended.set()
        writing.join()
        written = sum(line["e"] == "wrote" for line in place.far.lines())
        wait_for(lambda: len(_keys(url)) == written, 60, "everything to be kept")
        _told(workers, stops)


def _keys(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [int(key) for (key,) in connection.execute("SELECT source_key FROM raw ORDER BY id")]


def _told(workers: Workers, stops: int) -> None:
    place, url, keys = workers.place, workers.url, _keys(workers.url)
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT epoch, value FROM cursor WHERE instance = 'mail'").fetchone()
    assert row is not None
    found, epoch, value = look(commits(url, "mail")), *row
    polls = [line for line in place.far.lines() if line["e"] == "poll"]
    refused = place.logs().count("a page was left to it")
    gaps = sorted(after["t"] - before["t"] for before, after in pairwise(polls))
    print(
        f"\nlease, seed {SEED}: {len(keys)} messages in {found.pages} pages, {workers.kills} kills, "
        f"{workers.owners_killed} of them of the owner, {stops} freezes of the owner, {len(polls)} polls, epoch {epoch}; "
        f"overlapping commits {len(found.overlapping)}, kept twice {len(keys) - len(set(keys))}, pages refused to who "
        f"was overtaken {refused}; seconds between polls p50 {quantile(gaps, 0.5):.2f}, longest {gaps[-1]:.1f}"
    )
    assert found.overlapping == []
    assert keys == list(range(len(keys)))
    assert value["n"] == len(keys)
    assert epoch == found.takes > stops + workers.owners_killed
    assert workers.owners_killed * 2 >= workers.kills
    assert refused >= max(1, stops // 2)
