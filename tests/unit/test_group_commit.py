"""Pushes that share a commit: who waits, who is told what, and that a reply never comes before the disk."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from hub.clock import SystemClock
from hub.flow import Flow
from hub.pipeline import together
from hub.pipeline.accept import BUSY
from hub.pipeline.keeping import keep
from hub.pipeline.receive import receive
from hub.pipeline.together import GroupCommit, NotKept
from hub.pipeline.troubles import Troubles
from hub.sdk import Page, Raw
from hub.store.intake import cursor, raw
from hub.threads import Threads
from tests.unit.pushing import Commits, Sender, await_, gathered, kept, one, push, steps
from tests.world import Inline, World

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
def pushes(store) -> Iterator[GroupCommit]:
    made = GroupCommit(store, SystemClock(), Threads("pushes", 1), Flow(), Troubles())
    yield made
    made.close(5)


@pytest.fixture
def commits(store, monkeypatch) -> Commits:
    return Commits(store, monkeypatch)


def test_who_waits_for_a_commit_shares_the_next_one(store, pushes, commits):
    senders = gathered(pushes, commits, lambda: [Sender(pushes, f"k{n}", instance=f"hook{n % 2}") for n in range(20)])
    assert {s.answer() for s in senders} == {"kept"}
    assert commits.count == 2
    assert sorted(key for _, key, _ in kept(store)) == sorted(["first", *(f"k{n}" for n in range(20))])
    assert len(steps(store)) == 21
    assert {(stage, state) for _, stage, state, _ in steps(store)} == {("read", "waiting")}


def test_nobody_is_told_before_the_commit(store, pushes, commits):
    commits.open.clear()
    sender = Sender(pushes, "k")
    assert commits.begun.wait(5)
    time.sleep(0.1)
    assert sender.told == ""
    commits.open.set()
    assert sender.answer() == "kept"


def test_what_is_here_already_is_acknowledged_and_kept_once(store, pushes, commits):
    pushes.keep("hook", one("old", b"the first"))
    senders = gathered(
        pushes,
        commits,
        lambda: [
            Sender(pushes, "old", b"again"),
            Sender(pushes, "twice"),
            Sender(pushes, "twice"),
            Sender(pushes, "x", instance="b"),
            Sender(pushes, "x"),
        ],
    )
    assert {s.answer() for s in senders} == {"kept"}
    assert [(i, k) for i, k, _ in kept(store)].count(("hook", "twice")) == 1
    assert ("hook", "old", b"the first") in kept(store)
    assert {(i, k) for i, k, _ in kept(store)} == {
        ("hook", "old"),
        ("hook", "first"),
        ("hook", "twice"),
        ("b", "x"),
        ("hook", "x"),
    }
    assert len(steps(store)) == 5


@pytest.mark.parametrize("bad", [Raw("bad", [1]), Raw("bad", b"", {"x": object()}), Raw(None, b"")])  # type: ignore[arg-type, call-arg]
def test_one_that_cannot_be_kept_fails_alone(store, pushes, commits, bad):
    def senders() -> list[Sender]:
        made = [Sender(pushes, f"k{n}") for n in range(3)]
        odd = Sender.__new__(Sender)
        threading.Thread.__init__(odd, daemon=True)
        odd.pushes, odd.given, odd.instance, odd.told = pushes, (bad,), "hook", ""
        odd.start()
        return [*made, odd]

    first, *good, odd = gathered(pushes, commits, senders)
    assert {s.answer() for s in (first, *good)} == {"kept"}
    assert odd.answer() not in ("", "kept")
    assert commits.count == 2  # the fall back shares one commit as well
    assert {k for _, k, _ in kept(store)} == {"first", "k0", "k1", "k2"}
    assert len(steps(store)) == 4


def test_any_key_can_be_kept_and_is_known_again(store, pushes):
    """PostgreSQL cuts blanks beyond its type's length without a word, refuses what is longer, and has no U+0000."""
    long = "j" * 300
    keys = [long, long + " ", long + "k", "c\0b", "c\ufffdb", "caf\udce9", "caf\\udce9", "\U0001f600"]
    for _ in range(2):
        for n, key in enumerate(keys):
            pushes.keep("hook", (Raw(key, b"%d" % n, {"sender": f"{key}@x.example"}),))
    assert len(steps(store)) == len(kept(store)) == len(keys)
    page = Page(tuple(Raw(key, b"") for key in [*keys, "new"]), {})
    assert receive(store, "hook", page, NOW) == 1


