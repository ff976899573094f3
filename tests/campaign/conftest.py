"""What the campaigns share."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from tests.servers.install import need
from tests.servers.postgres import Postgres


@pytest.fixture(autouse=True, scope="session")
def nothing_stays() -> Iterator[None]:
    """Ended by SIGTERM, the tests stop what they started, as they do at Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(params=["embedded", "distributed"])
def engine(request: pytest.FixtureRequest) -> tuple[str, Callable[[], str]]:
    """The engine's name, and what makes a database for it: none of its own for the embedded one."""
    if request.param == "embedded":
        return "embedded", str
    return "distributed", request.getfixturevalue("postgres").new_hub_database


@pytest.fixture
def safe_postgres() -> Iterator[Postgres]:
    """A server that keeps what it committed through a crash, which the tests' usual one does not promise."""
    need("postgres")
    with Postgres(safe=True) as server:
        yield server
