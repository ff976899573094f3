"""Where things come from: polls, listeners, and what happens when they fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from hub.engine.sources import QUIET, Source
from hub.log import configure
from hub.sdk import ConfigError, Page, Raw, Unavailable
from hub.store.health import alert
from hub.store.intake import raw
from tests.world import World


class Mailbox:
    """What a test says of a mailbox: how it is polled and listened to."""

    def __init__(self) -> None:
        self.polls = 0
        self.listens = 0
        self.poll: Callable[[Any], Iterator[Page]] = lambda _cursor: iter(())
        self.listen: Callable[[Any], Iterator[Page]] = lambda _cursor: iter(())


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.hub.stop()


@pytest.fixture
def box(world, monkeypatch) -> Mailbox:
    box = Mailbox()
    post = world.hub.instances["support"]

    def poll(cursor: Any) -> Iterator[Page]:
        box.polls += 1
        return box.poll(cursor)

    def listen(cursor: Any) -> Iterator[Page]:
        box.listens += 1
        return box.listen(cursor)

    monkeypatch.setattr(post.component, "poll", poll)
    monkeypatch.setattr(post.component, "listen", listen, raising=False)
    post.abilities |= {"Listens"}
    return box


@pytest.fixture
def source(world, box) -> Source:
    made = Source(world.hub.parts, world.hub.instances["support"], "poll", lambda: None, threading.Event())
    made.again_at: list[datetime] = []  # type: ignore[attr-defined, misc]
    made.again = made.again_at.append  # type: ignore[attr-defined]
    return made


def page(n: int) -> Page:
    return Page((Raw(f"s{n}", f'{{"from": "a@b.example", "id": "<s{n}>", "text": "mot {n}"}}'.encode()),), {"n": n})


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def count(world: World) -> int:
    with world.hub.store.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(raw)) or 0


def raising(error: Exception) -> Callable[[Any], Iterator[Page]]:
    def now(_cursor: Any) -> Iterator[Page]:
        raise error

    return now


def test_where_nothing_can_be_listened_to_polls_remain(world, box, source):
    source.listen()
    assert box.listens == 1
    source.tick()
    assert box.polls == 1


def test_a_living_listener_is_not_polled_beside(world, box, source):
    spoke, end = threading.Event(), threading.Event()

    def listen(_cursor: Any) -> Iterator[Page]:
        yield page(1)
        spoke.set()
        end.wait(5)

    box.listen = listen
    thread = in_thread(source.listen)
    assert spoke.wait(5)
    source.tick()
    assert (box.polls, count(world)) == (0, 1)
    end.set()
    thread.join(5)


@pytest.mark.parametrize("spoke_once", [True, False])
def test_a_listener_that_hangs_is_replaced_by_polls_and_its_late_page_moves_nothing_back(
    world, box, source, spoke_once
):
    waiting, end = threading.Event(), threading.Event()

    def listen(_cursor: Any) -> Iterator[Page]:
        if spoke_once:
            yield page(1)
        waiting.set()
        end.wait(5)
        yield page(2)

    box.listen = listen
    box.poll = lambda _cursor: iter([page(7)])
    thread = in_thread(source.listen)
    assert waiting.wait(5)
    source.tick()
    assert box.polls == 0
    world.clock.at += QUIET + timedelta(seconds=1)
    source.tick()
    assert box.polls == 1
    from hub.pipeline.receive import read_cursor

    assert read_cursor(world.hub.store, "support", "poll") == {"n": 7}
    source._stop.set()
    end.set()
    thread.join(5)
    assert not thread.is_alive()
    assert read_cursor(world.hub.store, "support", "poll") == {"n": 7}


def test_a_listener_that_fails_at_once_listens_again(world, box, source):
    tried: list[int] = []

    def listen(_cursor: Any) -> Iterator[Page]:
        tried.append(1)
        if len(tried) == 1:
            raise Unavailable("connection refused")  # at the call, before any page
        source._stop.set()
        return iter(())

    box.listen = listen
    source.listen()
    assert len(tried) == 2


def test_a_failed_poll_is_tried_again_when_the_circuit_says(world, box, source):
    box.poll = raising(Unavailable("connection refused"))
    source.tick()
    health = world.hub.instances["support"].health
    assert health.state == "amber"
    (again,) = source.again_at
    assert health.retry_at <= again <= health.retry_at + timedelta(seconds=1)
    box.poll = lambda _cursor: iter(())
    world.clock.at = again
    source.tick()
    assert world.hub.instances["support"].health.state == "green"


def test_a_database_that_is_ill_blames_no_source_and_keeps_no_probe(world, box, source, monkeypatch):
    support = world.hub.instances["support"]
    support.failed(Unavailable("connection refused"), "in")
    world.clock.at = support.health.retry_at
    box.poll = lambda _cursor: iter([page(1)])
    for name in ("receive", "read_cursor"):
        with monkeypatch.context() as patch:
            patch.setattr(f"hub.engine.sources.{name}", _ill)
            source.tick()
        assert support.health.reason == "connection refused"
        assert count(world) == 0
    source.tick()
    assert count(world) == 1
    assert support.health.state == "green"


def _ill(*_args: Any, **_kwargs: Any) -> Any:
    raise sa.exc.OperationalError("insert", {}, Exception("disk I/O error"))


def test_a_bug_in_a_poll_is_one_alert_and_one_line_until_it_returns(world, box, source, capsys):
    configure("INFO")
    box.poll = raising(KeyError("Alice's private words"))
    support = world.hub.instances["support"]
    for _ in range(4):
        source.tick()
        world.clock.at += timedelta(minutes=10)
    said = capsys.readouterr().err
    assert (said.count("error=KeyError"), said.count("needs attention")) == (1, 1)
    assert "private words" not in said
    assert support.health.state == "red"
    with world.hub.store.read() as connection:
        assert [a.key for a in connection.execute(sa.select(alert))] == ["instance:support"]
    box.poll = lambda _cursor: iter(())
    source.tick()
    assert support.health.state == "green"
    with world.hub.store.read() as connection:
        assert connection.execute(sa.select(alert)).one().closed_at is not None


def test_a_poll_that_hangs_is_told_once_and_well_again_when_it_returns(world, box, source, capsys):
    configure("INFO")
    support, inside, end = world.hub.instances["support"], threading.Event(), threading.Event()

    def poll(_cursor: Any) -> Iterator[Page]:
        inside.set()
        end.wait(5)
        yield page(1)

    box.poll = poll
    thread = in_thread(source.tick)
    assert inside.wait(5)
    source.watch()
    assert support.health.state == "green"
    for _ in range(3):
        world.clock.at += QUIET + timedelta(seconds=1)
        source.watch()
    assert (support.health.state, support.health.reason) == ("amber", "no answer within 60 s")
    end.set()
    thread.join(5)
    source.watch()
    assert (support.health.state, count(world)) == ("green", 1)
    said = capsys.readouterr().err
    assert (said.count("gone"), said.count("returned")) == (1, 1)


def test_a_mailbox_that_is_away_while_mail_can_be_sent_is_told_once(world, box, source, capsys):
    configure("INFO")
    box.poll = raising(Unavailable("connection refused"))
    support = world.hub.instances["support"]
    for _ in range(5):
        source.tick()
        assert support.call(lambda: "sent") == "sent"
        world.clock.at += timedelta(minutes=10)
    said = capsys.readouterr().err
    assert said.count("gone") == 1
    assert "returned" not in said
    box.poll = lambda _cursor: iter(())
    source.tick()
    assert capsys.readouterr().err.count("returned") == 1
    assert support.health.state == "green"


def test_a_wrong_password_is_red_and_not_tried_at_each_tick(world, box, source):
    box.poll = raising(ConfigError("support: the password is refused"))
    for _ in range(10):
        source.tick()
    assert box.polls == 1
    assert world.hub.instances["support"].health.state == "red"


def test_an_empty_page_is_a_sign_of_life_and_costs_no_write(world, box, source, monkeypatch):
    box.poll = lambda cursor: iter([Page((), dict(cursor))])
    monkeypatch.setattr("hub.engine.sources.receive", _ill)
    source.tick()
    assert world.hub.instances["support"].health.state == "green"
    assert count(world) == 0
