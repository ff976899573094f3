"""What the campaigns share."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture(params=["embedded", "distributed"])
def engine(request: pytest.FixtureRequest) -> tuple[str, Callable[[], str]]:
    """The engine's name, and what makes a database for it: none of its own for the embedded one."""
    if request.param == "embedded":
        return "embedded", str
    return "distributed", request.getfixturevalue("postgres").new_hub_database