def test_a_database_that_is_ill_is_told_to_all_and_once_to_the_log(store, pushes, commits, capsys):
    def ill() -> None:
        raise sa.exc.OperationalError("insert", {}, sqlite3.OperationalError("database or disk is full"))

    commits.trouble = ill
    senders = gathered(pushes, commits, lambda: [Sender(pushes, f"k{n}") for n in range(5)])
    assert {s.answer() for s in senders} == {"OperationalError"}
    assert kept(store) == []
    commits.trouble = lambda: None
    assert Sender(pushes, "k1").answer() == "kept"
    assert [k for _, k, _ in kept(store)] == ["k1"]
    said = capsys.readouterr()
    assert (said.out + said.err).count("the database does not answer") == 1
    assert (said.out + said.err).count("the database answers again") == 1


def test_a_bug_in_the_writer_frees_everybody(store, pushes, monkeypatch):
    monkeypatch.setattr(pushes, "_keep", lambda _batch: 1 / 0)
    assert Sender(pushes, "k").answer() == "ZeroDivisionError"
    monkeypatch.undo()
    assert Sender(pushes, "k").answer() == "kept"


def test_a_full_queue_sends_away(pushes, commits, monkeypatch):
    monkeypatch.setattr(together, "MOST", 3)
    senders = gathered(pushes, commits, lambda: [Sender(pushes, f"k{n}") for n in range(3)])
    assert {s.answer() for s in senders} == {"kept"}
    monkeypatch.setattr(together, "MOST", 0)
    assert Sender(pushes, "more").answer() == "too many wait already"


def test_a_heavy_queue_sends_away_but_an_empty_one_takes_anything(store, pushes, commits, monkeypatch):
    monkeypatch.setattr(together, "HEAVIEST", 10)
    refused: list[str] = []

    def senders() -> list[Sender]:
        heavy = Sender(pushes, "heavy", b"x" * 50)
        await_(lambda: len(pushes._waiting) == 1)
        refused.append(Sender(pushes, "light").answer())
        return [heavy]

    assert {s.answer() for s in gathered(pushes, commits, senders)} == {"kept"}
    assert refused == ["too many wait already"]
    assert pushes._bytes == 0


def test_who_waited_too_long_is_sent_away_and_is_not_kept(store, pushes, commits, monkeypatch):
    monkeypatch.setattr(together, "PATIENCE", 0.1)
    commits.open.clear()
    first = Sender(pushes, "first")
    assert commits.begun.wait(5)
    late = Sender(pushes, "late")
    assert late.answer() == "it waited too long"
    assert first.told == ""  # its commit is under way: it may be safe already, so it waits for the truth
    commits.open.set()
    assert first.answer() == "kept"
    assert Sender(pushes, "after").answer() == "kept"
    assert [k for _, k, _ in kept(store)] == ["first", "after"]


def test_a_commit_that_never_ends_is_not_waited_for_for_ever(pushes, commits, monkeypatch):
    monkeypatch.setattr(together, "PATIENCE", 0.05)
    monkeypatch.setattr(together, "COMMIT", 0.05)
    commits.open.clear()
    assert Sender(pushes, "k").answer() == "it waited too long"
    commits.open.set()


