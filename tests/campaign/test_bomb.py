"""Thousands of mails from one sender, and a dead desk: what everybody else notices, and how much memory it takes."""

from __future__ import annotations

import random
import time

import pytest

from tests.campaign.judge import judge, latencies, quantile
from tests.campaign.places import SEED, Place, Progress, keep, settle, size
from tests.campaign.writing import Writers

SECTIONS = """
[channels.mail]
use = "feed"
url = "FAR"
acknowledge = "nobody"
[channels.other]
use = "feed"
url = "FAR"
acknowledge = "nobody"
[crm.desk]
use = "ledger"
url = "FAR"
threads = 4
[crm.dies]
use = "ledger"
url = "FAR"
channels = ["other"]
"""
MEMORY = 512
"""MB a process may have at its worst, whatever the bomb."""
DESKS = {"desk": ["mail", "other"], "dies": ["other"]}


def test_a_mail_bomb():
    _bomb("embedded", "", size("MESSAGES", 150), each=8, dead=4.0, goal=6.0)


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_a_mail_bomb_long(engine):
    _bomb(
        engine[0],
        engine[1](),
        size("MESSAGES", 10_000),
        each=size("EACH", 200),
        dead=size("SECONDS", 120),  # TRESSE_SECONDS=1800 for one that is dead for half an hour
        goal=1.3,
    )


def _bomb(name: str, database: str, messages: int, each: int, dead: float, goal: float) -> None:
    """`goal`: how much slower others may become. Few messages on a busy machine say little: loose in the short one."""
    dice = random.Random(SEED)
    with Place(SECTIONS, database=database) as place:
        for desk in DESKS:
            place.far.mood(f"desk/{desk}", delay=(0.005, 0.02))
        place.start(*place.hubs)
        here, there = Writers(dice, "m"), Writers(dice, "o")
        _others(place, dice, here, there, "quiet", each, 0.3)
        bomb = [
            {"mark": f"x{n:06}", "thread": f"x{n:06}", "from": "bomb@customer.example", "refs": [], "at": time.time()}
            for n in range(messages)
        ]
        place.far.write("mail", bomb)
        _others(place, dice, here, there, "bomb", each, 0.3)
        place.far.mood("desk/dies", dead=True)
        _others(place, dice, here, there, "dead", each, dead / each)
        place.far.mood("desk/dies", delay=(0.005, 0.02))
        settle(place, DESKS, 300 + messages)
        _told(place, name, goal)


def _others(
    place: Place, dice: random.Random, here: Writers, there: Writers, phase: str, each: int, pause: float
) -> None:
    """Everybody else writes now and then, through the bombed channel and through another."""
    progress = Progress(f"mail bomb, {phase}")
    place.far.note(e="phase", name=phase)
    for n in range(each):
        place.far.write("mail", here.some(1))
        place.far.write("other", there.some(1))
        time.sleep(dice.uniform(0.5, 1.5) * pause)  # in step with the polls, a phase would measure where it began
        progress.say(n, each, "written")


def _told(place: Place, name: str, goal: float) -> None:
    lines = list(place.far.lines())
    found = judge(lines, (), DESKS, sends=False)
    said, ratios = [], []
    for channel, marks in (("same channel", "m"), ("other channel", "o")):
        by_phase = {phase: sorted(seconds) for phase, seconds in latencies(lines, ["desk"], marks).items()}
        p50 = {phase: quantile(seconds, 0.5) for phase, seconds in by_phase.items()}
        p90 = {phase: quantile(seconds, 0.9) for phase, seconds in by_phase.items()}
        ratios += [p50[phase] / p50["quiet"] for phase in ("bomb", "dead")]
        said.append(
            f"{channel} p50/p90 quiet {p50['quiet']:.2f} / {p90['quiet']:.2f} s, bombed {p50['bomb']:.2f} / "
            f"{p90['bomb']:.2f} s, a desk dead {p50['dead']:.2f} / {p90['dead']:.2f} s; ratios of medians "
            f"{ratios[-2]:.2f} and {ratios[-1]:.2f}"
        )
    peak = max(process.peak() for process in place.processes.values())
    print(f"\nmail bomb, {name}, seed {SEED}: {'; '.join(said)}; peak {peak:.0f} MB")
    print(found.summary("  afterwards"))
    keep(f"bomb, {name}", found)
    assert found.clean, found.first
    assert max(ratios) <= goal
    assert peak <= MEMORY
