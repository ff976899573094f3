"""Others are read before a flood, and nobody's own words in another order (docs/decisions/0014)."""

from __future__ import annotations

import itertools
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

from hub.engine.draining import Draining
from hub.flow import CALM, FREE
from hub.pipeline import read as reading
from hub.pipeline import record
from hub.pipeline.record import record_page
from hub.pipeline.waiting import SHARE
from hub.sdk import Raw
from hub.threads import Threads
from tests.unit.flooding import poll, read_all, said, write
from tests.world import Inline, Post, ToldClock, World

MANY = 70
"""More than a sender has free, and than a page holds of a flood."""


def test_others_are_read_before_a_flood_though_they_came_behind_it(tmp_path):
    world = World(tmp_path)
    write(world, "flood", 300)
    write(world, "bob", 2)
    poll(world)
    world.hub.engine.look()
    assert {"bob 0", "bob 1"} < {*said(world)}
    many = len(said(world))
    for n in range(2, 6):
        write(world, "bob", 1, n)
        poll(world)
        world.hub.engine.look()
        assert f"bob {n}" in said(world)  # nothing was read ahead that would come first
    assert len(said(world)) <= many + 4 * (SHARE + 1)  # no more while others are about: who comes next waits for these
    world.go(30)
    assert [one for one in said(world) if one.startswith("flood")] == [f"flood {n}" for n in range(300)]
    world.hub.stop()


def test_a_flood_rests_between_its_pages_while_others_are_about(tmp_path, monkeypatch):
    """Read as fast as it goes, it takes the processor away from what is planned and delivered for the others."""
    world = World(tmp_path)
    took = 0.004
    _takes_long(world, monkeypatch, 0, takes=took)
    write(world, "flood", 400)
    write(world, "bob", 1)
    poll(world)
    draining = Draining(world.hub.parts, world.hub.answers, mock.Mock())
    began = world.clock.at
    assert record_page(world.hub.parts, "support")  # bob, and some of the flood
    many = len(said(world))
    assert not record_page(world.hub.parts, "support")
    write(world, "bob", 1, 1)
    poll(world)
    assert record_page(world.hub.parts, "support")  # who comes meanwhile is read at once, and alone
    assert said(world)[many:] == ["bob 1"]
    while len(said(world)) < many + 1 + 5 * SHARE:
        draining._read("support", threading.Event())
    busy = took * (len(said(world)) - 2) / (world.clock.at - began).total_seconds()
    assert 1 / 15 < busy < 1 / 6
    world.clock.at += CALM
    while record_page(world.hub.parts, "support"):  # it has the hub to itself, and rests no more
        pass
    assert [one for one in said(world) if one.startswith("flood")] == [f"flood {n}" for n in range(400)]
    world.hub.stop()


@pytest.mark.parametrize("quick", [0, 31])
def test_who_writes_behind_mails_that_take_long_waits_for_one_of_them(tmp_path, monkeypatch, quick):
    """Made to hurt: five seconds each, and the first ones may look harmless."""
    world = World(tmp_path)
    slow = _takes_long(world, monkeypatch, FREE + 1 + quick)
    write(world, "flood", FREE + 1)
    poll(world)
    read_all(world)
    write(world, "flood", 60 + quick, FREE + 1)
    poll(world)
    while not slow:
        record_page(world.hub.parts, "support")  # it has the hub to itself
    assert slow == ["flood"]
    for n in range(3):
        write(world, "bob", 1, n)
        poll(world)
        before = len(slow)
        while f"bob {n}" not in said(world):
            record_page(world.hub.parts, "support")
        assert len(slow) - before <= 1
    read_all(world)
    assert [one for one in said(world) if one.startswith("flood")] == [f"flood {n}" for n in range(FREE + 61 + quick)]
    world.hub.stop()


def test_nobody_waits_for_a_flood_of_mails_that_take_long_once_that_is_known(tmp_path, monkeypatch):
    """Whoever looks after a page has the other channels to look after as well."""
    world = World(tmp_path)
    slow = _takes_long(world, monkeypatch, FREE + 1, real=0.3)
    world.hub.instances["support"].reads = Threads("reads", 1)
    monkeypatch.setattr(type(world.hub.parts.readers), "may_hang", lambda *_: False)  # as with children
    write(world, "flood", FREE + 61)
    poll(world)
    held, began = 0.0, time.monotonic()
    patient = reading._be_patient

    def waits(*of: Any) -> Any:  # what the database takes is not counted
        nonlocal held
        at = time.monotonic()
        try:
            return patient(*of)
        finally:
            held += time.monotonic() - at

    monkeypatch.setattr(reading, "_be_patient", waits)
    while len(slow) < 12:
        assert time.monotonic() < began + 60
        record_page(world.hub.parts, "support")
        time.sleep(0.02)
        world.clock.at += timedelta(seconds=0.02)
    assert held < 2.0  # a moment at first, and not the half of what the reader is at work
    words = [one for one in said(world) if one.startswith("flood")]
    assert words == [f"flood {n}" for n in range(len(words))]
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
RESTS = [
    *[("write", "a", MANY), ("write", "b", 1), ("poll",), ("read",), ("read",)],
    *[("write", "b", 1), ("write", "a", 1), ("poll",), ("read",), ("restart",), ("read",), ("wait",), ("read",)],
]


@given(st.lists(DOES, max_size=20))
@example(POLLED_BEFORE_A_RESTART)
@example(CUT_WHILE_READING_AHEAD)
@example(RESTS)
@settings(max_examples=15, deadline=None)
def test_nobodys_words_are_read_in_another_order(does):
    """Whatever comes in, whoever counts anew, and wherever the database or a reader takes its time."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as left:
        world = World(Path(folder))
        left.callback(lambda: world.hub.stop())  # noqa: PLW0108 - the hub of that moment
        # As with children: what is not read in time is left to them.
        left.enter_context(mock.patch.object(type(world.hub.parts.readers), "may_hang", return_value=False))
        # To read a page takes time, so that a flood rests behind it.
        at_work = itertools.count(step=0.05)
        left.enter_context(
            mock.patch.object(ToldClock, "monotonic", lambda clock: clock.at.timestamp() + next(at_work))
        )
        wrote: Counter[str] = Counter()
        slow: list[Callable[[], None]] = []
        for what, *more in [*does, ("poll",)]:
            if what == "write":
                write(world, more[0], more[1], wrote[more[0]])
                wrote[more[0]] += more[1]
            elif what == "read":
                record_page(world.hub.parts, "support")
            elif what == "poll":
                poll(world)
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
            read_all(world)
        words = said(world)
        for who, many in wrote.items():
            assert [one for one in words if one.startswith(who)] == [f"{who} {n}" for n in range(many)]


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
