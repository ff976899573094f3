"""Intake stops before the disk is full, says so once, and goes on by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.config import ConfigErrors, load
from hub.pipeline.accept import BUSY
from hub.pipeline.room import BACK, Room
from hub.store.cases import delivery
from hub.store.health import alert
from hub.store.intake import message, raw
from tests.unit.pushing import push
from tests.world import CONFIG, World

LIMIT = 200 * 1024**2


class Disk:
    """Says what a test wants it to say."""

    def __init__(self) -> None:
        self.free, self.asked = 10 * LIMIT, 0

    def __call__(self, _place: Path) -> int:
        self.asked += 1
        return self.free


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.hub.stop()


@pytest.fixture
def disk(world) -> Disk:
    disk = Disk()
    world.hub.parts.room.free = disk
    return disk


def count(world: World, table: sa.Table) -> int:
    with world.hub.store.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def alerts(world: World) -> list[tuple[str, bool]]:
    with world.hub.store.read() as connection:
        return [(row.key, row.closed_at is None) for row in connection.execute(sa.select(alert).order_by(alert.c.id))]


def test_the_disk_is_asked_at_most_once_a_second(world, disk):
    room = world.hub.parts.room
    world.clock.at = world.clock.at.replace(hour=10)
    for _ in range(100):
        assert room.left()
    assert disk.asked == len(room._places)


def test_a_push_is_refused_before_the_component_counts_it(world, disk, monkeypatch):
    disk.free = LIMIT - 1
    world.go(1)
    assert push(world, "k", monkeypatch) == BUSY
    assert "accept" not in world.far.calls
    assert push(world, "k", monkeypatch, method="GET") == BUSY  # a page can be shown; what it brings is not kept
    assert count(world, raw) == 0
    disk.free = 10 * LIMIT
    world.go(1)
    assert push(world, "k", monkeypatch).status == 202
    assert count(world, raw) == 1


def test_mail_stays_where_it_is_and_comes_in_later(world, disk):
    disk.free = LIMIT - 1
    world.mail(text="Où est ma commande ?")
    world.go(5)
    assert count(world, raw) == 0
    assert world.hub.instances["support"].health.state == "green"  # its mailbox is not to blame
    disk.free = 10 * LIMIT
    world.go(5)
    assert count(world, raw) == 1


def test_a_page_that_was_fetched_while_the_disk_filled_is_not_kept(world, disk, monkeypatch):
    world.go(1)
    world.mail(text="Où est ma commande ?")
    component = world.hub.instances["support"].component
    poll = type(component).poll

    def filling(self: object, cursor: object) -> object:
        for page in poll(component, cursor):
            disk.free = LIMIT - 1
            world.clock.at = world.clock.at.replace(hour=11)
            yield page

    monkeypatch.setattr(component, "poll", filling.__get__(component))
    world.go(0)
    assert (disk.free, count(world, raw)) == (LIMIT - 1, 0)


def test_what_was_received_is_worked_off_meanwhile(world, disk):
    world.mail(text="Où est ma commande ?")
    from hub.engine.sources import sources_of

    for source in sources_of(world.hub.parts, lambda: None, world.hub.engine._stop):
        if source.instance.id == "support":
            source.tick()
    assert (count(world, raw), count(world, message)) == (1, 0)
    disk.free = LIMIT - 1
    world.go(10)
    with world.hub.store.read() as connection:
        states = set(connection.scalars(sa.select(delivery.c.state)))
    assert states == {"done"}
    assert len(world.far.sent) == 1


def test_one_alert_while_it_lasts(world, disk):
    world.go(2)
    assert alerts(world) == []
    disk.free = LIMIT - 1
    world.go(10)
    assert alerts(world) == [("disk", True)]
    disk.free = LIMIT + 1  # floats around the limit: not yet
    world.go(3)
    assert alerts(world) == [("disk", True)]
    disk.free = int(LIMIT * BACK) + 1
    world.go(3)
    assert alerts(world) == [("disk", False)]
    disk.free = LIMIT - 1
    world.go(3)
    assert alerts(world) == [("disk", False), ("disk", True)]


def test_an_alert_of_an_earlier_process_is_closed(world, disk):
    disk.free = LIMIT - 1
    world.go(2)
    world.restart()
    world.hub.parts.room.free = Disk()
    world.go(2)
    assert alerts(world) == [("disk", False)]


def test_an_alert_that_cannot_be_written_is_written_later(world, disk, monkeypatch):
    write = world.hub.store.write

    def full(**_: object) -> object:
        raise sa.exc.OperationalError("insert", {}, Exception("database or disk is full"))

    disk.free = 0
    monkeypatch.setattr(world.hub.store, "write", full)
    world.clock.at = world.clock.at.replace(hour=12)
    assert not world.hub.parts.room.left()
    monkeypatch.setattr(world.hub.store, "write", write)
    assert alerts(world) == []
    world.go(2)
    assert alerts(world) == [("disk", True)]


def test_a_disk_that_says_nothing_is_not_known_to_be_full(world, disk, monkeypatch):
    def gone(_place: Path) -> int:
        raise FileNotFoundError

    world.hub.parts.room.free = gone
    assert world.hub.parts.room.left()


def test_the_real_disk_answers(world):
    room = world.hub.parts.room
    assert all(room.free(place) > 0 for place in room._places)


def test_the_limit_is_a_setting(tmp_path):
    world = World(tmp_path, CONFIG.replace("[hub]", '[hub]\nkeep_free = "1GB"'))
    room = Room(world.hub.config, world.hub.store, world.clock)
    room.free = lambda _place: 1024**3 - 1
    assert not room.left()
    world.hub.stop()
    world.file.write_text('[hub]\nkeep_free = "much"\n')
    with pytest.raises(ConfigErrors):
        load(world.file)
