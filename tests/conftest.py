"""Fixtures that every test may use: real servers, started once when the first test asks for one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.dovecot import Dovecot
from tests.servers.install import need
from tests.servers.postfix import Postfix
from tests.servers.postgres import Postgres
from tests.servers.rt import request_tracker

__all__ = ["request_tracker"]

SERVER_FIXTURES = frozenset({"dovecot", "postfix", "postgres", "request_tracker", "safe_postgres", "story_servers"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses a real server is marked so: `pytest -m "not server"` runs anywhere."""
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("server")


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """A running Dovecot; a test takes its own mailbox with `dovecot.new_mailbox()`."""
    need("dovecot")
    with Dovecot() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL; a test takes its own database with `postgres.new_database()`."""
    need("postgres")
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postfix(dovecot: Dovecot) -> Iterator[Postfix]:
    """A running Postfix that delivers into `dovecot`."""
    need("postfix")
    with Postfix(dovecot) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One headless Chromium for all tests: Playwright's synchronous interface allows one at a time."""
    need("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()
