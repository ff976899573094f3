"""Others are read before a flood, and nobody's own words in another order (docs/decisions/0014)."""

from __future__ import annotations

import json
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.engine.draining import GLANCE, Draining
from hub.engine.sources import sources_of
from hub.flow import CALM, FREE, Flow, number_of
from hub.pipeline import record
from hub.pipeline.keeping import keep
from hub.pipeline.record import record_page
from hub.pipeline.replay import replay_raw
from hub.pipeline.waiting import SHARE, rest_of
from hub.sdk import Raw
from hub.store.intake import message, message_body, step
from hub.threads import Threads
from tests.world import Inline, Post, World

MANY = 70
"""More than a sender has free, and than a page holds of a flood."""


def test_others_are_read_before_a_flood_though_they_came_behind_it(tmp_path):
    world = World(tmp_path)
    _write(world, "flood", 300)
    _write(world, "bob", 2)
    _poll(world)
    world.hub.engine.look()
    assert {"bob 0", "bob 1"} < {*_said(world)}
    many = len(_said(world))
    for n in range(2, 6):
        _write(world, "bob", 1, n)
        _poll(world)
        world.hub.engine.look()
        assert f"bob {n}" in _said(world)  # nothing was read ahead that would come first
    assert len(_said(world)) <= many + 4 * (SHARE + 1)  # no more while others are about: who comes next waits for these
    world.go(30)
    assert [one for one in _said(world) if one.startswith("flood")] == [f"flood {n}" for n in range(300)]
    world.hub.stop()


def test_a_flood_rests_between_its_pages_while_others_are_about(tmp_path, monkeypatch):
    """Read as fast as it goes, it takes the processor away from what is planned and delivered for the others."""
    world = World(tmp_path)
    took = 0.004
    _takes_long(world, monkeypatch, 0, takes=took)
    _write(world, "flood", 400)
    _write(world, "bob", 1)
    _poll(world)
    draining = Draining(world.hub.parts, world.hub.answers, mock.Mock())
    began = world.clock.at
    assert record_page(world.hub.parts, "support")  # bob, and some of the flood
    many = len(_said(world))
    assert not record_page(world.hub.parts, "support")
    _write(world, "bob", 1, 1)
    _poll(world)
    assert record_page(world.hub.parts, "support")  # who comes meanwhile is read at once, and alone
    assert _said(world)[many:] == ["bob 1"]
    while len(_said(world)) < many + 1 + 5 * SHARE:
        draining._read("support", threading.Event())
    busy = took * (len(_said(world)) - 2) / (world.clock.at - began).total_seconds()
    assert 1 / 15 < busy < 1 / 6
    world.clock.at += CALM
    while record_page(world.hub.parts, "support"):  # it has the hub to itself, and rests no more
        pass
    assert [one for one in _said(world) if one.startswith("flood")] == [f"flood {n}" for n in range(400)]
    world.hub.stop()


@pytest.mark.parametrize("quick", [0, 31])
def test_who_writes_behind_mails_that_take_long_waits_for_one_of_them(tmp_path, monkeypatch, quick):
    """Made to hurt: five seconds each, and the first ones may look harmless."""
    world = World(tmp_path)
    slow = _takes_long(world, monkeypatch, FREE + 1 + quick)
    _write(world, "flood", FREE + 1)
    _poll(world)
    _read_all(world)
    _write(world, "flood", 60 + quick, FREE + 1)
    _poll(world)
    while not slow:
        record_page(world.hub.parts, "support")  # it has the hub to itself
    assert slow == ["flood"]
    for n in range(3):
        _write(world, "bob", 1, n)
        _poll(world)
        before = len(slow)
        while f"bob {n}" not in _said(world):
            record_page(world.hub.parts, "support")
        assert len(slow) - before <= 1
    _read_all(world)
    assert [one for one in _said(world) if one.startswith("flood")] == [f"flood {n}" for n in range(FREE + 61 + quick)]
    world.hub.stop()


def test_nobody_waits_for_a_flood_of_mails_that_take_long_once_that_is_known(tmp_path, monkeypatch):
    """Whoever looks after a page has the other channels to look after as well."""
    world = World(tmp_path)
    slow = _takes_long(world, monkeypatch, FREE + 1, real=0.3)
    world.hub.instances["support"].reads = Threads("reads", 1)
    monkeypatch.setattr(type(world.hub.parts.readers), "may_hang", lambda *_: False)  # as with children
    _write(world, "flood", FREE + 61)
    _poll(world)
    held, began = 0.0, time.monotonic()
    while len(slow) < 12:
        assert time.monotonic() < began + 20
        at = time.monotonic()
        record_page(world.hub.parts, "support")
        held += time.monotonic() - at
        time.sleep(0.02)
        world.clock.at += timedelta(seconds=0.02)
    assert held < 2.0  # a moment at first, and not the half of what the reader is at work
    said = [one for one in _said(world) if one.startswith("flood")]
    assert said == [f"flood {n}" for n in range(len(said))]
    world.hub.stop()


