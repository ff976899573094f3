"""The embedded engine: what it survives, how it stops, and that it does not turn in circles."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.app import Hub, open_hub
from hub.config import load
from hub.engine.embedded import Embedded
from hub.log import configure
from hub.registry import Registry
from hub.sdk import ConfigError, Page, Unavailable
from hub.store.cases import delivery
from tests.databases import settings
from tests.world import ANSWERS, CONFIG, FAR, Desk, Files, Post, Words, World

CLASSES = {("channels", "post"): Post, ("crm", "desk"): Desk, ("crm", "files"): Files, ("matchers", "words"): Words}


def until(true: Callable[[], Any], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.hub.stop()


@pytest.fixture
def hub(tmp_path) -> Iterator[Hub]:
    """A hub with real threads and a real clock; not started."""
    FAR.__init__()  # type: ignore[misc]
    (tmp_path / "answers.csv").write_text(ANSWERS, "utf-8")
    file = tmp_path / "hub.toml"
    text = CONFIG.format(data=tmp_path / "var", answers=tmp_path / "answers.csv")
    file.write_text(text + settings(tmp_path), "utf-8")
    hub = open_hub(load(file), registry=Registry(_components=CLASSES))
    yield hub
    hub.stop()


def ill(*_args: Any, **_kwargs: Any) -> Any:
    raise sa.exc.OperationalError("select", {}, Exception("disk I/O error"))


def bug(*_args: Any, **_kwargs: Any) -> Any:
    raise KeyError("Alice's private words")


@pytest.mark.parametrize(("trouble", "good_news"), [(ill, "the database answers again"), (bug, "works again")])
def test_the_dispatcher_survives_and_says_so_once(hub, monkeypatch, capsys, trouble, good_news):
    configure("INFO")
    looks: list[int] = []
    real = Embedded.look

    def look(engine: Embedded) -> bool:
        looks.append(1)
        return trouble() if len(looks) <= 3 else real(engine)

    monkeypatch.setattr(Embedded, "look", look)
    monkeypatch.setattr("hub.engine.embedded.PAUSE", 0.01)
    hub.start()
    assert until(lambda: len(looks) > 4)
    assert hub.engine.alive()
    said = capsys.readouterr().err
    assert said.count("[error") == 1
    assert said.count(good_news) == 1
    assert "private words" not in said


def test_a_disk_that_is_full_does_not_turn_the_dispatcher_in_circles(hub, monkeypatch, capsys):
    configure("INFO")
    planned: list[int] = []

    def plan_raw(*_args: Any) -> None:
        planned.append(1)
        ill()

    monkeypatch.setattr("hub.pipeline.next.plan_raw", plan_raw)
    FAR.mails.append(_mail("k0"))
    hub.start()
    assert until(lambda: planned)
    time.sleep(0.8)
    assert len(planned) <= 3
    assert capsys.readouterr().err.count("[error") == 1


def test_while_the_probe_is_under_way_nobody_turns_in_circles(hub, monkeypatch):
    desk = hub.instances["desk"]
    let_go, drained = threading.Event(), []

    def slow(*_args: Any) -> Any:
        let_go.wait(5)
        raise Unavailable("no route to host")

    import hub.engine.embedded as module

    real = module.drain
    monkeypatch.setattr(module, "drain", lambda *args: (drained.append(1), real(*args)))
    monkeypatch.setattr(desk.component, "save_case", slow)
    monkeypatch.setattr(desk.component, "changes", lambda _cursor: iter(()))
    for n in range(6):
        FAR.mails.append(_mail(f"k{n}"))
    hub.start()
    desk.failed(Unavailable("no route to host"))
    time.sleep(2.5)
    let_go.set()
    assert len(drained) < 60


def _mail(key: str) -> Any:
    import json

    from hub.sdk import Raw

    said = {"id": f"<{key}>", "from": f"{key}@customer.example", "text": "Bonjour, où est ma commande ?"}
    return Raw(key, json.dumps(said).encode())


def test_a_matcher_that_hangs_while_it_indexes_keeps_nobody_waiting(hub, monkeypatch):
    let_go = threading.Event()
    matcher = hub.instances["words"].component
    hub.start()
    monkeypatch.setattr(type(matcher), "indexed", lambda _self: let_go.wait(10) and "")
    from hub.store.notes import get_note, set_note

    with hub.store.write() as connection:
        set_note(connection, "answers.revision", "moved")
        assert get_note(connection, "answers.revision") == "moved"
    for n in range(3):
        FAR.mails.append(_mail(f"k{n}"))
    try:
        assert until(lambda: len(FAR.tickets) >= 2, 6)
    finally:
        let_go.set()


@pytest.mark.parametrize("where", ["poll", "close", "send"])
def test_a_component_that_hangs_holds_up_no_stop(hub, monkeypatch, where):
    let_go, inside = threading.Event(), threading.Event()

    def hang(*_args: Any) -> Any:
        inside.set()
        let_go.wait(30)

    monkeypatch.setattr(type(hub.instances["support"].component), where, hang)
    FAR.mails.append(_mail("k0"))
    hub.start()
    if where != "close":
        if where == "send":
            hub.instances["contact"].component.poll = lambda _cursor: iter([Page((_mail("k1"),), {"n": 9})])
        assert until(inside.is_set, 8)
    began = time.monotonic()
    hub.stop()
    took = time.monotonic() - began
    let_go.set()
    assert took < 5.0


def test_the_process_ends_although_a_poll_hangs(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(folder=str(tmp_path), root=str(Path(__file__).resolve().parents[2])), "utf-8")
    began = time.monotonic()
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False)
    seconds = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("stopping ")]
    assert done.returncode == 0, done.stderr
    assert seconds, done.stdout
    assert time.time() - seconds[0] < 7.0, time.monotonic() - began


PROGRAM = """
import sys, threading, time
sys.path.insert(0, {root!r})
from pathlib import Path
from hub.app import open_hub
from hub.config import load
from hub.registry import Registry
from tests.unit.test_engine import CLASSES
from tests.world import ANSWERS, CONFIG, Post

