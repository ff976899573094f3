"""The process that forks readers: who ends when, and that nobody there knows a secret."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.config import Section, SectionOptions, settings_of
from hub.reading import NoReaderError, attempt
from hub.reading.children import FORGOTTEN, STUCK, Children
from hub.registry import load_plugins
from hub.sdk import PROJECT, Raw, abilities_of
from hub.testing import sample_values
from tests.hostile import FINE, LIMITS, HostileSettings, context, made, order, read

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    found = Children(LIMITS)
    found.begin([made()])
    yield found
    found.end()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(*pids: int, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.01)
    return not any(map(alive, pids))


# -- the zygote --------------------------------------------------------------------------------


def test_when_the_zygote_dies_nobody_is_blamed_and_another_takes_over(monkeypatch):
    monkeypatch.setattr("hub.reading.forking._PAUSE", 0.2)
    children = Children(LIMITS)
    try:
        read(children, order("say", "fine"))
        zygote, reader = children.zygote.pid, children._readers["hostile"].pid
        os.kill(zygote, signal.SIGKILL)
        assert gone(reader), "a reader does not outlive its zygote"
        told: dict[int, Any] = {}
        with pytest.raises(NoReaderError):
            children.read(made(), [order("say", "fine")], told.__setitem__)
        assert told == {}
        time.sleep(0.3)
        assert read(children, order("say", "fine")) == [FINE]
        assert children.zygote.pid != zygote
    finally:
        children.end()


def test_a_zygote_that_cannot_start_is_tried_again_later_and_told_once(monkeypatch, capsys):
    monkeypatch.setattr("hub.reading.forking._PAUSE", 0.1)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    children = Children(LIMITS)
    try:
        for _ in range(4):
            with pytest.raises(NoReaderError):
                children.read(made(), [order("say", "fine")], lambda *_: pytest.fail("nobody read it"))
            time.sleep(0.15)
        assert "".join(capsys.readouterr()).count("what came in waits") == 1
        monkeypatch.undo()
        time.sleep(1.0)
        assert read(children, order("say", "fine")) == [FINE]
    finally:
        children.end()


FULL = """
import errno, os, pathlib
fork = os.fork
def limited():
    if pathlib.Path({marker!r}).exists():
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    return fork()
os.fork = limited
"""


def test_when_no_more_processes_are_allowed_the_others_go_on(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("hub.reading.forking._PAUSE", 0.1)
    marker = tmp_path / "full"
    (tmp_path / "limited_forks.py").write_text(FULL.format(marker=str(marker)))
    monkeypatch.syspath_prepend(tmp_path)
    children = Children(LIMITS)
    children.zygote.modules.add("limited_forks")
    try:
        assert read(children, order("say", "fine")) == [FINE]
        zygote, reader = children.zygote.pid, children._readers["hostile"].pid
        marker.touch()
        for _ in range(3):
            with pytest.raises(NoReaderError):
                children.read(made(name="late"), [order("say", "fine")], lambda *_: pytest.fail("nobody read it"))
            time.sleep(0.15)
        assert read(children, order("say", "fine")) == [FINE]
        assert (children.zygote.pid, children._readers["hostile"].pid) == (zygote, reader)
        marker.unlink()
        time.sleep(0.5)
        assert read(children, order("say", "fine"), component=made(name="late")) == [FINE]
        told = "".join(capsys.readouterr())
        assert told.count("no reader can be forked; what came in waits") == 1
        assert told.count("works again") == 1
    finally:
        children.end()


def test_a_zygote_that_dies_at_every_fork_is_told_once(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("hub.reading.forking._PAUSE", 0.05)
    (tmp_path / "deadly_forks.py").write_text("import os\nos.fork = lambda: os._exit(1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    children = Children(LIMITS)
    children.zygote.modules.add("deadly_forks")
    try:
        for _ in range(6):
            with pytest.raises(NoReaderError):
                children.read(made(), [order("say", "fine")], lambda *_: pytest.fail("nobody read it"))
            time.sleep(0.2)
        assert children.zygote._failures > 1, "it started anew, and died again"
        told = "".join(capsys.readouterr())
        assert told.count("what came in waits") == 1
        assert "works again" not in told
    finally:
        children.end()


def test_it_is_failing_while_somebody_waits_for_a_reader(monkeypatch):
    now = [1000.0]
    children = Children(LIMITS)
    monkeypatch.setattr("hub.reading.children.time.monotonic", lambda: now[0])
    assert not children.failing()
    children._fails("a")
    assert not children.failing()
    now[0] += STUCK
    assert children.failing()
    now[0] += FORGOTTEN
    assert not children.failing(), "nobody has asked for long: its raws are gone, or it was paused"
    children._fails("a")
    assert not children.failing(), "that was another time"
    now[0] += STUCK
    children._fails("b")
    assert children.failing()


def test_a_stop_of_the_whole_service_leaves_the_ending_to_the_hub(children):
    read(children, order("say", "fine"))
    for pid in (children.zygote.pid, children._readers["hostile"].pid):
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
    pid = children._readers["hostile"].pid
    assert read(children, order("say", "fine")) == [FINE]
    assert children._readers["hostile"].pid == pid


KILLED = """
import sys, threading, time
from hub.reading.children import Children
from tests.hostile import made, order
children = Children()
for name in ("idle", "busy"):
    children.read(made(name=name), [order("say", "fine")], lambda *_: None)
