"""SIGTERM under load: how long it takes, and that nothing is lost or done twice."""

from __future__ import annotations

import random
import time

import pytest

from tests.campaign.judge import judge
from tests.campaign.places import SEED, Place, Progress, keep, settle, size
from tests.campaign.test_pipeline import DESKS, SECTIONS
from tests.campaign.writing import Writers


def test_stopped_under_load(engine):
    _stopped(engine[0], engine[1](), size("MESSAGES", 12), stops=1)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_stopped_under_load_long(engine):
    _stopped(engine[0], engine[1](), size("MESSAGES", 2000), stops=10)


def _stopped(name: str, database: str, messages: int, stops: int) -> None:
    dice, progress, took = random.Random(SEED), Progress(f"stopped, {name}"), []
    with Place(SECTIONS, database=database) as place:
        for at in ("desk/keyed", "desk/searched", "send/mail"):
            place.far.mood(at, delay=(0.05, 0.6), keyed=at != "desk/searched")
        place.start(*place.hubs)
        for n, some in enumerate(Writers(dice).portions(messages, stops + 1)):
            place.far.write("mail", some)
            if n < stops:
                time.sleep(dice.uniform(1.0, 2.5))
                hub = place.hubs[n % len(place.hubs)]
                took.append(place.processes[hub].stop())
                place.start(hub)
            progress.say(n, stops, "stops")
        settle(place, DESKS, 60 + messages)
        unsure = place.deliveries("unsure")
        found = judge(place.far.lines(), unsure, DESKS)
        print("\n" + found.summary(f"{stops} x SIGTERM, {name}, seed {SEED}: longest stop {max(took):.2f} s"))
        keep(f"stop, {name}", found)
        assert found.clean, found.first
        assert not unsure
        assert max(took) < 10
