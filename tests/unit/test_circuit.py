"""The circuit under several calls at once, and the small parts around it: threads, secrets, alerts."""

from __future__ import annotations

import random
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from hub.config import Section, SectionOptions
from hub.instances import Bug, Instance, Lend
from hub.log import configure, logger
from hub.sdk import Channel, ConfigError, Context, Settings, Unavailable
from hub.sides import IN
from hub.store import Store
from hub.store.alerts import close_alert, raise_alert
from hub.store.health import alert, state
from hub.store.migrate import migrate
from hub.store.secrets import SecretState, load_key
from hub.threads import Threads
from tests.databases import database_url
from tests.world import START, ToldClock


class Nothing(Settings):
    """No settings."""


class Plain(Channel[Nothing]):
    """Does what the test tells it."""

    name = "plain"
    settings_model = Nothing

    def check(self) -> None: ...


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    store = Store(database_url(tmp_path, "x.db"))
    migrate(store)
    yield store
    store.close()


@pytest.fixture
def instance(store) -> Instance:
    lend = Lend(store, ToldClock(), random.Random(1), b"k", threading.Event(), Threads)
    section = Section("channels", "one", "plain", SectionOptions(threads=2), {}, Path(), {})
    context = Context("one", logger(), None, None, lend.stop, lend.clock.now, lend.random)  # type: ignore[arg-type]
    return Instance(section, Plain(Nothing(), context), lend)


def refuse(error: Exception) -> Callable[[], Any]:
    def call() -> Any:
        raise error

    return call


def wait_for(true: Callable[[], bool]) -> None:
    for _ in range(500):
        if true():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come")


# -- the circuit ---------------------------------------------------------------------------


def test_calls_that_fail_together_are_one_outage(instance, capsys):
    configure("INFO")
    for _ in range(8):
        instance.failed(Unavailable("connection refused"))
    assert (instance.retry_at() - START).total_seconds() < 2
    assert instance.health.failures == 1
    assert capsys.readouterr().err.count("gone") == 1


def test_a_probe_that_was_lost_is_given_out_again(instance):
    clock = instance._lend.clock
    instance.failed(Unavailable("connection refused"))
    clock.at = instance.retry_at()
    assert instance.ready()
    assert instance.waits()
    clock.wait(threading.Event(), 61)
    assert not instance.waits()
    assert instance.ready()
    instance.give_back()
    assert instance.ready()


def test_threads_that_hang_open_the_circuit_and_their_return_closes_it(instance):
    let_go = threading.Event()
    for _ in range(2):
        with pytest.raises(Unavailable, match="no answer within"):
            instance.call(let_go.wait, timeout=0.02)
    clock = instance._lend.clock
    for _ in range(3):
        clock.at = instance.retry_at()
        assert instance.ready()
        with pytest.raises(Unavailable, match="stuck"):
            instance.call(lambda: None)
    let_go.set()
    wait_for(lambda: instance._hung == 0)
    clock.at = instance.retry_at()
    assert instance.ready()
    instance.call(lambda: None)
    assert instance.health.state == "green"


def test_a_call_that_never_began_never_happens(instance):
    let_go, happened = threading.Event(), []
    busy = [threading.Thread(target=instance.call, args=(let_go.wait,), daemon=True) for _ in range(2)]
    for one in busy:
        one.start()
    wait_for(lambda: instance._calls._started == 2 and instance._calls._work.empty())
    with pytest.raises(Unavailable, match="no free thread") as caught:
        instance.call(happened.append, 1, timeout=0.05)
    assert not caught.value.maybe_done
    let_go.set()
    for one in busy:
        one.join(5)
    instance.call(lambda: None)
    assert happened == []
    assert instance._hung == 0


def test_what_is_still_under_way_is_not_begun_again(instance):
    let_go, begun = threading.Event(), []

    def slow() -> str:
        begun.append(1)
        let_go.wait(5)
        return "done"

    with pytest.raises(Unavailable):
        instance.call(slow, timeout=0.02, once="key")
    with pytest.raises(Unavailable, match="has not ended") as caught:
        instance.call(slow, timeout=0.02, once="key")
    assert caught.value.maybe_done
    assert begun == [1]
    let_go.set()
    wait_for(lambda: not instance._under_way)
    assert instance.call(slow, once="key") == "done"


def test_one_side_does_not_speak_for_the_other(instance):
    instance.failed(ConfigError("the password is refused"), IN)
    instance.succeeded()
    assert instance.health.state == "red"
    assert instance.ready()
    assert not instance.ready(IN)
    instance.succeeded(IN)
    assert instance.health.state == "green"


def test_a_call_that_is_not_judged_changes_nothing(instance, capsys):
    configure("INFO")
    for error in (Unavailable("many at once"), ConfigError("a wrong signature"), ValueError("words")):
        with pytest.raises((Unavailable, ConfigError, Bug)):
            instance.call(refuse(error), judged=False)
    assert instance.health.state == "green"
    assert "words" not in capsys.readouterr().err
    instance.failed(Unavailable("connection refused"))
    instance.call(lambda: None, judged=False)
    assert instance.health.state == "amber"


