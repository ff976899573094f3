"""A slow desk and a dead one, with hundreds of lanes owed to them, and a slow CRM: who else waits?"""

from __future__ import annotations

import math
import random
import time

import pytest

from tests.campaign.judge import judge, latencies, most_in_a_second, quantile
from tests.campaign.places import SEED, Place, Progress, keep, settle, size
from tests.campaign.writing import Writers
from tests.servers.ports import wait_for

SECTIONS = """
[channels.mail]
use = "feed"
url = "FAR"
acknowledge = "nobody"
[channels.bulk]
use = "feed"
url = "FAR"
acknowledge = "nobody"
[crm.one]
use = "ledger"
url = "FAR"
channels = ["mail"]
[crm.two]
use = "ledger"
url = "FAR"
channels = ["mail"]
[crm.limited]
use = "ledger"
url = "FAR"
channels = ["mail"]
calls = "10/s"
threads = 4
[crm.slow]
use = "ledger"
url = "FAR"
timeout = "60s"
[crm.dead]
use = "ledger"
url = "FAR"
again = 0.0
[crm.who]
use = "people"
url = "FAR"
timeout = "60s"
"""
SICK = ("slow", "dead", "who")
HEALTHY = ("one", "two")
DESKS = {"one": ["mail"], "two": ["mail"], "limited": ["mail"], "slow": ["mail", "bulk"], "dead": ["mail", "bulk"]}


def test_a_slow_desk_and_a_dead_one_delay_nobody_else():
    _beside("embedded", "", lanes=size("MESSAGES", 40), rounds=1, each=8, slow=2.0, goal=3.0, tail=math.inf)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_a_slow_desk_and_a_dead_one_delay_nobody_else_long(engine):
    sizes = {"lanes": size("MESSAGES", 1000), "rounds": size("ROUNDS", 5), "each": size("EACH", 80)}
    _beside(engine[0], engine[1](), **sizes, slow=30.0, goal=1.3, tail=1.3)


def _beside(
    name: str, database: str, *, lanes: int, rounds: int, each: int, slow: float, goal: float, tail: float
) -> None:
    """Phases alternate: the sick ones paused by the admin, then called with everything that waits for them.

    `goal` is how much slower the others' median may become by it: what the long version holds to says something on a
    busy machine only with hundreds of deliveries. `tail` is the same for their p90: were a tenth of the customers to
    wait for the sick ones, the median would not tell. Of a few deliveries, the first two that wait for the CRM's word
    are a tenth; of hundreds they are not.

    Each message is a new customer's, of whom the CRM has to be asked.
    """
    dice, progress = random.Random(SEED), Progress(f"slow and dead, {name}")
    with Place(SECTIONS, database=database) as place:
        place.far.mood("desk/slow", delay=(slow, slow))
        place.far.mood("desk/dead", dead=True)
        place.far.mood("people/who", delay=(slow, slow))
        place.start(*place.hubs)
        for sick in SICK:
            place.tell_plainly("pause", sick)
        for some in Writers(dice, "b", customers=10**6).portions(lanes, 4):
            place.far.write("bulk", some)
        wait_for(lambda: _waiting(place, "slow") >= 2 * lanes, 60 + lanes, "everything to be owed")
        writers = Writers(dice, customers=10**6, further=0.0)
        for n in range(rounds * 2):
            phase = ("without", "with")[n % 2]
            for sick in SICK:
                if n:
                    place.tell_plainly("resume" if phase == "with" else "pause", sick)
            place.far.note(e="phase", name=phase)
            for _ in range(each):
                place.far.write("mail", writers.some(1))
                time.sleep(0.25)
            progress.say(n + 1, rounds * 2, "phases")
        place.far.note(e="phase", name="returned")
        place.far.mood("desk/slow")
        place.far.mood("desk/dead")
        place.far.mood("people/who")
        settle(place, DESKS, 120 + lanes)
        _told(place, name, goal, tail)


def _waiting(place: Place, desk: str) -> int:
    """What waits for a desk, by the hub's own word."""
    return int(next(one["waiting"] for one in place.tell("instances")["instances"] if one["id"] == desk))


def _told(place: Place, name: str, goal: float, tail: float) -> None:
    lines = list(place.far.lines())
    found = judge(lines, (), DESKS, sends=False)
    calls = [line for line in lines if line["e"] == "call"]
    while_dead = sum(line["e"] == "end" and line["out"] == "dead" for line in lines)
    limited = most_in_a_second([line["t"] for line in calls if line["at"] == "desk/limited"])
    by_phase = {phase: sorted(seconds) for phase, seconds in latencies(lines, HEALTHY, "m").items()}
    without, beside = by_phase["without"], by_phase["with"]
    ratio, ratio90 = (quantile(beside, share) / quantile(without, share) for share in (0.5, 0.9))
    asked = sum(line["at"] == "people/who" for line in calls)
    print(
        f"\nslow and dead, {name}, seed {SEED}: healthy desks p50/p90 without {quantile(without, 0.5):.2f} / "
        f"{quantile(without, 0.9):.2f} s, with {quantile(beside, 0.5):.2f} / {quantile(beside, 0.9):.2f} s, ratio of "
        f"medians {ratio:.2f} (at most {goal:g}), of p90 {ratio90:.2f} (at most {tail:g}); calls into the dead one "
        f"while dead {while_dead}; questions to the slow CRM {asked}; most calls in a second where 10 are allowed "
        f"{limited}"
    )
    print(found.summary("  afterwards"))
    keep(f"slow, {name}", found)
    assert found.clean, found.first
    assert limited <= 10
    assert 1 < while_dead < 40, "its circuit opens, and it is tried again"
    assert asked, "or it slows nobody because nobody asks"
    assert ratio <= goal
    assert ratio90 <= tail