def _takes_long(
    world: World, monkeypatch: pytest.MonkeyPatch, first: int, real: float = 0.0, takes: float = 5
) -> list[str]:
    """From the `first` on a flood's mails take so many seconds, or so many `real` ones. Notes each that was read."""
    read, found = Post.read, list[str]()

    def slow(self: Post, raw: Raw) -> Any:
        if (number := re.search(rb"flood (\d+)", raw.data)) and int(number[1]) >= first:
            time.sleep(real)
            world.clock.at += timedelta(seconds=real or takes)
            found.append("flood")
        return read(self, raw)

    monkeypatch.setattr(Post, "read", slow)
    return found


DOES = st.one_of(
    st.tuples(st.just("write"), st.sampled_from("ab"), st.sampled_from([1, FREE, MANY, MANY])),
    st.sampled_from([("read",), ("poll",), ("restart",), ("wait",), ("cut",), ("slow",)]),
)
POLLED_BEFORE_A_RESTART = [("write", "a", MANY), ("poll",), ("restart",), ("write", "a", 1)]
CUT_WHILE_READING_AHEAD = [
    *[("write", "a", 150), ("write", "b", 1), ("poll",), ("read",), ("cut",), *[("wait",)] * 9, ("slow",)],
    *[("wait",), ("read",)] * 9,
]


@given(st.lists(DOES, max_size=20))
@example(POLLED_BEFORE_A_RESTART)
@example(CUT_WHILE_READING_AHEAD)
@settings(max_examples=25, deadline=None)
def test_nobodys_words_are_read_in_another_order(does):
    """Whatever comes in, whoever counts anew, and wherever the database or a reader takes its time."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as left:
        world = World(Path(folder))
        left.callback(lambda: world.hub.stop())  # noqa: PLW0108 - the hub of that moment
        # As with children: what is not read in time is left to them.
        left.enter_context(mock.patch.object(type(world.hub.parts.readers), "may_hang", return_value=False))
        wrote: Counter[str] = Counter()
        slow: list[Callable[[], None]] = []
        for what, *more in [*does, ("poll",)]:
            if what == "write":
                _write(world, more[0], more[1], wrote[more[0]])
                wrote[more[0]] += more[1]
            elif what == "read":
                record_page(world.hub.parts, "support")
            elif what == "poll":
                _poll(world)
            elif what == "restart":
                world.restart()
            elif what == "wait":
                world.clock.at += timedelta(seconds=7)
            elif what == "cut":
                _cut(world)
            else:
                slow.append(_slowly(world))
        for finish in slow:
            finish()
        for _ in range(3 + len(slow)):
            world.clock.at += timedelta(seconds=7)
            while record_page(world.hub.parts, "support"):
                pass
        said = _said(world)
        for who, many in wrote.items():
            assert [one for one in said if one.startswith(who)] == [f"{who} {n}" for n in range(many)]


def _cut(world: World) -> None:
    """The database goes away while a page is recorded."""
    away = sa.exc.OperationalError("INSERT", {}, Exception("closed"))
    with mock.patch.object(record, "_record", side_effect=away):
        try:
            record_page(world.hub.parts, "support")
        except sa.exc.OperationalError:
            world.clock.at += timedelta(seconds=5)


def _slowly(world: World) -> Callable[[], None]:
    """Look at a page whose reader takes its time; what is returned lets it finish."""
    instance = world.hub.parts.instances["support"]
    begun: list[tuple[Future[Any], Callable[[], Any]]] = []

    class Slow(Inline):
        def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            begun.append((future, lambda: function(*args, **kwargs)))
            return future

    with mock.patch.object(instance, "reads", Slow()), mock.patch("hub.pipeline.read.PATIENCE", 0.0):
        record_page(world.hub.parts, "support")

    def finish() -> None:
        for future, read in begun:
            if not future.done():
                future.set_result(read())

    return finish


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


def _write(world: World, who: str, many: int, first: int = 0) -> None:
    for n in range(first, first + many):
        world.mail(text=f"{who} {n}", sender_fact=f"{who}@x.example", **{"from": f"{who}@x.example"})


def _said(world: World) -> list[str]:
    """In the order in which it was recorded."""
    with world.hub.store.read() as connection:
        words = sa.select(message_body.c.text).join(message).where(message.c.direction == "in").order_by(message.c.id)
        return list(connection.scalars(words))


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
    _read_all(world)
    assert [one for one in _said(world) if one.startswith("alice")] == [f"alice {n}" for n in range(FREE)]
    world.hub.stop()


def test_what_is_replayed_goes_before_its_senders_later_words(tmp_path, monkeypatch):
    """A bug kept three hundred of one sender unread, and the next three, which were no flood any more."""
    world = World(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(Post, "read", mock.Mock(side_effect=ValueError("a bug")))
        for first, many in ((0, 300), (300, 3)):
            _write(world, "alice", many, first)
            _poll(world)
            while record_page(world.hub.parts, "support"):
                pass
            world.clock.at += timedelta(hours=1)
    assert replay_raw(world.hub.store, world.clock.now()) == 303
    _read_all(world)
    assert _said(world) == [f"alice {n}" for n in range(303)]
    world.hub.stop()


def _read_all(world: World) -> None:
    """Until nothing is left, through a flood's rests."""
    while record_page(world.hub.parts, "support") or rest_of(world.hub.parts, "support"):
        world.clock.at += timedelta(seconds=GLANCE)


def _poll(world: World) -> None:
    for source in sources_of(world.hub.parts, world.hub.engine.wake, world.hub.engine._stop):
        if source.instance.id == "support":
            source.tick()
