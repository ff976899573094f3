"""Bugs planted on purpose: a judge that never finds anything is no judge.

Each is one line of the hub undone. `find` says how many seeds the simulator takes to see it.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest import mock

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.engine import embedded
from hub.instances import Instance
from hub.pipeline import accept, call, deliver, receive
from hub.pipeline.parts import Parts
from hub.sdk import Effect, Page, Reply
from hub.store import Store
from hub.store.cases import delivery
from hub.store.lanes import lane
from tests.sim.run import play

Bug = Callable[[], AbstractContextManager[Any]]


def sends_before_it_says_so() -> AbstractContextManager[Any]:
    """The row does not say "sending" before the call leaves."""

    def mark(parts: Parts, _instance: Instance, head: Any) -> bool:
        with parts.store.write() as connection:
            raised = sa.update(delivery).where(delivery.c.id == head.id).values(attempts=delivery.c.attempts + 1)
            connection.execute(raised)
        return True

    return mock.patch.object(deliver, "_mark_sending", mark)


def moves_the_cursor_first() -> AbstractContextManager[Any]:
    """The cursor moves in a transaction of its own, before the raws are kept."""
    real = receive.receive

    def keep(store: Store, instance: str, page: Page, now: Any, source: str = "", **more: Any) -> int:
        if source:
            with store.write() as connection:
                receive._move(connection, instance, source, page.cursor, now, None)
        return real(store, instance, page, now, flow=more["flow"])

    return mock.patch("hub.engine.sources.receive", keep)


@contextlib.contextmanager
def does_not_wait() -> Iterator[None]:
    """After a crash or a lost answer the far side is asked at once."""
    with mock.patch("tests.sim.parts.Desk.settle", 0.0), mock.patch("tests.sim.parts.HelpDesk.settle", 0.0):
        yield


def never_looks() -> AbstractContextManager[Any]:
    """What was in flight is repeated without asking whether it is there."""
    return mock.patch.object(deliver, "_look", return_value=None)


def repeats_the_unsure() -> AbstractContextManager[Any]:
    """A blind send that was in flight goes out again by itself."""

    def again(parts: Parts, head: Any, _reason: str) -> None:
        with parts.store.write() as connection:
            waiting = sa.update(delivery).where(delivery.c.id == head.id).values(state="waiting")
            connection.execute(waiting)

    return mock.patch.object(deliver, "unsure", again)


@contextlib.contextmanager
def keys_by_chance() -> Iterator[None]:
    """Each try gives the far side another key: nobody over there can know that it was done already."""
    dice, real = random.Random(5), call.effect_of

    def effect(head: Any) -> Effect:
        return replace(real(head), key=f"{head.key}{dice.randrange(10**6)}")

    with mock.patch.object(call, "effect_of", effect), mock.patch.object(deliver, "effect_of", effect):
        yield


def says_received_too_early() -> AbstractContextManager[Any]:
    """A push hears "kept" although the database refused it."""
    return mock.patch.object(accept, "BUSY", Reply(202, b"kept\n"))


def forgets_copies() -> AbstractContextManager[Any]:
    """The same mail in two mailboxes is two messages."""
    return mock.patch("hub.pipeline.record._find_copies", return_value=None)


def trusts_new_numbers() -> AbstractContextManager[Any]:
    """A mailbox that is numbered anew is taken in again."""
    real = receive._new
    return mock.patch.object(
        receive, "_new", lambda connection, instance, page: real(connection, instance, Page(page.raws, page.cursor))
    )


def lets_the_last_go_first() -> AbstractContextManager[Any]:
    """A case's messages are planned from the last to the first."""
    real = embedded.plan_raws
    return mock.patch.object(embedded, "plan_raws", lambda parts, answers, raws: real(parts, answers, raws[::-1]))


def closes_lanes_unseen() -> AbstractContextManager[Any]:
    """A lane ends whatever came into it while it was drained."""

    def close(connection: Connection, key: str, *_: Any) -> None:
        connection.execute(sa.delete(lane).where(lane.c.key == key))

    return mock.patch("hub.engine.draining.end_lane", close)


BUGS: tuple[Bug, ...] = (
    sends_before_it_says_so,
    moves_the_cursor_first,
    does_not_wait,
    never_looks,
    repeats_the_unsure,
    keys_by_chance,
    says_received_too_early,
    forgets_copies,
    trusts_new_numbers,
    lets_the_last_go_first,
    closes_lanes_unseen,
)


def find(bug: Bug, seeds: range) -> tuple[int, str]:
    """The first seed that sees `bug`, and what it saw; 0 where none does."""
    with bug():
        for seed in seeds:
            result = play(seed)
            if result.violations:
                return seed, result.violations[0]
    return 0, ""
