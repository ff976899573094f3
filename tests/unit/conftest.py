"""Tests of the store and of the pipeline run on both databases, and on the lanes of the distributed engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import databases

BOTH = {
    "test_access",
    "test_circuit",
    "test_instances",
    "test_knowledge",
    "test_migrations",
    "test_pauses",
    "test_sources",
    "test_timeline",
    "test_timeline_readings",
    "web.test_api",
    "web.test_web_acts",
    "web.test_web_pages",
}
"""Run on SQLite and on PostgreSQL."""
LANES = {"test_after_crashes", "test_endings", "test_pipeline", "test_pipeline_more"}
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
        databases.on_postgresql(request.getfixturevalue("postgres").new_database, lanes=kind == "lanes")
    yield kind
    databases.on_postgresql(None)


@pytest.fixture(scope="session")
def postgres():
    import itertools
    import subprocess

    n = itertools.count()
    import os

    class P:
        def new_database(self):
            name = f"u{os.getpid()}_{next(n)}"
            subprocess.run(
                [
                    "psql",
                    "-h",
                    "127.0.0.1",
                    "-p",
                    "25432",
                    "-U",
                    "hub",
                    "-d",
                    "postgres",
                    "-qc",
                    f"create database {name}",
                ],
                check=True,
            )
            return f"postgresql+psycopg://hub@127.0.0.1:25432/{name}"

    return P()
