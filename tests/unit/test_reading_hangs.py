"""A reader that does not come back: its own channel waits, everybody else's mail is read."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from hub.pipeline import read as reading
from hub.store.intake import message, step
from hub.threads import Threads
from tests.world import World


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LIMIT", 0.2)
    world = World(tmp_path)
    yield world
    world.hub.stop()


def _rows(world, table):
    with world.hub.store.read() as connection:
        return connection.execute(sa.select(table)).all()


def test_the_message_it_hangs_in_is_set_aside_and_the_others_are_read(world):
    let_go = threading.Event()
    sick = world.hub.instances["support"]
    sick.reads = Threads("sick", 1)
    real = sick.component.read

    def hangs(raw):
        if b"hang" in raw.data:
            let_go.wait()
        return real(raw)

    sick.component.read = hangs
    world.mail(text="Bonjour, une première question")
    world.mail(text="hang")
    world.mail(text="Bonjour, une troisième question")
    world.go(1)
    assert [s.reason for s in _rows(world, step) if s.state == "kept"] == ["it took longer than 0.2 s to read"]
    assert len([m for m in _rows(world, message) if m.direction == "in" and m.state == "ok"]) == 1
    world.far.mails.clear()
    world.mail(text="Une autre boîte, un autre fil", id="<other@customer.example>")
    world.go(1, channel="contact")  # while the reader of `support` is still stuck
    assert len([m for m in _rows(world, message) if m.instance == "contact" and m.raw_id]) == 1
    let_go.set()
    world.go(40, channel="contact")  # it has let go: the third is read when its channel is looked at again
    assert {m.instance for m in _rows(world, message) if m.state == "ok" and m.direction == "in"} == {
        "support",
        "contact",
    }
    assert len([m for m in _rows(world, message) if m.instance == "support" and m.state == "ok" and m.raw_id]) == 2
