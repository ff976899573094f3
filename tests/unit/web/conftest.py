"""A seeded hub, its app, and browsers outside and inside. One hub per file: tests there change it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from hub.web import create_app
from tests.browser.seed import seed
from tests.unit.braid import NOON
from tests.unit.small_hub import SmallHub, small_hub
from tests.unit.web.door import come_in


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, kind_of_database: str) -> Iterator[SmallHub]:
    """Of the database that the module runs on: it is made anew for the next one."""
    hub = small_hub(Path(tmp_path_factory.mktemp("web")))
    seed(hub.store, NOON)
    yield hub
    hub.store.close()


@pytest.fixture(scope="module")
def app(hub: SmallHub) -> Flask:
    app = create_app(hub)  # type: ignore[arg-type]
    app.testing = True
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def inside(client: FlaskClient) -> FlaskClient:
    assert come_in(client).status_code == 302
    return client
