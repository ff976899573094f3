"""Killed at random moments while every fifth call fails: nothing lost, nothing twice, everything in order."""

from __future__ import annotations

import random
import time

import pytest

from tests.campaign.judge import judge
from tests.campaign.places import SEED, Place, Progress, keep, settle, size
from tests.campaign.writing import Writers
from tests.servers.postgres import Postgres

SECTIONS = """
[channels.mail]
use = "feed"
url = "FAR"
threads = 8
timeout = "10s"
[crm.keyed]
use = "ledger"
url = "FAR"
threads = 8
timeout = "10s"
[crm.searched]
use = "ledger"
url = "FAR"
threads = 8
timeout = "10s"
"""
DESKS = {"keyed": ["mail"], "searched": ["mail"]}


def test_embedded():
    _embedded(size("MESSAGES", 16), size("KILLS", 2))


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_embedded_long():
    _embedded(size("MESSAGES", 10_000), size("KILLS", 100))


def test_three_workers(postgres):
    _distributed(postgres, size("MESSAGES", 14), size("KILLS", 2))


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_three_workers_long(postgres):
    _distributed(postgres, size("MESSAGES", 10_000), size("KILLS", 100))


def _moods(place: Place) -> None:
    for at in ("desk/keyed", "desk/searched", "send/mail"):
        place.far.mood(at, fail=0.2, delay=(0.01, 0.15), keyed=at != "desk/searched")


def _embedded(messages: int, kills: int) -> None:
    dice, progress = random.Random(SEED), Progress("pipeline, embedded")
    with Place(SECTIONS) as place:
        _moods(place)
        place.start("hub")
        for n, some in enumerate(Writers(dice).portions(messages, kills + 1)):
            place.far.write("mail", some)
            if n < kills:
                time.sleep(dice.uniform(0.2, 2.5))
                place.processes["hub"].kill()
                place.start("hub")
            progress.say(n, kills, "kills")
        _judge(place, messages, kills, "pipeline, embedded")


def _distributed(postgres: Postgres, messages: int, kills: int) -> None:
    """The first of three workers is killed early and never returns; the others in turn, started again at once."""
    dice, progress = random.Random(SEED), Progress("pipeline, three workers")
    with Place(SECTIONS, database=postgres.new_hub_database()) as place:
        _moods(place)
        place.start("one", "two", "three")
        for n, some in enumerate(Writers(dice).portions(messages, kills + 1)):
            place.far.write("mail", some)
            if n < kills:
                time.sleep(dice.uniform(0.2, 2.5))
                name = "one" if n == 0 else ("two", "three")[n % 2]
                place.processes[name].kill()
                if n:
                    place.start(name)
            progress.say(n, kills, "kills")
        _judge(place, messages, kills, "pipeline, three workers")


def _judge(place: Place, messages: int, kills: int, name: str) -> None:
    settle(place, DESKS, 60 + messages)
    found = judge(place.far.lines(), place.deliveries("unsure"), DESKS)
    print("\n" + found.summary(f"{name}, seed {SEED}"))
    keep(name, found)
    assert found.clean, found.first
    assert (found.messages, found.kills) == (messages, kills)
    if kills > 10:  # of two, both may meet a hub that just waits
        assert found.cut > kills / 4, "most kills met nothing that was under way"
