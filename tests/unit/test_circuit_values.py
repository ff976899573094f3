"""When a circuit opens: decisions without a database."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from hub.circuit import IN_A_ROW, LATELY, Health, bad, good
from tests.world import START


def test_a_far_side_that_answered_lately_is_away_after_three_failures_in_a_row():
    dice, health = random.Random(1), good(Health("green", START), START)
    for _ in range(IN_A_ROW - 1):
        health = bad(health, START + timedelta(seconds=1), "amber", "a timeout", None, dice)
        assert (health.state, health.retry_at) == ("green", None)
    assert bad(health, START + timedelta(seconds=1), "amber", "a timeout", None, dice).state == "amber"
    assert good(health, START + timedelta(seconds=2)).failures == 0


@pytest.mark.parametrize(
    ("state", "wait", "later"),
    [("amber", None, LATELY.total_seconds() + 1), ("amber", 30.0, 1), ("red", None, 1)],
    ids=["silent for a while", "it says when", "a wrong password"],
)
def test_one_failure_is_enough_where_there_is_no_doubt(state, wait, later):
    health = good(Health("green", START), START)
    after = bad(health, START + timedelta(seconds=later), state, "why", wait, random.Random(1))
    assert after.state == state
    assert after.waits(START + timedelta(seconds=later))
