"""Pushes wake their lane: in their own transaction, or, where that was done just now, a moment later."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from hub.clock import SystemClock
from hub.flow import Flow
from hub.pipeline import waking
from hub.pipeline.together import GroupCommit
from hub.pipeline.troubles import Troubles
from hub.store.intake import raw
from hub.threads import Threads
from tests.unit.pushing import Commits, Sender, await_, kept, one


class Woken:
    """An engine's waker, that notes which lanes it was told of and how much was written by then, in that transaction."""

    def __init__(self) -> None:
        self.told: list[tuple[list[str], int]] = []
        self.trouble: Exception | None = None

    def __call__(self, connection: Any, lanes: Any) -> None:
        if self.trouble is not None:
            raise self.trouble
        there = connection.scalar(sa.select(sa.func.count()).select_from(raw))
        self.told.append((sorted(lane.key for lane in lanes), there))


@pytest.fixture
def woken(store) -> Woken:
    store.waker = Woken()
    return store.waker


@pytest.fixture
def pushes(store, woken) -> Iterator[GroupCommit]:
    made = GroupCommit(store, SystemClock(), Threads("pushes", 1), Flow(), Troubles())
    yield made
    made.close(5)


def test_the_first_wakes_in_its_own_transaction(pushes, woken):
    pushes.keep("hook", one("a"))
    assert woken.told == [(["read/hook"], 1)]


def test_what_comes_within_the_moment_is_told_once_more_when_it_is_over(store, pushes, woken, monkeypatch):
    monkeypatch.setattr(waking, "MOMENT", 1.0)
    for key in "abcd":
        pushes.keep("hook", one(key))
    assert woken.told == [(["read/hook"], 1)]
    pushes.keep("shop", one("e"))  # another lane, which nobody woke
    assert woken.told == [(["read/hook"], 1), (["read/shop"], 5)]
    await_(lambda: len(woken.told) == 3)
    assert woken.told[2] == (["read/hook"], 5)
    assert len(kept(store)) == 5


def test_a_busy_door_wakes_with_the_next_commit_after_the_moment(store, pushes, woken, monkeypatch):
    monkeypatch.setattr(waking, "MOMENT", 0.0)
    for key in "abc":
        pushes.keep("hook", one(key))
    assert woken.told == [(["read/hook"], n) for n in (1, 2, 3)]


def test_a_stop_tells_what_is_owed_and_does_not_wait_for_the_moment(pushes, woken, monkeypatch):
    monkeypatch.setattr(waking, "MOMENT", 60.0)
    pushes.keep("hook", one("a"))
    pushes.keep("hook", one("b"))
    pushes.close(5)
    assert woken.told == [(["read/hook"], 1), (["read/hook"], 2)]


def test_a_lane_that_could_not_be_woken_later_is_left_to_the_look_for_lost_ones(store, pushes, woken, monkeypatch):
    monkeypatch.setattr(waking, "MOMENT", 1.0)
    pushes.keep("hook", one("a"))
    pushes.keep("hook", one("b"))  # received, whatever comes of the waking
    woken.trouble = sa.exc.OperationalError("insert", {}, sqlite3.OperationalError("disk I/O error"))
    await_(lambda: not pushes._at_work)
    woken.trouble = None
    pushes.keep("hook", one("c"))
    await_(lambda: len(woken.told) == 2)
    assert woken.told[1] == (["read/hook"], 3)
    assert [key for _, key, _ in kept(store)] == ["a", "b", "c"]


def test_where_the_commit_fails_nobody_counts_as_woken(store, pushes, woken, monkeypatch):
    commits = Commits(store, monkeypatch)

    def ill() -> None:
        raise sa.exc.OperationalError("insert", {}, sqlite3.OperationalError("database or disk is full"))

    commits.trouble = ill
    assert Sender(pushes, "a").answer() == "OperationalError"
    commits.trouble = lambda: None
    assert Sender(pushes, "b").answer() == "kept"
    assert woken.told[-1] == (["read/hook"], 1)
