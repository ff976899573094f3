"""An alert about a host: each host has its own, and one that is gone for good leaves none behind."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from hub.config import Config, EngineSettings, load
from hub.pipeline.host_alert import AGAIN, SILENT, HostAlert
from hub.pipeline.room import Room
from hub.store import Store
from hub.store.alerts import raise_alert
from hub.store.backlog import alerts_by_kind
from hub.store.health import alert, note
from tests.world import ToldClock

FULL = "Less than 200 MB is free on the host {}: nothing new is taken in there."


@pytest.fixture
def clock() -> ToldClock:
    return ToldClock()


@pytest.fixture
def config(tmp_path) -> Config:
    file = tmp_path / "hub.toml"
    file.write_text(f'[hub]\ndata = "{tmp_path}"\n')
    return load(file)


@pytest.fixture
def on(config, store, clock, monkeypatch) -> Any:
    """An alert of a worker on a host of that name, just started."""

    def started(host: str) -> HostAlert:
        monkeypatch.setattr("socket.gethostname", lambda: host)
        distributed = dataclasses.replace(config, engine=EngineSettings(kind="distributed"))
        return HostAlert("disk", distributed, store, clock)

    return started


def open_ones(store: Store) -> dict[str, str]:
    with store.read() as connection:
        rows = connection.execute(sa.select(alert.c.key, alert.c.text).where(alert.c.closed_at.is_(None)))
        return {row.key: row.text for row in rows}


def test_a_host_with_room_does_not_close_the_alert_of_one_without(on, store, clock):
    full, well = on("one"), on("two")
    assert full.tell("full")
    assert not well.tell("")
    assert open_ones(store) == {"disk:one": "full"}
    clock.at += timedelta(minutes=5)
    assert not full.tell("full")
    assert not well.tell("")
    assert on("two").tell("full too")
    with store.read() as connection:
        assert alerts_by_kind(connection) == {"disk": 2}
    assert full.tell("")
    assert open_ones(store) == {"disk:two": "full too"}


def test_a_host_that_is_gone_leaves_no_alert_for_ever(on, store, clock):
    gone, lasting, well = on("gone"), on("lasting"), on("well")
    assert gone.tell("full")
    assert lasting.tell("full")
    well.tell("")
    end = clock.at + SILENT + timedelta(seconds=2 * AGAIN)
    while clock.at < end:
        clock.at += timedelta(seconds=AGAIN)
        well.tell("")
        lasting.tell("full")
    assert set(open_ones(store)) == {"disk:lasting"}
    lasting.tell("")
    with store.read() as connection:
        assert connection.scalars(sa.select(note.c.key).where(note.c.key.startswith("alert/"))).all() == []


def test_an_alert_that_others_closed_too_early_is_opened_again(on, store, clock):
    full = on("one")
    full.tell("full")
    on("one").tell("")  # another process there, which began when there was a little more room
    assert open_ones(store) == {}
    clock.at += timedelta(seconds=AGAIN)
    assert not full.tell("full"), "for the log it is no news"
    assert open_ones(store) == {"disk:one": "full"}


def test_steady_states_cost_no_writing(on, store, clock, monkeypatch):
    well = on("one")
    well.tell("")

    def writing() -> None:
        pytest.fail("nothing has changed")

    monkeypatch.setattr(store, "write", writing)
    for _ in range(10):
        clock.at += timedelta(seconds=AGAIN)
        assert not well.tell("")


def test_embedded_it_has_its_plain_name(config, store, clock, on):
    on("one").tell("full")  # of days when there were several
    alone = HostAlert("disk", config, store, clock)
    assert alone.tell("full")
    assert open_ones(store) == {"disk": "full"}
    alone.tell("")
    assert open_ones(store) == {}


def test_a_worker_takes_over_from_an_embedded_engine(on, store, clock):
    with store.write() as connection:
        raise_alert(connection, "disk", "full", clock.now())
        raise_alert(connection, "disk-of-somebody-else", "no", clock.now())
    assert on("one").tell("full")
    assert set(open_ones(store)) == {"disk:one", "disk-of-somebody-else"}


def test_a_name_fits_into_its_rows_and_sentence(on, store):
    odd = on("a name\twith " + "x" * 300)
    odd.tell("full")
    assert list(open_ones(store)) == ["disk:a-name-with-" + "x" * 48]


def test_rooms_of_two_hosts(config, store, clock, monkeypatch):
    free = {"one": 0, "two": 10**12}
    rooms = []
    for host in ("one", "two"):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        room = Room(dataclasses.replace(config, engine=EngineSettings(kind="distributed")), store, clock)
        room.free = lambda _place, host=host: free[host]
        rooms.append(room)
    for _ in range(3):
        clock.at += timedelta(seconds=2)
        assert [room.left() for room in rooms] == [False, True]
    assert open_ones(store) == {"disk:one": FULL.format("one")}
    free["one"] = 10**12
    clock.at += timedelta(seconds=2)
    assert all(room.left() for room in rooms)
    assert open_ones(store) == {}
