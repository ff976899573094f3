"""The pages there are, and the way in."""

from __future__ import annotations

import re
from typing import Any

from flask.testing import FlaskClient

from tests.browser.seed import PASSWORD

PAGES = (
    "/overview",
    "/overview/live",
    "/customers",
    "/customers?all=1",
    "/customers?search=ali",
    "/customers?search=nobody",
    "/customers/1",
    "/orders/CMD-2026-0042",
    "/cases/TR-2026-000123",
    "/deliveries",
    "/deliveries?state=unsure",
    "/kept",
    "/kept/1",
    "/plugins",
    "/answers",
    "/answers?search=colis",
    "/answers/1",
    "/answers/new",
)


def csrf(client: FlaskClient, address: str = "/login") -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(address).text)
    assert found
    return found[1]


def come_in(client: FlaskClient, name: str = "camille", password: str = PASSWORD) -> Any:
    return client.post("/login", data={"name": name, "password": password, "csrf_token": csrf(client)})
