"""The database fails while calls are under way: nothing is lost, nothing goes out twice, and what is unsure says so.

    TRESSE_KILLS=20 TRESSE_CUTS=300 TRESSE_SEED=7 pytest -m campaign tests/campaign/test_database_deliveries.py -s

Customers write, and calls into two desks and a blind sender take up to some seconds. Meanwhile PostgreSQL is
stopped as by a crash and stays away, or a proxy cuts its connections, or swallows what is said: so answers come
back that cannot be written down. The judge reads only what the far side saw, and what the hub calls unsure.

An answer that came while the database was away may end as done or as unsure: whether the hub could still write it
down is nobody's to know from outside. An answer that was lost on its way must end as unsure, whatever the
database did (`hidden`), and a send that the hub calls neither done nor unsure is waited for in vain (`settle`).
"""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

import pytest

from tests.campaign.daemons import until
from tests.campaign.judge import judge
from tests.campaign.places import SEED, Place, Progress, keep, settle, size
from tests.campaign.test_pipeline import DESKS, SECTIONS
from tests.campaign.writing import Writers
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy

HUBS = {"distributed": ("one", "two"), "embedded": ("hub",)}
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
        """Every connection reset, now or in the middle of a word."""
        self._place.far.note(e="fault", what="cut")
        self._proxy.cut() if self._dice.random() < 0.5 else self._proxy.cut_after(self._dice.randrange(1, 20_000))
        self._place.far.note(e="mended")

    def stall(self, seconds: float) -> None:
        """A black hole, and then all of it at once."""
        self._place.far.note(e="fault", what="stall")
        self._proxy.stall()
        time.sleep(seconds)
        self._proxy.well()
        self._place.far.note(e="mended")


def test_distributed(safe_postgres):
    _faults(safe_postgres, "distributed", size("MESSAGES", 60), stops=2, gone=3, cuts=size("CUTS", 6), stall=2)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("engine", ["distributed", "embedded"])
def test_long(safe_postgres, engine):
    stops, cuts = size("KILLS", 20), size("CUTS", 300)
    _faults(safe_postgres, engine, size("MESSAGES", 2000), stops=stops, gone=size("SECONDS", 60), cuts=cuts, stall=15)


def _faults(
    postgres: Postgres, engine: str, messages: int, *, stops: int, gone: float, cuts: int, stall: float
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
                place.far.mood(at, fail=0.05, delay=(0.01, 3.0), skewed=True, keyed=at != "desk/searched")
            place.start(*HUBS[engine])
            faults = Faults(dice, place, postgres, proxy)
            happen = [faults.stop] * stops + [faults.cut] * cuts
            happen += [lambda: faults.stop(gone), lambda: faults.stall(stall)]
            dice.shuffle(happen)
            for n, some in enumerate(Writers(dice).portions(messages, len(happen))):
                place.far.write("mail", some)
                if dice.random() < 0.8:  # else one fault follows the other
                    until(place.far.under_way, 60, "a call to be under way", lambda: place.logs()[-3000:])
                time.sleep(dice.uniform(0.0, 0.3))
                happen[n]()
                progress.say(n + 1, len(happen), "faults")
            proxy.well()
            settle(place, DESKS, 90 + messages / 2)
            _told(place, f"{name}, seed {SEED}, {stops + 1} stops, {proxy.cuts} connections cut", name)


def _told(place: Place, what: str, name: str) -> None:
    lines, doubtful = list(place.far.lines()), place.deliveries("unsure")
    found = judge(lines, doubtful, DESKS)
    desks, sends, answered = under_way(lines)
    print(
        "\n" + found.summary(what) + f"; under way at a fault: {desks} desk calls, {sends} blind sends; answered while "
        f"the database was away: {answered}",
        flush=True,
    )
    keep(name, found)
    logs = place.logs()
    assert found.clean, found.first
    assert not [word for word in BUGS if word in logs]
    assert not place.deliveries("rejected")
    assert not place.deliveries("held")
    assert desks + sends > 0, "no call was under way: nothing was tested"


def under_way(lines: Iterable[dict[str, Any]]) -> tuple[int, int, int]:
    """Calls into desks and blind sends during which a fault began, and calls whose answer came before its end."""
    calls, began, mended = {}, [], []
    desks = sends = answered = 0
    for line in lines:
        if line["e"] == "fault":
            began.append(line["t"])
        elif line["e"] == "mended":
            mended.append(line["t"])
        elif line["e"] == "call":
            calls[line["n"]] = line
        elif line["e"] == "end":
            call = calls[line["n"]]
            last = bisect_right(began, line["t"]) - 1
            if last < 0 or began[last] <= call["t"]:
                continue
            sends += call["what"] == "send"
            desks += call["what"] != "send"
            answered += len(mended) == last
    return desks, sends, answered
