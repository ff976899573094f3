"""The database fails while calls are under way: nothing is lost, nothing goes out twice, and what is unsure says so.

    TRESSE_KILLS=20 TRESSE_CUTS=300 TRESSE_SEED=7 pytest -m campaign tests/campaign/test_database_deliveries.py -s

Customers write, and calls into two desks and a blind sender take up to some seconds. Meanwhile PostgreSQL is
stopped as by a crash and stays away, or a proxy cuts its connections, or swallows what is said: so answers come
back that cannot be written down. The judge reads only what the far side saw, and what the hub calls unsure.

An answer that came while the database was away may end as done or as unsure: whether the hub could still write it
down is nobody's to know from outside. An answer that was lost on its way must end as unsure, whatever the
database did (`hidden`), and a send that the hub calls neither done nor unsure is waited for in vain (`_settle`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.campaign.daemons import Rows, until
from tests.campaign.judge import judge
from tests.campaign.places import SEED, Place, Progress, keep, size
from tests.campaign.test_pipeline import DESKS, SECTIONS
from tests.campaign.writing import Writers
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy

BUGS = ('"bug in the hub"', '"bug in the engine"', '"set aside"')
"""What no failure of the database may make the hub say."""


class Faults:
    """What may happen to the database, each told to the far side's log with its end."""

    def __init__(self, dice: random.Random, place: Place, postgres: Postgres, proxy: Proxy) -> None:
        self._dice, self._place, self._postgres, self._proxy = dice, place, postgres, proxy

    def stop(self, seconds: float = 0.0) -> None:
        """A crash; away for `seconds`, or for a moment by the dice."""
        self._place.far.note(e="fault", what="stop")
        with self._postgres.outage(seconds or self._dice.uniform(0.0, 1.5)):
            pass
        self._place.far.note(e="mended")

    def cut(self) -> None:
        """One connection reset, or every one, now or in the middle of a word."""
        self._place.far.note(e="fault", what="cut")
        how = self._dice.randrange(3)
        if how == 0:
            self._proxy.cut_one(self._dice.random())  # the one that listens among them
        elif how == 1:
            self._proxy.cut()
        else:
            self._proxy.cut_after(self._dice.randrange(1, 20_000))
        self._place.far.note(e="mended")

    def stall(self, seconds: float) -> None:
        """A black hole, and then all of it at once."""
        self._place.far.note(e="fault", what="stall")
        self._proxy.stall()
        time.sleep(seconds)
        self._proxy.well()
        self._place.far.note(e="mended")


def test_distributed(safe_postgres):
    short = {"stops": 2, "gone": 1, "cuts": size("CUTS", 2), "stalls": (1,), "slowest": 2, "fail": 0.0}
    _faults(safe_postgres, "distributed", size("MESSAGES", 20), **short)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("engine", ["distributed", "embedded"])
def test_long(safe_postgres, engine):
    long = {"stops": size("KILLS", 20), "gone": size("SECONDS", 60), "cuts": size("CUTS", 300)}
    _faults(safe_postgres, engine, size("MESSAGES", 2000), **long, stalls=(6, 6, 6, 15), slowest=6, fail=0.05)


