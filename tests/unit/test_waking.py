"""Pushes wake their lane: in their own transaction, or, where that was done just now, a moment later."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from hub.clock import SystemClock
from hub.flow import Flow
from hub.pipeline import waking
from hub.pipeline.together import GroupCommit
from hub.pipeline.troubles import Troubles
from hub.store import Store
from hub.store.intake import raw
from hub.threads import Threads
from tests.unit.pushing import Commits, Sender, await_, kept, one


class Woken:
    """An engine's waker. Notes which lanes it was told of, how much there was in that transaction, and how much of it
    others saw already."""

    def __init__(self, store: Store) -> None:
        self.store, self.told = store, list[tuple[list[str], int, int]]()
        self.trouble: Exception | None = None

    def __call__(self, connection: Any, lanes: Any) -> None:
        if self.trouble is not None:
            raise self.trouble
        with self.store.read() as other:
            counts = [one.scalar(sa.select(sa.func.count()).select_from(raw)) for one in (connection, other)]
        self.told.append((sorted(lane.key for lane in lanes), *counts))


@pytest.fixture
def woken(store) -> Woken:
    store.waker = Woken(store)
    return store.waker


@pytest.fixture
def pushes(store, woken) -> Iterator[GroupCommit]:
    made = GroupCommit(store, SystemClock(), Threads("pushes", 1), Flow(), Troubles())
    yield made
    made.close(5)


def test_the_first_wakes_in_its_own_transaction(pushes, woken):
    pushes.keep("hook", one("a"))
    assert woken.told == [(["read/hook"], 1, 0)]


def test_what_comes_within_the_moment_is_told_once_more_when_it_is_over(store, pushes, woken, monkeypatch):
    monkeypatch.setattr(waking, "MOMENT", 1.0)
    for key in "abcd":
        pushes.keep("hook", one(key))
    assert woken.told == [(["read/hook"], 1, 0)]
    time.sleep(0.3)
    pushes.keep("shop", one("e"))  # another lane, which nobody woke
    assert woken.told == [(["read/hook"], 1, 0), (["read/shop"], 5, 4)]
    pushes.keep("shop", one("f"))
    await_(lambda: len(woken.told) == 4)
    assert woken.told[2:] == [(["read/hook"], 6, 6), (["read/shop"], 6, 6)]  # each after its own moment
    assert len(kept(store)) == 6


def test_what_wakes_nobody_is_one_statement_on_postgresql(store, pushes, woken, monkeypatch):
    """Two of them would be two transactions there (`Store.write`)."""
    monkeypatch.setattr(waking, "MOMENT", 60.0)
    pushes.keep("hook", one("a"))
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement)

    sa.event.listen(store._engine, "before_cursor_execute", note)
    try:
        pushes.keep("hook", (*one("b"), *one("c")))
    finally:
        sa.event.remove(store._engine, "before_cursor_execute", note)
    assert len(kept(store)) == 3
    assert len(asked) == (0 if store.sqlite else 1)  # SQLite's go by the connection that waits for the disk


def test_a_busy_door_wakes_with_the_next_commit_after_the_moment(pushes, woken, monkeypatch):
    monkeypatch.setattr(waking, "MOMENT", 0.0)
    for key in "abc":
        pushes.keep("hook", one(key))
    assert woken.told == [(["read/hook"], n, n - 1) for n in (1, 2, 3)]


def test_a_stop_tells_what_is_owed_and_does_not_wait_for_the_moment(pushes, woken, monkeypatch):
    monkeypatch.setattr(waking, "MOMENT", 60.0)
    pushes.keep("hook", one("a"))
    pushes.keep("hook", one("b"))
    pushes.close(5)
    assert woken.told == [(["read/hook"], 1, 0), (["read/hook"], 2, 2)]


ILL = sa.exc.OperationalError("insert", {}, sqlite3.OperationalError("disk I/O error"))


def test_a_lane_that_could_not_be_woken_later_is_tried_again(store, pushes, woken, monkeypatch):
    monkeypatch.setattr(waking, "MOMENT", 0.5)
    pushes.keep("hook", one("a"))
    pushes.keep("hook", one("b"))  # received, whatever comes of the waking
    woken.trouble = ILL
    time.sleep(1.2)
    woken.trouble = None
    await_(lambda: len(woken.told) == 2)
    assert woken.told[1] == (["read/hook"], 2, 2)
    assert [key for _, key, _ in kept(store)] == ["a", "b"]


def test_a_stop_is_not_held_up_by_a_lane_that_cannot_be_woken(pushes, woken, monkeypatch):
    monkeypatch.setattr(waking, "MOMENT", 60.0)
    pushes.keep("hook", one("a"))
    pushes.keep("hook", one("b"))
    woken.trouble = ILL
    began = time.monotonic()
    pushes.close(20)
    assert time.monotonic() - began < 5
    assert not pushes._at_work


def test_where_the_commit_fails_nobody_counts_as_woken(store, pushes, woken, monkeypatch):
    commits = Commits(store, monkeypatch)

    def ill() -> None:
        raise ILL

    commits.trouble = ill
    assert Sender(pushes, "a").answer() == "OperationalError"
    commits.trouble = lambda: None
    assert Sender(pushes, "b").answer() == "kept"
    assert woken.told == [(["read/hook"], 1, 0)]
