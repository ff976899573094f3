"""A hub's pages served by waitress on a free port, and headless Chromium to look at them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.browser.seed import PASSWORD, seed
from tests.unit.small_hub import CONFIG, SmallHub, small_hub

MORE = '[channels.ventes]\nuse = "mail"\n'


@dataclass
class Site:
    """The pages, seeded and served."""

    hub: SmallHub
    address: str
    keys: dict[str, str]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    from waitress import create_server

    from hub.web import create_app

    hub = small_hub(Path(tmp_path_factory.mktemp("site")), config=CONFIG + MORE)
    hub.clock.at = datetime.now(UTC)
    keys = seed(hub.store, hub.clock.at)
    server: Any = create_server(create_app(hub), host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield Site(hub, f"http://127.0.0.1:{server.effective_port}", keys)
    server.close()
    thread.join(5)
    hub.store.close()


def come_in(page: Any, site: Site, name: str = "camille") -> None:
    """Log in through the form."""
    page.goto(f"{site.address}/login")
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", PASSWORD)
    page.click("button.primary")
    page.wait_for_url("**/overview")
