"""An instance's health: who is called, who is left alone, what is told, and how often."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from hub.config import Section, SectionOptions
from hub.instances import VISITS, Bug, Instance, Lend
from hub.log import configure, logger
from hub.sdk import AuthError, Channel, Context, Rejected, Settings, Unavailable
from hub.store import Store
from hub.store.health import alert, instance_health
from hub.store.migrate import migrate
from hub.store.sides import begin_sides
from hub.threads import Threads
from tests.databases import database_url
from tests.servers.ports import wait_for
from tests.world import ToldClock


class Nothing(Settings):
    """No settings."""


class Plain(Channel[Nothing]):
    """Does what the test tells it."""

    name = "plain"
    settings_model = Nothing

    def check(self) -> None: ...


@pytest.fixture
def lend(tmp_path):
    store = Store(database_url(tmp_path, "x.db"))
    migrate(store)
    yield Lend(store, ToldClock(), random.Random(1), Fernet.generate_key(), threading.Event(), Threads)
    store.close()


@pytest.fixture
def instance(lend):
    section = Section("channels", "one", "plain", SectionOptions(threads=2), {}, Path(), {})
    context = Context("one", logger(), None, None, lend.stop, lend.clock.now, lend.random)  # type: ignore[arg-type]
    return Instance(section, Plain(Nothing(), context), lend)


def _raise(error):
    def call():
        raise error

    return call


def test_a_far_side_that_is_away_is_left_alone_longer_and_longer(instance, lend):
    waits = []
    for _ in range(6):
        with pytest.raises(Unavailable):
            instance.call(_raise(Unavailable("connection refused")))
        assert not instance.ready()
        waits.append((instance.health.retry_at - lend.clock.now()).total_seconds())
        lend.clock.at = instance.health.retry_at
        assert instance.ready()  # the probe
        assert not instance.ready()  # one at a time
    assert 0.7 < waits[0] < 1.3
    assert waits[5] > 20
    instance.call(lambda: "there")
    assert instance.health.state == "green"
    assert instance.ready()


def test_retry_after_is_believed(instance, lend):
    with pytest.raises(Unavailable):
        instance.call(_raise(Unavailable("429", retry_after=77)))
    assert instance.health.retry_at == lend.clock.now() + timedelta(seconds=77)


def test_a_wrong_password_is_red_with_one_alert_that_closes(instance, lend):
    for _ in range(3):
        with pytest.raises(AuthError):
            instance.call(_raise(AuthError("the token is refused")))
    with lend.store.read() as connection:
        assert [a.text for a in connection.execute(sa.select(alert))] == ["the token is refused"]
        assert connection.execute(sa.select(instance_health)).one().health == "red"
    instance.call(lambda: None)
    with lend.store.read() as connection:
        assert connection.execute(sa.select(alert)).one().closed_at is not None


def open_alerts(lend):
    with lend.store.read() as connection:
        return [(a.key, a.text) for a in connection.execute(sa.select(alert).where(alert.c.closed_at.is_(None)))]


def fails(instance, lend, error, minutes=0.0):
    """Calls fail for so long, each as soon as it is let through."""
    end = lend.clock.now() + timedelta(minutes=minutes)
    while True:
        assert instance.ready()
        with pytest.raises(type(error)):
            instance.call(_raise(error))
        if instance.health.retry_at > end:
            return
        lend.clock.at = instance.health.retry_at


def test_a_far_side_that_is_away_for_long_is_one_alert_that_closes_with_its_answer(instance, lend):
    fails(instance, lend, Unavailable("connection refused"), minutes=8)
    assert open_alerts(lend) == []
    lend.clock.at = instance.health.retry_at
    fails(instance, lend, Unavailable("connection refused"), minutes=12)
    assert open_alerts(lend) == [("instance:one", "one has not answered for ten minutes or longer: connection refused")]
    lend.clock.at = instance.health.retry_at
    fails(instance, lend, AuthError("the token is refused"))
    assert open_alerts(lend) == [("instance:one", "the token is refused")], "one alert, with what is wrong now"
    instance.call(lambda: None)
    assert open_alerts(lend) == []


def test_what_nobody_calls_is_no_outage(instance, lend):
    """One mail failed; hours later the next one is about to be sent, or somebody ends a pause."""
    fails(instance, lend, Unavailable("connection refused"))
    lend.clock.at += timedelta(hours=3)
    with lend.store.write() as connection:
        begin_sides(connection, {"one"}, {}, lend.clock.now())
    assert instance.ready()
    assert open_alerts(lend) == []
    with pytest.raises(Unavailable):
        instance.call(_raise(Unavailable("connection refused")))
    assert open_alerts(lend) == []


def test_a_refused_item_is_no_sickness(instance):
    with pytest.raises(Rejected):
        instance.call(_raise(Rejected("422")))
    assert instance.health.state == "green"
    assert instance.ready()


def test_a_bug_tells_where_and_keeps_the_words_out_of_the_log(instance, capsys):
    configure("DEBUG")
    with pytest.raises(Bug):
        instance.call(_raise(ValueError("Alice's private words")))
    said = capsys.readouterr().err
    assert "bug" in said
    assert "private words" not in said.split("bug in words")[0]
    assert instance.ready()


def test_a_call_that_hangs_costs_a_thread_and_then_the_instance_alone(instance):
    let_go = threading.Event()
    for _ in range(2):
        with pytest.raises(Unavailable, match="no answer within") as caught:
            instance.call(let_go.wait, timeout=0.05)
        assert caught.value.maybe_done
    with pytest.raises(Unavailable, match="stuck"):
        instance.call(lambda: None)
    let_go.set()
    for _ in range(100):
        if instance._hung == 0:
            break
        threading.Event().wait(0.01)
    assert instance.call(lambda: "again") == "again"


def test_who_pushes_has_the_work_done_on_its_own_thread(instance):
    assert instance.visit(threading.get_ident) == threading.get_ident()
    for error, word in ((Rejected("422"), Rejected), (ValueError("x"), Bug), (TimeoutError(), Unavailable)):
        with pytest.raises(word):
            instance.visit(_raise(error))
    cause = ValueError("the reason")
    away = Unavailable("away")
    away.__cause__ = cause
    with pytest.raises(Unavailable) as caught:
        instance.visit(_raise(away))
    assert caught.value.__cause__ is cause
    assert instance.health.state == "green", "what a stranger does says nothing about the far side"
    assert instance.visit(threading.get_ident) == threading.get_ident(), "and all of them are gone"


def test_behind_a_few_that_hang_who_pushes_is_told_in_time(instance):
    """They keep so many threads of the web server, and no more."""
    let_go = threading.Event()
    visitors = [threading.Thread(target=instance.visit, args=(let_go.wait,)) for _ in range(VISITS)]
    for one in visitors:
        one.start()
    wait_for(lambda: instance._visits == VISITS, 5, "all to be inside")
    assert instance.visit(threading.get_ident) != threading.get_ident()
    let_go.set()
    for one in visitors:
        one.join(5)
    assert instance._visits == 0


def test_a_constructor_that_hangs_does_not_hold_up_the_others(lend, tmp_path, monkeypatch):
    import hub.making
    from hub.config import load
    from hub.registry import Registry

    let_go = threading.Event()

    class Hangs(Plain):
        name = "hangs"

        def __init__(self, settings, context):
            let_go.wait()
            super().__init__(settings, context)

    monkeypatch.setattr(hub.making, "MAKE_LIMIT", 0.2)
    file = tmp_path / "hub.toml"
    file.write_text('[channels.sick]\nuse = "hangs"\n[channels.well]\nuse = "plain"\n')
    registry = Registry(_components={("channels", "hangs"): Hangs, ("channels", "plain"): Plain})
    made, broken = hub.making.build(load(file), registry, lend)
    let_go.set()
    assert list(made) == ["well"]
    assert broken == {"sick": "not made within 0.2 s"}


def test_a_return_tells_how_long_it_was_away(instance, lend, capsys):
    """Measured from the moment it went, whatever its other side did meanwhile."""
    configure("info", "json")
    lend.clock.at += timedelta(seconds=100)
    instance.failed(Unavailable("away"))
    lend.clock.at += timedelta(seconds=7)
    instance.succeeded()
    assert '"after_seconds": 7.0' in capsys.readouterr().err
