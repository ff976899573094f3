"""Workers that are all gone, and one that lives and does nothing: somebody says so, and it is brought back."""

from __future__ import annotations

import base64
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from hub.app import Hub, open_hub
from hub.config import load
from hub.engine import vigil
from hub.engine.vigil import ALERT, LASTING, Illness, workers_alive
from hub.pipeline.troubles import Troubles
from hub.registry import Registry
from hub.store import ILL
from hub.store.alerts import raise_alert
from hub.store.health import alert
from hub.web import create_app
from tests.unit.receiver import Receiver
from tests.unit.test_distributed import configured
from tests.unit.test_engine import CLASSES, until
from tests.world import FAR, ToldClock

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def opened(tmp_path, postgres) -> Iterator[Callable[..., Hub]]:
    """Opens hubs on one database of their own; all end with the test."""
    FAR.__init__()  # type: ignore[misc]
    url = postgres.new_hub_database()
    with contextlib.ExitStack() as ending:

        def start(more: str = "", *, engine: bool = True) -> Hub:
            file = configured(tmp_path, url)
            file.write_text(f"{file.read_text('utf-8')}\n{more}\n", "utf-8")
            hub = open_hub(load(file), engine=engine, registry=Registry(_components=CLASSES))
            ending.callback(hub.stop)
            if engine:
                hub.start()
            return hub

        yield start


def alive(hub: Hub) -> int:
    with hub.store.read() as connection:
        return workers_alive(connection)


def standing(hub: Hub) -> list[str]:
    with hub.store.read() as connection:
        return list(connection.scalars(sa.select(alert.c.key).where(alert.c.closed_at.is_(None))))


def test_figures_count_worker_processes_and_readiness_asks_for_none(opened):
    pages = opened(engine=False)
    client = create_app(pages).test_client()
    assert "tresse_workers_alive 0.0" in client.get("/metrics").text
    assert client.get("/readyz").status_code == 200
    first, _second = opened(), opened()
    assert until(lambda: "tresse_workers_alive 2.0" in client.get("/metrics").text, 15)
    first.stop()
    assert until(lambda: alive(pages) == 1, 15)
    with pages.store.write() as connection:  # connected, and without a sign of life
        connection.execute(sa.text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '40 seconds'"))
        assert workers_alive(connection) == 0


def test_the_pages_raise_tell_and_close_the_alert(opened, monkeypatch):
    monkeypatch.setattr(vigil, "SILENT", 0.5)
    receiver = Receiver()
    told = f'[alerts]\nwebhook = "{receiver.url}"\nsecret = "{SECRET}"\nafter = "0s"\n'
    try:
        pages = opened(told, engine=False)
        pages.vigil.look()
        assert standing(pages) == []
        time.sleep(0.6)
        pages.vigil.look()
        pages.vigil.look()
        assert standing(pages) == [ALERT]
        assert until(lambda: pages.vigil.look() is None and len(receiver.posts) == 1, 10)
        opened(told)
        assert until(lambda: standing(pages) == [], 15)
        assert until(lambda: len(receiver.posts) == 2, 15)
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
    assert [(one["type"], one["data"]["key"]) for one in receiver.said] == [
        ("alert.opened", ALERT),
        ("alert.closed", ALERT),
    ]


def test_a_process_without_an_engine_looks_by_itself(opened, monkeypatch):
    monkeypatch.setattr(vigil, "SILENT", 0.3)
    monkeypatch.setattr(vigil, "LOOK", 0.1)
    pages = opened(engine=False)
    pages.start()
    assert until(lambda: standing(pages) == [ALERT], 10)


def test_a_database_that_was_away_says_nothing_about_workers(opened, monkeypatch):
    monkeypatch.setattr(vigil, "LOOK", 0.05)
    monkeypatch.setattr(vigil, "SILENT", 1.0)
    pages = opened(engine=False)

    def away(_connection: Any) -> int:
        raise ILL[0]("no", None, Exception())

    with monkeypatch.context() as patched:
        patched.setattr(vigil, "workers_alive", away)
        pages.start()
        time.sleep(1.5)
    time.sleep(0.3)
    assert standing(pages) == []


def test_an_embedded_engine_closes_what_workers_left_open(tmp_path):
    file = tmp_path / "hub.toml"
    file.write_text(f'[hub]\ndata = "{tmp_path}"\n')
    hub = open_hub(load(file))
    try:
        with hub.store.write() as connection:
            raise_alert(connection, ALERT, "of an earlier time", hub.parts.now())
        hub.start()
        assert standing(hub) == []
    finally:
        hub.stop()


# -- one that lives and does nothing --------------------------------------------------------------


def test_an_engine_is_ill_for_good_after_a_while_and_not_for_want_of_a_database():
    clock, engine = ToldClock(), SimpleNamespace(alive=lambda: False)
    parts: Any = SimpleNamespace(clock=clock, troubles=Troubles())
    illness = Illness(engine, parts)  # type: ignore[arg-type]

    def after(seconds: float) -> bool:
        clock.at += timedelta(seconds=seconds)
        return illness.lasts()

    assert [after(0), after(LASTING - 1), after(2)] == [False, False, True]
    parts.troubles.ill("tend", Exception(), database=True)
    assert [after(0), after(10 * LASTING)] == [False, False]
    parts.troubles.well("tend")
    assert [after(0), after(LASTING - 1), after(2)] == [False, False, True]
    engine.alive = lambda: True
    assert not after(0)


def test_a_worker_whose_engine_is_dead_ends_with_exit_code_1(tmp_path: Path):
    file = tmp_path / "hub.toml"
    file.write_text(f'[hub]\ndata = "{tmp_path}"\n[log]\nformat = "json"\n')
    program = (
        "import sys\nfrom hub import daemon\nfrom hub.config import load\nfrom hub.engine import embedded, vigil\n"
        "daemon.CARE, vigil.LASTING = 0.05, 0.3\nembedded.Embedded.alive = lambda self: False\n"
        "from pathlib import Path\ndaemon.run(load(Path(sys.argv[1])), pages=False)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "the engine has stopped working; this process ends, to be started again" in done.stdout + done.stderr
