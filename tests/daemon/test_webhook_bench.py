"""What `make bench` measures webhooks with: both sides on both servers take what they answer for."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from bench.sides import BARE, GRANIAN, HUB, SERVERS, WAITRESS, Side, cpu_of
from bench.webhook import load
from tests.servers.ports import wait_for

OPTIONS = argparse.Namespace(threads=4, workers=2, engines=1)


@pytest.fixture(params=[WAITRESS, GRANIAN])
def sides(request: pytest.FixtureRequest, tmp_path: Path) -> list[Side]:
    """The bare endpoint and the hub on one server."""
    postgres = request.getfixturevalue("postgres") if request.param == GRANIAN else None
    return [Side(kind, request.param, OPTIONS, tmp_path / kind, postgres) for kind in (BARE, HUB)]


def test_what_is_answered_is_there_on_either_server(sides: list[Side]) -> None:
    for side in sides:
        keys = side.folder / "keys"
        with side.served() as (port, processes):
            before = cpu_of(processes)
            figures = load(port, side.path, 4, 0.5, "--shape", side.shape, "--keys", str(keys))
            assert cpu_of(processes) > before
            assert figures["answered"] > 10
            assert (figures["refused"], figures["broken"]) == (0, 0)
            wait_for(lambda side=side: side.waiting() == 0, 30, "the engine to read what came")  # type: ignore[misc]
        answered = keys.read_text().split()
        assert len(answered) == figures["answered"]
        assert side.missing(answered) == 0
        assert side.missing([*answered, "k-nobody-sent"]) == 1


def test_both_sides_are_shown_on_every_server() -> None:
    assert all({BARE, HUB} <= set(kinds) for kinds in SERVERS.values())