def test_closing_waits_a_little_and_tells_of_failure(instance, capsys):
    configure("INFO")
    let_go = threading.Event()
    instance.component.close = let_go.wait
    instance.end_close(instance.begin_close(), 0.02)
    instance.component.close = refuse(ValueError("words"))
    instance.end_close(instance.begin_close(), 1.0)
    let_go.set()
    said = capsys.readouterr().err
    assert said.count("close failed") == 2
    assert "words" not in said


# -- threads -------------------------------------------------------------------------------


def test_threads_work_side_by_side_up_to_their_number_and_in_order():
    threads, meet, order = Threads("t", 2), threading.Barrier(2, timeout=5), []
    for one in [threads.submit(meet.wait), threads.submit(meet.wait)]:
        one.result(5)
    for one in [threads.submit(order.append, n) for n in range(50)]:
        one.result(5)
    assert sorted(order) == list(range(50))
    assert threads._started == 2
    threads.close()


def test_an_idle_thread_is_used_before_a_new_one_begins():
    threads = Threads("t", 4)
    for _ in range(5):
        threads.submit(lambda: None).result(5)
        wait_for(lambda: threads._idle == 1)
    assert threads._started == 1


def test_what_was_raised_comes_home_and_the_thread_lives_on():
    threads = Threads("t", 1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(5)
    with pytest.raises(SystemExit):
        threads.submit(refuse(SystemExit())).result(5)  # type: ignore[arg-type]
    assert threads.submit(lambda: "on").result(5) == "on"
    assert threads._started == 1


def test_closed_threads_end():
    threads = Threads("closing", 2)
    threads.submit(lambda: None).result(5)
    threads.close()
    wait_for(lambda: not any(t.name.startswith("closing-") for t in threading.enumerate()))


# -- secrets -------------------------------------------------------------------------------


def test_a_state_is_sealed_and_belongs_to_its_instance(store):
    key = Fernet.generate_key()
    one, other = SecretState(store, "one", key), SecretState(store, "other", key)
    one.set("token", "canary-secret")
    one.set("token", "canary-secret-2")
    assert one.get("token") == "canary-secret-2"
    assert other.get("token") is None
    with store.read() as connection:
        assert b"canary" not in connection.scalars(sa.select(state.c.value)).one()


def test_swap_takes_the_old_value(store):
    kept = SecretState(store, "one", Fernet.generate_key())
    assert kept.swap("token", None, "a")
    assert not kept.swap("token", None, "b")
    assert not kept.swap("token", "x", "b")
    assert kept.swap("token", "a", "b")
    assert kept.get("token") == "b"


@pytest.mark.parametrize("old", ["a", None])
def test_only_one_of_many_swaps_wins(store, old):
    kept, together = SecretState(store, "one", Fernet.generate_key()), threading.Barrier(8)
    for turn in range(5):
        key, won = f"token {turn}", []
        if old is not None:
            kept.set(key, old)

        def swap(n: int, key: str = key, won: list[int] = won) -> None:
            together.wait(10)
            if kept.swap(key, old, f"b{n}"):
                won.append(n)

        threads = [threading.Thread(target=swap, args=(n,)) for n in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(10)
        assert [f"b{n}" for n in won] == [kept.get(key)]


def test_another_key_is_named_in_a_sentence(store):
    SecretState(store, "one", Fernet.generate_key()).set("token", "a")
    with pytest.raises(ConfigError, match=r"restore hub\.key from the backup"):
        SecretState(store, "one", Fernet.generate_key()).get("token")


def test_the_key_is_made_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "var" / "hub.key"
    key = load_key(path)
    assert load_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["hub.key"]


@pytest.mark.parametrize("damaged", [b"", b"half a ke"])
def test_a_damaged_key_is_named_in_a_sentence(tmp_path, damaged):
    path = tmp_path / "hub.key"
    path.write_bytes(damaged)
    with pytest.raises(ConfigError, match=r"hub\.key.*backup"):
        load_key(path)


# -- alerts --------------------------------------------------------------------------------


def test_an_alert_is_raised_once_closed_once_and_raised_anew(store):
    with store.write() as connection:
        assert raise_alert(connection, "one", "Something is wrong.", START, "desk")
        assert not raise_alert(connection, "one", "Something is wrong.", START)
        assert raise_alert(connection, "two", "Something else is wrong.", START)
        assert close_alert(connection, "one", START)
        assert not close_alert(connection, "one", START)
        assert not close_alert(connection, "never", START)
        assert raise_alert(connection, "one", "Something is wrong.", START)
        rows = connection.execute(sa.select(alert.c.key, alert.c.closed_at).order_by(alert.c.id)).all()
    assert [(key, closed is None) for key, closed in rows] == [("one", False), ("two", True), ("one", True)]
