"""Senders that push, a store whose commits a test may hold up, and one push into a world."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from hub.pipeline.accept import accept
from hub.pipeline.together import GroupCommit, NotKept
from hub.sdk import Accepted, Raw, Reply, Request
from hub.store.intake import raw, step
from tests.world import World


def one(key: str, data: Any = b"words") -> tuple[Raw, ...]:
    return (Raw(key, data),)


def kept(store) -> list[tuple[str, str, bytes]]:
    with store.read() as connection:
        rows = connection.execute(sa.select(raw.c.instance, raw.c.source_key, raw.c.data).order_by(raw.c.id))
        return [tuple(row) for row in rows]


def steps(store) -> list[tuple[int, str, str, str]]:
    with store.read() as connection:
        return [
            tuple(r) for r in connection.execute(sa.select(step.c.raw_id, step.c.stage, step.c.state, step.c.instance))
        ]


class Commits:
    """Watches the durable transactions of a store, and may hold them up or fail them."""

    def __init__(self, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.open = threading.Event()
        self.open.set()
        self.begun = threading.Event()
        self.trouble: Callable[[], None] = lambda: None
        write = store.write

        @contextmanager
        def watched(*, durable: bool = False, single: bool = False) -> Iterator[Any]:
            assert durable
            self.begun.set()
            assert self.open.wait(10)
            self.trouble()
            with write(durable=True, single=single) as connection:
                yield connection
            self.count += 1

        monkeypatch.setattr(store, "write", watched)


class Sender(threading.Thread):
    """Pushes, and remembers what it was told."""

    def __init__(self, pushes: GroupCommit, key: str, data: Any = b"words", instance: str = "hook") -> None:
        super().__init__(daemon=True)
        self.pushes, self.given, self.instance = pushes, one(key, data), instance
        self.told: str = ""
        self.start()

    def run(self) -> None:
        try:
            self.pushes.keep(self.instance, self.given)
            self.told = "kept"
        except NotKept as error:
            self.told = str(error)

    def answer(self) -> str:
        self.join(10)
        return self.told


def gathered(pushes: GroupCommit, commits: Commits, senders: Callable[[], list[Sender]]) -> list[Sender]:
    """The senders, all waiting while an earlier commit is under way; then it goes on."""
    commits.open.clear()
    commits.begun.clear()
    first = Sender(pushes, "first")
    assert commits.begun.wait(5)
    rest = senders()
    await_(lambda: len(pushes._waiting) == len(rest))
    commits.open.set()
    return [first, *rest]


def await_(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)


def push(world: World, key: str, monkeypatch: pytest.MonkeyPatch, method: str = "POST") -> Reply:
    """What the sender of `key` hears."""
    door = world.hub.instances["support"]
    said = b'{"from": "a@customer.example", "text": "bonjour"}'

    def takes(_self: object, _request: Request) -> Accepted:
        world.far.call("accept")
        return Accepted((Raw(key, said),), Reply(202))

    monkeypatch.setattr(type(door.component), "accept", takes, raising=False)
    return accept(world.hub.parts, door, Request(method, "", {}, {}, b"", "192.0.2.1"))