def test_a_transaction_has_a_measure(store, pushes, commits, monkeypatch):
    monkeypatch.setattr(together, "PAGE", 4)
    senders = gathered(pushes, commits, lambda: [Sender(pushes, f"k{n}") for n in range(10)])
    assert {s.answer() for s in senders} == {"kept"}
    assert commits.count == 1 + 3
    monkeypatch.setattr(together, "PAGE_BYTES", 100)
    senders = gathered(pushes, commits, lambda: [Sender(pushes, f"h{n}", b"x" * 60) for n in range(3)])
    assert {s.answer() for s in senders} == {"kept"}
    assert commits.count == 4 + 1 + 3


def test_the_stop_keeps_who_waits_and_takes_no_more(store, pushes, commits):
    senders = gathered(pushes, commits, lambda: [Sender(pushes, f"k{n}") for n in range(5)])
    pushes.close(5)
    assert {s.answer() for s in senders} == {"kept"}
    assert len(kept(store)) == 6
    assert Sender(pushes, "late").answer() == "the hub stops"


def test_ids_go_on_where_the_polled_ones_stand_and_no_cursor_moves(store):
    receive(store, "box", Page(one("mail"), {"n": 1}), NOW, "poll")
    with store.write(durable=True) as connection:
        keep(connection, [("hook", one("a")), ("box", one("mail")), ("hook", ())], NOW, Flow())
    receive(store, "box", Page(one("mail2"), {"n": 2}), NOW, "poll")
    assert [(i, k) for i, k, _ in kept(store)] == [("box", "mail"), ("hook", "a"), ("box", "mail2")]
    with store.read() as connection:
        numbers = dict(connection.execute(sa.select(raw.c.id, raw.c.instance)).all())
    assert {n: i for n, _, _, i in steps(store)} == numbers
    with store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(cursor)) == 1
        row = connection.execute(sa.select(raw).where(raw.c.source_key == "a")).one()
    assert (row.received_at, row.size, row.facts) == (NOW, 5, {})
    assert row.sha256 == hashlib.sha256(b"words").hexdigest()


def test_in_one_thread_everything_is_done_at_once(store):
    pushes = GroupCommit(store, SystemClock(), Inline(), Flow(), Troubles())  # type: ignore[arg-type]
    pushes.keep("hook", one("k"))
    assert [k for _, k, _ in kept(store)] == ["k"]


# -- the engine gives way ------------------------------------------------------------------------


def test_the_engine_rests_while_senders_queue_and_not_else(pushes, commits, monkeypatch):
    stop, waits = threading.Event(), list[float]()

    def noted(clock: SystemClock, event: threading.Event, seconds: float) -> bool:
        waits.append(seconds)
        return event.wait(seconds)

    def rested(worked: float) -> float:
        waits.clear()
        pushes.give_way(worked, stop)
        return sum(waits)

    monkeypatch.setattr(SystemClock, "wait", noted)
    assert not rested(1.0)  # nobody ever queued
    pushes._rest_until = float("-inf")
    senders = gathered(pushes, commits, lambda: [Sender(pushes, f"k{n}") for n in range(together.PRESSING)])
    assert {s.answer() for s in senders} == {"kept"}
    assert 0.05 < rested(0.02) < 0.02 * together.SHARE + together.BREATH  # a share of what it worked
    assert rested(10.0) < together.LONGEST_REST  # nobody queues any more after a while
    pushes._pressed_at = time.monotonic() + 60
    stop.set()
    rested(10.0)
    assert len(waits) == 1  # a stop is not held up


# -- the door --------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.hub.stop()


def test_a_push_is_received_when_it_is_kept(world, monkeypatch):
    assert push(world, "k", monkeypatch).status == 202
    assert [k for _, k, _ in kept(world.hub.store)] == ["k"]


def test_a_push_that_is_not_kept_is_asked_for_again(world, monkeypatch):
    def not_kept(*_: Any) -> None:
        raise NotKept("too many wait already")

    monkeypatch.setattr(world.hub.parts.pushes, "keep", not_kept)
    assert push(world, "k", monkeypatch) == BUSY
    assert (BUSY.status, BUSY.headers["Retry-After"]) == (503, "60")