def _faults(
    postgres: Postgres,
    engine: str,
    messages: int,
    *,
    stops: int,
    gone: float,
    cuts: int,
    stalls: tuple[float, ...],
    slowest: float,
    fail: float,
) -> None:
    """Messages come in portions, one before each fault; the order of the faults is the dice's."""
    name = f"deliveries and database, {engine}"
    print(f"\n{name}: {stops} stops, {cuts} cuts, seed {SEED} (repeat with TRESSE_SEED={SEED})", flush=True)
    dice, progress = random.Random(SEED), Progress(name)
    database = postgres.new_hub_database()
    with Proxy(postgres.port) as proxy:
        through = database.replace(f":{postgres.port}/", f":{proxy.port}/")
        with Place(SECTIONS, database=through, engine=engine, quick=True) as place:
            for at in ("desk/keyed", "desk/searched", "send/mail"):
                place.far.mood(at, fail=fail, delay=(0.01, slowest), skewed=True, keyed=at != "desk/searched")
            place.start(*place.hubs)
            faults = Faults(dice, place, postgres, proxy)
            happen = [faults.stop] * stops + [faults.cut] * cuts
            happen += [partial(faults.stop, gone), *(partial(faults.stall, seconds) for seconds in stalls)]
            dice.shuffle(happen)
            for n, some in enumerate(Writers(dice).portions(messages, len(happen))):
                place.far.write("mail", some)
                if dice.random() < 0.8:  # else one fault follows the other
                    until(place.far.under_way, 60, "a call to be under way", lambda: place.logs()[-3000:])
                time.sleep(dice.uniform(0.0, 0.3))
                happen[n]()
                progress.say(n + 1, len(happen), "faults")
            proxy.well()
            _settle(place, Rows(postgres.conninfo(database.rpartition("/")[2])), 90 + messages / 2)
            _told(place, f"{name}, seed {SEED}, {stops + 1} stops, {proxy.cuts} connections cut", name)


def _settle(place: Place, rows: Rows, seconds: float) -> None:
    """Until every message reached its desks, and nothing is left to do."""
    progress, end = Progress("settling"), time.monotonic() + seconds
    while (missing := place.far.missing(DESKS)) or not rows.quiet():
        progress.say(done := progress.most(missing) - missing, done + missing, "answers shown")
        if time.monotonic() > end:
            print(f"still owed after {seconds:g} s: {rows.work_left()}")  # the judge says what is missing
            return
        time.sleep(0.2)


def _told(place: Place, what: str, name: str) -> None:
    lines, doubtful = list(place.far.lines()), place.deliveries("unsure")
    found, hit = judge(lines, doubtful, DESKS), Hit()
    hit.read(lines, {one["key"] for one in doubtful})
    print(f"\n{found.summary(what)}; {hit}", flush=True)
    keep(name, found)
    logs = place.logs()
    assert found.clean, found.first
    assert not [word for word in BUGS if word in logs]
    assert hit.desks + hit.sends > 0, "no call was under way: nothing was tested"


@dataclass
class Hit:
    """What the faults met, from the far side's log."""

    desks: int = 0
    sends: int = 0
    """Calls during which a fault began."""
    answered: int = 0
    """Those of them that were answered before it ended."""
    together: int = 0
    """Calls that began while another one of their lane was under way: two had that lane in their hands."""
    answered_unsure: int = 0
    """Sends that the hub calls unsure though they were answered and no fault began meanwhile: a connection cut
    earlier, or in the middle of a word a moment later."""

    def __str__(self) -> str:
        return (
            f"under way at a fault: {self.desks} desk calls, {self.sends} blind sends; answered while the database was "
            f"away: {self.answered}; calls of one lane at the same time: {self.together}; unsure though answered beside a fault: "
            f"{self.answered_unsure}"
        )

    def read(self, lines: Iterable[dict[str, Any]], doubtful: Collection[str]) -> None:
        """Count."""
        calls: dict[int, dict[str, Any]] = {}
        began, mended = 0.0, True
        for line in lines:
            if line["e"] == "fault":
                began, mended = line["t"], False
            elif line["e"] == "mended":
                mended = True
            elif line["e"] == "call":
                lane = line["at"], line["key"].split("/")[2]
                self.together += lane in ((one["at"], one["key"].split("/")[2]) for one in calls.values())
                calls[line["n"]] = line
            elif line["e"] == "end":
                call = calls.pop(line["n"])
                if call["t"] < began:
                    self.sends += call["what"] == "send"
                    self.desks += call["what"] != "send"
                    self.answered += not mended
                elif line["out"] == "ok" and call["what"] == "send":
                    self.answered_unsure += call["key"] in doubtful
