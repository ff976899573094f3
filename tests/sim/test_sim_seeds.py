"""A hundred seeds in `make test`, a thousand and more in `make campaign` (TRESSE_SEEDS=number)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub.log import configure
from tests.campaign.places import Progress
from tests.sim.__main__ import figures
from tests.sim.run import Result, play
from tests.sim.sweep import sweep

ROOT = Path(__file__).resolve().parents[2]
MANY = int(os.environ.get("TRESSE_SEEDS", "1000"))


@pytest.fixture(autouse=True)
def quiet() -> None:
    configure("CRITICAL")


def _campaign(seeds: range) -> None:
    began, done, progress = time.perf_counter(), list[Result](), Progress("simulator")
    for seed in seeds:
        result = play(seed)
        result.history.clear()
        done.append(result)
        progress.say(len(done), len(seeds), "seeds")
    print(figures(done, time.perf_counter() - began))
    wrong = {one.seed: one.violations for one in done if one.violations}
    repeat = "\n".join(f"python -m tests.sim --seed {seed}" for seed in wrong)
    assert not wrong, f"{wrong}\nrepeat with:\n{repeat}"


def test_a_hundred_seeds() -> None:
    _campaign(range(1, 101))


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_a_thousand_seeds() -> None:
    _campaign(range(1001, 1001 + MANY))


@pytest.mark.parametrize("late", [True, False], ids=["late", "at-once"])
def test_the_process_dies_here_and_there(late: bool) -> None:
    swept = sweep(first=1 + late, every=23, late=late)
    print(f"{swept.points} places to die at")
    assert swept.points > 5
    assert swept.violations == {}


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("late", [True, False], ids=["late", "at-once"])
def test_the_process_dies_everywhere(late: bool) -> None:
    swept = sweep(late=late)
    print(f"{swept.points} places to die at, each once")
    assert swept.points > 100
    assert swept.violations == {}


def _digest(result: Result) -> str:
    return hashlib.sha256("\n".join(result.history).encode()).hexdigest()


def test_a_seed_decides_everything() -> None:
    """Here and in another process, whose sets and dicts have another order."""
    here = _digest(play(3))
    assert here == _digest(play(3))
    program = (
        "import hashlib; from hub.log import configure; configure('CRITICAL'); from tests.sim.run import play; "
        "print(hashlib.sha256('\\n'.join(play(3).history).encode()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT)}
    there = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here
