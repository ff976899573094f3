"""A whole hub with children that read: hostile mail is kept unread, ordinary mail of all channels arrives."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from hub.app import Hub, open_hub
from hub.config import load
from hub.pipeline import read as reading
from hub.pipeline.receive import receive
from hub.pipeline.record import record_page
from hub.pipeline.replay import replay_raw
from hub.pipeline.waiting import instances_to_read
from hub.reading import Limits
from hub.reading.children import Children
from hub.registry import Registry
from hub.sdk import Page, Raw
from hub.store.alerts import raise_alert
from hub.store.health import alert
from hub.store.intake import message, step
from tests.databases import settings
from tests.hostile import Hostile, order

CONFIG = """
[hub]
data = "{folder}/var"
[channels.sick]
use = "hostile"
password = "canary"
[channels.well]
use = "hostile"
"""


@pytest.fixture
def hub(tmp_path) -> Iterator[Hub]:
    file = tmp_path / "hub.toml"
    file.write_text(CONFIG.format(folder=tmp_path) + settings(tmp_path), "utf-8")
    file.chmod(0o600)
    registry = Registry(_components={("channels", "hostile"): Hostile})
    hub = open_hub(load(file), registry=registry, readers=lambda: Children(Limits(wall=3.0)))
    yield hub
    hub.stop()


def arrives(hub: Hub, instance: str, *raws: Raw) -> None:
    receive(hub.store, instance, Page(tuple(raws), {}), hub.parts.now(), "poll")


def rows(hub: Hub, table: Any) -> list[Any]:
    with hub.store.read() as connection:
        return list(connection.execute(sa.select(table)).all())


def works(hub: Hub, until: Callable[[], Any], seconds: float = 20.0) -> bool:
    """Record pages, as the engine does, until something is true."""
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        if not sum(record_page(hub.parts, name) for name in instances_to_read(hub.parts)):
            time.sleep(0.05)
    return bool(until())


def texts(hub: Hub) -> list[str]:
    return sorted(m.content_key for m in rows(hub, message) if m.state == "ok")


def kept(hub: Hub) -> dict[int, str]:
    return {s.raw_id: s.reason for s in rows(hub, step) if s.state == "kept"}


def test_hostile_mail_is_kept_and_all_other_mail_arrives(hub):
    arrives(hub, "sick", order("say", "one", "1"), order("crash", key="2"), order("say", "three", "3"))
    arrives(hub, "sick", order("leave", 3, "4"), order("say", "five", "5"))
    arrives(hub, "well", order("say", "other", "1"))
    assert works(hub, lambda: len(texts(hub)) == 4)
    assert texts(hub) == ["five", "one", "other", "three"]
    assert list(kept(hub).values()) == [f"the process that read it ended ({how})" for how in ("SIGSEGV", "exit 3")]


def test_a_mail_that_hangs_holds_up_the_others_for_a_moment_only(hub, monkeypatch):
    monkeypatch.setattr(reading, "PATIENCE", 0.2)
    arrives(hub, "well", order("say", "warm", "0"))
    assert works(hub, lambda: texts(hub) == ["warm"])
    arrives(hub, "sick", order("hang", key="1"), order("say", "behind", "2"))
    assert works(hub, lambda: hub.parts.reading.get("sick"))
    arrives(hub, "well", order("say", "other", "1"))
    assert works(hub, lambda: "other" in texts(hub))
    assert kept(hub) == {}, "it did not wait for the limit of the one that hangs"
    assert works(hub, lambda: "behind" in texts(hub))
    assert list(kept(hub).values()) == ["it took longer than 3 s to read"]


def test_what_was_kept_can_be_replayed(hub):
    arrives(hub, "sick", order("crash", key="1"))
    assert works(hub, lambda: len(kept(hub)) == 1)
    (number,) = kept(hub)
    replay_raw(hub.store, hub.parts.now(), number)
    assert kept(hub) == {}
    assert works(hub, lambda: len(kept(hub)) == 1), "it was read again, and ended its reader again"


def test_a_backlog_is_read_ahead_and_nothing_twice(hub):
    for first in range(0, 350, 50):
        arrives(hub, "sick", *(order("say", f"{n:03}", str(n)) for n in range(first, first + 50)))
    assert record_page(hub.parts, "sick") == 100
    assert len(hub.parts.ahead["sick"]) == 100
    # Somebody sees to one of them meanwhile.
    gone = hub.parts.ahead["sick"][7].id
    with hub.store.write() as connection:
        connection.execute(sa.delete(step).where(step.c.raw_id == gone))
    assert works(hub, lambda: not [s for s in rows(hub, step) if s.stage == "read"])
    assert len(texts(hub)) == 349
    assert f"{gone - 1:03}" not in texts(hub)


def test_when_readers_cannot_start_mail_waits_and_nobody_is_blamed(hub, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    arrives(hub, "sick", order("say", "one", "1"), order("say", "two", "2"))
    assert not works(hub, lambda: texts(hub) or kept(hub), seconds=1.5)
    assert len([s for s in rows(hub, step) if s.state == "waiting"]) == 2
    monkeypatch.undo()
    assert works(hub, lambda: len(texts(hub)) == 2)
    assert kept(hub) == {}


def alerts(hub: Hub) -> list[tuple[str, bool]]:
    return [(a.key, a.closed_at is None) for a in rows(hub, alert)]


def looks(hub: Hub, until: Callable[[], Any], seconds: float = 20.0) -> bool:
    """Let the engine look until something is true."""
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        hub.engine.look()
        time.sleep(0.05)
    return bool(until())


def test_admins_are_told_while_no_reader_can_be_started(hub, monkeypatch, capsys):
    monkeypatch.setattr("hub.reading.children.STUCK", 0.5)
    monkeypatch.setattr("sys.executable", "/bin/false")
    arrives(hub, "sick", order("say", "one", "1"))
    hub.engine.look()
    assert alerts(hub) == [], "one failure is not worth a word: mostly it works a second later"
    assert looks(hub, lambda: alerts(hub))
    assert alerts(hub) == [("readers", True)]
    assert rows(hub, alert)[0].text == "No process can be started to read what comes in: it waits."
    monkeypatch.undo()
    assert looks(hub, lambda: texts(hub) == ["one"])
    assert looks(hub, lambda: alerts(hub) == [("readers", False)])
    assert kept(hub) == {}


def test_an_alert_of_a_hub_that_ended_is_closed(hub):
    with hub.store.write() as connection:
        raise_alert(connection, "readers", "of an earlier process", hub.parts.now())
    hub.engine.look()
    assert alerts(hub) == [("readers", False)]


def test_an_alert_that_cannot_be_written_ends_nothing(hub, monkeypatch):
    monkeypatch.setattr(hub.parts.readers, "failing", lambda: True)

    def full(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("insert", {}, Exception("database or disk is full"))

    with monkeypatch.context() as at_first:
        at_first.setattr("hub.pipeline.host_alert.raise_alert", full)
        hub.engine.look()
    assert alerts(hub) == []
    hub.engine.look()
    assert alerts(hub) == [("readers", True)]


def test_a_zygote_killed_under_load_loses_nothing(hub):
    arrives(hub, "sick", order("say", "warm", "warm"))
    assert works(hub, lambda: texts(hub) == ["warm"])
    arrives(hub, "sick", *(order("say", f"{n:03}", str(n)) for n in range(150)))
    os.kill(hub.parts.readers.zygote.pid, signal.SIGKILL)
    assert works(hub, lambda: len(texts(hub)) == 151)
    assert kept(hub) == {}


def test_a_stopped_hub_has_no_children_left(hub):
    arrives(hub, "sick", order("say", "one", "1"))
    assert works(hub, lambda: texts(hub) == ["one"])
    pid = hub.parts.readers.zygote.pid
    hub.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
