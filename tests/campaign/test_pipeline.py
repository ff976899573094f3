"""Killed at random moments while every fifth call fails: nothing lost, nothing twice, everything in order."""

from __future__ import annotations

import random
import time

import pytest

from tests.campaign.judge import judge
from tests.campaign.places import SEED, Place, size
from tests.campaign.writing import Writers

SECTIONS = """
[channels.mail]
use = "feed"
url = "FAR"
threads = 4
[crm.keyed]
use = "ledger"
url = "FAR"
threads = 4
[crm.searched]
use = "ledger"
url = "FAR"
threads = 4
"""
DESKS = ("keyed", "searched")


def test_embedded():
    _embedded(size("MESSAGES", 100), size("KILLS", 3))


def _moods(place: Place) -> None:
    for at in ("desk/keyed", "desk/searched", "send/mail"):
        place.far.mood(at, fail=0.2, delay=(0.0, 0.03), keyed=at != "desk/searched")


def _embedded(messages: int, kills: int) -> None:
    dice = random.Random(SEED)
    with Place(SECTIONS) as place:
        _moods(place)
        place.start("hub")
        writers = Writers(dice)
        for _ in range(kills):
            place.far.write("mail", writers.some(messages // kills))
            time.sleep(dice.uniform(0.2, 3.0))
            place.processes["hub"].kill()
            place.start("hub")
        place.far.write("mail", writers.some(messages - messages // kills * kills))
        settle(place)
        found = judge(place.far.lines(), place.deliveries("unsure"), DESKS)
        print("\n" + found.summary(f"pipeline, embedded, seed {SEED}"))
        assert found.clean, found.first


def settle(place: Place, seconds: float = 120.0) -> None:
    """Until nothing is owed any more, by the hub's own word."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not place.deliveries("waiting") and not place.deliveries("sending"):
            return
        time.sleep(1)
    raise AssertionError(f"still owed after {seconds:g} s")
