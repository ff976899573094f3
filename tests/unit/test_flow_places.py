"""Whatever comes again, or anew, keeps its place among its sender's words (docs/decisions/0014)."""

from __future__ import annotations

import json
from datetime import timedelta
from unittest import mock

import sqlalchemy as sa

from hub.flow import FREE, Flow, number_of
from hub.pipeline.keeping import keep
from hub.pipeline.record import record_page
from hub.pipeline.replay import replay_raw
from hub.sdk import Raw
from hub.store.intake import step
from tests.unit.flooding import poll, read_all, said, write
from tests.world import Post, World


def test_what_is_pushed_is_read_behind_its_senders_flood_whoever_took_it(tmp_path):
    """Several processes take what is pushed, and each counts for itself."""
    world = World(tmp_path)
    store, now = world.hub.store, world.clock.now()

    def push(first: int, many: int, flow: Flow) -> None:
        raws = [Raw(f"p{n}", b"{}", {"sender": "flood@x.example"}) for n in range(first, first + many)]
        with store.write() as connection:
            keep(connection, [("support", raws)], now, flow)

    push(0, FREE + 5, Flow())
    push(FREE + 5, 1, Flow())
    with store.read() as connection:
        floods = connection.scalars(sa.select(step.c.flood).order_by(step.c.raw_id)).all()
    assert floods == [0] * (FREE + 1) + [number_of("flood@x.example")] * 5
    world.hub.stop()


def test_what_is_pushed_again_keeps_its_place(tmp_path):
    """The answer to it was lost. By now its sender is a flood, and it must not go behind what came after it."""
    world = World(tmp_path)
    flow = Flow()

    def push(who: str, first: int, many: int) -> None:
        def said(n: int) -> bytes:
            return json.dumps(
                {"from": f"{who}@x.example", "text": f"{who} {n}", "id": f"<{who}{n}@x.example>"}
            ).encode()

        raws = [Raw(f"{who}{n}", said(n), {"sender": f"{who}@x.example"}) for n in range(first, first + many)]
        with world.hub.store.write() as connection:
            keep(connection, [("support", raws), ("support", raws[:1])], world.clock.now(), flow)

    push("flood", 0, 200)
    push("alice", 0, FREE)
    push("alice", 5, 1)
    read_all(world)
    assert [one for one in said(world) if one.startswith("alice")] == [f"alice {n}" for n in range(FREE)]
    world.hub.stop()


def test_what_is_replayed_goes_before_its_senders_later_words(tmp_path, monkeypatch):
    """A bug kept three hundred of one sender unread, and the next three, which were no flood any more."""
    world = World(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(Post, "read", mock.Mock(side_effect=ValueError("a bug")))
        for first, many in ((0, 300), (300, 3)):
            write(world, "alice", many, first)
            poll(world)
            while record_page(world.hub.parts, "support"):
                pass
            world.clock.at += timedelta(hours=1)
    assert replay_raw(world.hub.store, world.clock.now()) == 303
    read_all(world)
    assert said(world) == [f"alice {n}" for n in range(303)]
    world.hub.stop()
