"""The state machine over the public operations: a few examples every day, many in the campaign."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.sim.machine import Operations

MANY = int(os.environ.get("TRESSE_EXAMPLES", "500"))
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


def _run(examples: int, steps: int, *, every_day: bool) -> None:
    Operations.begun, Operations.of = 0, examples
    run_state_machine_as_test(
        Operations,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=every_day,
            suppress_health_check=SLOW,
            phases=(Phase.generate,) if every_day else (Phase.generate, Phase.shrink),
            print_blob=True,
        ),
    )
    print(f"state machine: {Operations.begun} examples of at most {steps} operations, no violation")


def test_operations_in_any_order() -> None:
    _run(12, 25, every_day=True)


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_many_operations_in_any_order() -> None:
    _run(MANY, 40, every_day=False)