folder = Path({folder!r})
(folder / "answers.csv").write_text(ANSWERS, "utf-8")
(folder / "hub.toml").write_text(CONFIG.format(data=folder / "var", answers=folder / "answers.csv"), "utf-8")
inside = threading.Event()
Post.poll = lambda self, cursor: inside.set() or time.sleep(30) or iter(())
hub = open_hub(load(folder / "hub.toml"), registry=Registry(_components=CLASSES))
hub.start()
assert inside.wait(10)
print("stopping", time.time(), flush=True)
hub.stop()
"""


def test_a_lane_of_an_instance_that_left_the_configuration_waits_in_peace(world):
    now = world.clock.now()
    with world.hub.store.write() as connection:
        row = {"instance": "gone", "ability": "show", "lane": "gone/1", "state": "waiting", "created_at": now}
        connection.execute(sa.insert(delivery).values(**row, key="k", due_at=now, turn_at=now))
    assert not world.hub.engine.look()
    assert not world.hub.engine._busy


def test_two_hubs_on_one_database_are_refused_wherever_their_data_lies(world, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    file = other / "hub.toml"
    text = CONFIG.format(data=other / "var", answers=tmp_path / "answers.csv")
    url = world.hub.store.url.render_as_string(hide_password=False)
    file.write_text(text + f'[database]\nurl = "{url}"\n', "utf-8")
    with pytest.raises(ConfigError, match="another hub"):
        open_hub(load(file), registry=Registry(_components=CLASSES))


def test_a_retry_after_a_failure_is_a_tick_of_its_own(hub, monkeypatch):
    tried: list[float] = []
    component = hub.instances["support"].component

    def poll(_cursor: Any) -> Iterator[Page]:
        tried.append(time.monotonic())
        if len(tried) == 1:
            raise Unavailable("connection refused", retry_after=0.3)
        return iter(())

    monkeypatch.setattr(component, "interval", 60.0)
    monkeypatch.setattr(component, "poll", poll)
    hub.start()
    assert until(lambda: len(tried) >= 2, 5)
    assert 0.25 < tried[1] - tried[0] < 3.0


def test_a_listener_that_gives_up_is_followed_by_polls(hub, monkeypatch):
    polled = threading.Event()
    support = hub.instances["support"]
    support.abilities |= {"Listens"}
    monkeypatch.setattr(support.component, "listen", lambda _cursor: iter(()), raising=False)
    monkeypatch.setattr(support.component, "interval", 0.2)
    monkeypatch.setattr(support.component, "poll", lambda _cursor: polled.set() or iter(()))
    hub.start()
    assert polled.wait(5)


def test_a_step_of_the_future_is_left_alone(world):
    world.mail(text="Bonjour, où est ma commande ?")
    for source in _support(world):
        source.tick()
    from hub.store.intake import step

    with world.hub.store.write() as connection:
        connection.execute(sa.update(step).values(due_at=world.clock.now() + timedelta(hours=1)))
    assert not world.hub.engine.look()


def _support(world: World) -> list[Any]:
    from hub.engine.sources import sources_of

    found = sources_of(world.hub.parts, world.hub.engine.wake, world.hub.engine._stop)
    return [one for one in found if one.instance.id == "support"]