threading.Thread(target=children.read, args=(made(name="busy"), [order("burn")], lambda *_: None)).start()
time.sleep(0.3)
print(children.zygote.pid, *(r.pid for r in children._readers.values()), flush=True)
time.sleep(100)
"""


def test_nobody_outlives_a_hub_that_was_killed():
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as hub:
        assert hub.stdout is not None
        pids = [int(pid) for pid in hub.stdout.readline().split()]
        assert len(pids) == 3
        assert all(map(alive, pids))
        hub.kill()
        assert gone(*pids)


def test_an_end_ends_everybody_also_while_one_hangs():
    children, heard = Children(), []

    def reading() -> None:
        try:
            children.read(made(), [order("hang")], lambda *_: None)
        except NoReaderError:
            heard.append("ended")

    thread = threading.Thread(target=reading)
    thread.start()
    while "hostile" not in children._readers:
        time.sleep(0.01)
    pids = [children.zygote.pid, children._readers["hostile"].pid]
    began = time.monotonic()
    children.end()
    children.end()
    assert time.monotonic() - began < 3
    assert gone(*pids)
    thread.join(5)
    assert heard == ["ended"]


# -- secrets -----------------------------------------------------------------------------------


def test_a_reader_sees_no_secret(monkeypatch):
    monkeypatch.setenv("TRESSE_PASSWORD", "canary-environment")
    settings = HostileSettings.model_validate(
        {"password": "canary-1", "login": {"token": "canary-2"}, "many": {"a": ["canary-3"]}, "word": "told"}
    )
    children = Children(LIMITS)
    try:
        (outcome,) = read(children, order("tell"), component=made(settings))
        assert "told" in outcome[0].text
        assert "canary" not in outcome[0].text
        # Not even where it looks at its whole memory.
        pid = children._readers["hostile"].pid
        for one in (pid, children.zygote.pid):
            assert b"canary-" not in memory(one)
    finally:
        children.end()


def memory(pid: int) -> bytes:
    """What a process can read of itself: heap, stack and data."""
    found = b""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as mem:
        for line in maps:
            place, rights, *_ = line.split()
            start, end = (int(part, 16) for part in place.split("-"))
            if rights.startswith("rw"):
                mem.seek(start)
                found += mem.read(end - start)
    assert b"HostileSettings" in found or b"hub.reading" in found, "we looked where there was something to see"
    return found


def test_a_component_that_needs_the_world_is_read_here(children):
    settings = HostileSettings.model_validate({"builds": False})
    component = made(settings, "worldly")
    assert not children.may_hang(component)
    assert read(children, order("say", "fine"), component=component) == [FINE]
    assert children.may_hang(component), "a thread of ours cannot be ended"
    assert "worldly" not in children._readers


@pytest.mark.parametrize(
    "component",
    [c for r in load_plugins().records if r.distribution == PROJECT for c in r.components if "Reads" in abilities_of(c)],
    ids=lambda c: c.name,
)  # fmt: skip
def test_every_bundled_plugin_is_read_in_a_child(children, component, tmp_path):
    values = {k: v for k, v in sample_values(component).items() if k != "use"}
    section = Section("channels", component.name, component.name, SectionOptions(), values, tmp_path, {})
    one = component(settings_of(section, component.settings_model), context(component.name))
    raw = Raw("k", b"From: a@customer.example\n\nBonjour", {"received": "2026-11-23T09:00:00+00:00"})
    told: dict[int, Any] = {}
    children.read(one, [raw], told.__setitem__)
    assert not children.may_hang(one)
    assert told[0] == attempt(one, raw)
