"""Tests of the store and of the pipeline run on both databases, and on the lanes of the distributed engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.store import Store
from tests import databases
from tests.unit.braid import open_store

BOTH = {
    "test_access",
    "test_alerts_told",
    "test_circuit",
    "test_flow",
    "test_group_commit",
    "test_host_alert",
    "test_instances",
    "test_knowledge",
    "test_migrations",
    "test_leases",
    "test_pace",
    "test_pauses",
    "test_room",
    "test_sources",
    "test_timeline",
    "test_timeline_readings",
    "test_undecided",
    "web.test_api",
    "web.test_web_acts",
    "web.test_web_pages",
}
"""Run on SQLite and on PostgreSQL."""
LANES = {
    "test_after_crashes",
    "test_endings",
    "test_given_up",
    "test_gone",
    "test_next",
    "test_pipeline",
    "test_pipeline_more",
}
"""Run with lanes as well, as the distributed engine finds its work (tests/lanes.py)."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test of these modules once per database."""
    module = metafunc.module.__name__.removeprefix("tests.unit.")
    kinds = [*(["sqlite", "postgresql"] if module in BOTH | LANES else []), *(["lanes"] if module in LANES else [])]
    if kinds:
        metafunc.parametrize("kind_of_database", kinds, indirect=True, scope="function")


@pytest.fixture(autouse=True)
def kind_of_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Sets what `tests.databases` and `tests.world` use, before anything else of a test."""
    kind: str = getattr(request, "param", "sqlite")
    if kind != "sqlite":
        server = request.getfixturevalue("postgres")
        # Tests of the migrations make their own tables.
        made = server.new_database if "migrations" in request.module.__name__ else server.new_hub_database
        databases.on_postgresql(made, lanes=kind == "lanes")
    yield kind
    databases.on_postgresql(None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty database with all tables."""
    made = open_store(tmp_path)
    yield made
    made.close()
