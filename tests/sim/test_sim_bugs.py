"""The judge can fail: each bug planted on purpose is found within a few seeds."""

from __future__ import annotations

import pytest

from hub.log import configure
from tests.sim.bugs import BUGS, Bug, find

SURE = ("moves_the_cursor_first", "never_looks", "forgets_copies", "lets_the_last_go_first", "keys_by_chance")
"""Bugs that the first seeds see: cheap enough for every day."""
WITHIN = 150


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.__name__ in SURE], ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found_at_once(bug: Bug) -> None:
    configure("CRITICAL")
    seed, violation = find(bug, range(1, 21))
    print(f"{bug.__name__}: seed {seed}: {violation}")
    assert seed


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_every_planted_bug_is_found(bug: Bug) -> None:
    configure("CRITICAL")
    seed, violation = find(bug, range(1, WITHIN + 1))
    print(f"{bug.__name__}: seed {seed}: {violation}")
    assert seed, f"{bug.__doc__} Not seen in {WITHIN} seeds."
