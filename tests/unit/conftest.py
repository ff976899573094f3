"""Tests of the store and of the pipeline run on both databases, and on the lanes of the distributed engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.store import Store
from tests import databases
from tests.unit.braid import open_store

HERE = Path(__file__).parent
BOTH = {
    "test_access",
    "test_alerts_commands",
    "test_alerts_told",
    "test_circuit",
    "test_cli",
    "test_flow",
    "test_flow_places",
    "test_flow_reading",
    "test_group_commit",
    "test_host_alert",
    "test_instances",
    "test_knowledge",
    "test_migrations",
    "test_leases",
    "test_lookups",
    "test_pace",
    "test_pauses",
    "test_reading_hub",
    "test_restored",
    "test_room",
    "test_sources",
    "test_timeline",
    "test_timeline_readings",
    "test_troubles",
    "test_undecided",
    "test_waking",
    "web/test_api",
    "web/test_web_acts",
    "web/test_web_calls",
    "web/test_web_costs",
    "web/test_web_inbound",
    "web/test_web_login",
    "web/test_web_pages",
}
"""Run on SQLite and on PostgreSQL: files beneath this folder."""
LANES = {
    "test_after_crashes",
    "test_endings",
    "test_given_up",
    "test_gone",
    "test_next",
    "test_pipeline",
    "test_pipeline_more",
    "test_reading_hangs",
}
"""Run with lanes as well, as the distributed engine finds its work (tests/lanes.py)."""
LEFT_OUT = {
    "test_backup": "copies SQLite's file; a backup of PostgreSQL is its own affair",
    "test_engine": "its hubs stop with calls under way, whose connections to a server would stay open in this process",
    "test_migrations_vacuum": "PostgreSQL's own cleaning",
    "test_distributed": "several workers, on PostgreSQL alone",
    "test_sides_start": "two processes that write at the same moment: PostgreSQL alone lets them",
    "test_starts": "two processes that write at the same moment: PostgreSQL alone lets them",
    "test_vigil": "workers of the distributed engine, on PostgreSQL alone",
}
"""Open a store, and run on one database: why."""
OWN_TABLES = {"test_cli", "test_migrations"}
"""Begin with an empty database."""


def module_of(file: str | Path) -> str:
    """A test module's name as these lists have it."""
    return Path(file).relative_to(HERE).with_suffix("").as_posix()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test of these modules once per database."""
    module = module_of(str(metafunc.module.__file__))
    kinds = [*(["sqlite", "postgresql"] if module in BOTH | LANES else []), *(["lanes"] if module in LANES else [])]
    if kinds:
        metafunc.parametrize("kind_of_database", kinds, indirect=True, scope="module")


@pytest.fixture(autouse=True, scope="module")
def kind_of_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Sets what `tests.databases` and `tests.world` use, before anything else: also before a hub of a whole module."""
    kind: str = getattr(request, "param", "sqlite")
    if kind != "sqlite":
        server = request.getfixturevalue("postgres")
        own = module_of(request.path) in OWN_TABLES
        made = server.new_database if own else server.new_hub_database
        databases.on_postgresql(made, lanes=kind == "lanes")
    yield kind
    databases.on_postgresql(None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty database with all tables."""
    made = open_store(tmp_path)
    yield made
    made.close()
