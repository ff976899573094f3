"""Hostile mail, read by real children: the raw it was is set aside, and everything else goes on."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hub.config import Section, SectionOptions
from hub.log import logger
from hub.reading import Limits, NoReaderError, Unread
from hub.reading.children import Children
from hub.registry import load_plugins
from hub.sdk import PROJECT, Context, Raw, abilities_of
from hub.testing import sample_values
from tests.hostile import Hostile, HostileSettings, order, said

LIMITS = Limits(wall=3.0, cpu=1, memory=200)
ROOT = Path(__file__).resolve().parents[2]
FINE = (said("fine"),)


def made(settings: HostileSettings | None = None, name: str = "hostile") -> Hostile:
    return Hostile(settings or HostileSettings(), context(name))


def context(name: str = "hostile") -> Context:
    nothing: Any = type("Nothing", (), {"get": lambda self, key: None})()
    return Context(name, logger(), nothing, nothing, threading.Event(), lambda: datetime.now(UTC), random.Random(1))


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    found = Children(LIMITS)
    found.begin([made()])
    yield found
    found.end()


def read(children: Children, *raws: Raw, component: Hostile | None = None) -> list[Any]:
    told: dict[int, Any] = {}
    children.read(component or made(), raws, told.__setitem__)
    assert list(told) == list(range(len(raws))), "each is told once, in order"
    return list(told.values())


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


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (order("hang"), "it took longer than 3 s to read"),
        (order("burn"), "it needed more than 1 s of processor time to read"),
        (order("allocate"), "it needed more than 200 MB of memory to read"),
        (order("crash"), "the process that read it ended (SIGSEGV)"),
        (order("leave", 0), "the process that read it ended (exit 0)"),
        (order("leave", 7), "the process that read it ended (exit 7)"),
        (order("kill", int(signal.SIGKILL)), "the process that read it ended (SIGKILL)"),
        (order("close"), "the process that read it ended (hung up)"),
        (order("exit", 3), "SystemExit while it was read"),
        (order("raise", "words of a customer"), "ValueError while it was read"),
        (order("reject", "more than 1000 parts"), "more than 1000 parts"),
        (order("lazily"), "ValueError while it was read"),
        (order("junk"), "its plugin gave something that is no message and no event"),
        (order("wrong"), "its plugin gave something that is no message and no event"),
        (order("gigantic", 5 * 1024**2), "what was read from it is larger than 4 MB"),
        (order("write", "/tmp/tresse-was-here"), "PermissionError while it was read"),
        (order("connect", ["127.0.0.1", 9]), "PermissionError while it was read"),
        (order("state"), "PermissionError while it was read"),
        (order("http"), "PermissionError while it was read"),
        (order("forge", "not JSON"), "its plugin gave something that is no message and no event"),
        (order("forge", '["said", ["message", ["in", {"__reduce__": 1}]]]'),
         "its plugin gave something that is no message and no event"),
        (order("forge", "[" * 100_000), "its plugin gave something that is no message and no event"),
    ],
    ids=lambda one: json.loads(one.data)["do"] if isinstance(one, Raw) else "",
)  # fmt: skip
def test_a_hostile_raw_alone_is_set_aside(children, hostile, reason):
    before, middle, after = read(children, order("say", "fine"), hostile, order("say", "fine"))
    assert (before, after) == (FINE, FINE)
    assert isinstance(middle, Unread)
    assert middle.reason == reason
    assert "customer" not in middle.error


def test_what_it_prints_goes_nowhere(children, capfd):
    assert read(children, order("print", "Bonjour")) == [(said("printed"),)]
    assert capfd.readouterr() == ("", "")


def test_a_reader_has_no_network_that_reaches_anybody(children):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        far.settimeout(0.2)
        read(children, order("send", list(far.getsockname())))
        with pytest.raises(TimeoutError):
            far.recv(10)


def test_a_reader_may_import_and_reads_no_files_of_ours(children, tmp_path):
    key = tmp_path / "hub.key"
    key.write_text("the key")
    places = [str(key), str(ROOT / "pyproject.toml"), f"/proc/{os.getpid()}/environ", "/etc/passwd"]
    for outcome in read(children, *(order("look", place) for place in places)):
        assert isinstance(outcome, Unread)
        assert outcome.error == "PermissionError"
    assert read(children, order("import", "wave")) == [(said("imported"),)]


def test_a_reader_can_end_nobody(children):
    (outcome,) = read(children, order("strike", os.getpid()))
    assert isinstance(outcome, Unread)
    assert outcome.error == "PermissionError"


def test_nobody_is_blamed_for_a_reader_that_was_killed_from_outside(children):
    read(children, order("say", "fine"))
    os.kill(children._readers["hostile"].pid, signal.SIGKILL)
    assert read(children, order("say", "fine"), order("say", "fine")) == [FINE, FINE]


def test_a_reader_stays_for_many_mails_and_not_for_ever(children, monkeypatch):
    monkeypatch.setattr("hub.reading.children.KEPT", 10)
    pids = set()
    for _ in range(40):
        read(children, order("say", "fine"))
        pids.add(children._readers["hostile"].pid)
    assert len(pids) in (4, 5)
    assert read(children, *[order("say", "fine")] * 35) == [FINE] * 35


def test_large_mails_are_handed_over_in_parts(children, monkeypatch):
    monkeypatch.setattr("hub.reading.children.BATCH", 100)
    assert read(children, *[order("say", "x" * n) for n in (1, 1000, 3)]) == [(said("x" * n),) for n in (1, 1000, 3)]


def test_every_instance_has_its_own_reader(children):
    """One that hangs holds up nobody else."""
    other, told = made(name="other"), {}
    read(children, order("say", "fine"), component=other)
    thread = threading.Thread(target=children.read, args=(made(), [order("hang")], told.__setitem__))
    thread.start()
    time.sleep(0.2)
    began = time.monotonic()
    assert read(children, order("say", "fine"), component=other) == [FINE]
    assert time.monotonic() - began < 0.5
    assert not told
    thread.join()
    assert isinstance(told[0], Unread)


def test_a_good_mail_behind_two_hundred_crashes(children):
    began = time.monotonic()
    outcomes = read(children, *[order("crash")] * 200, order("say", "fine"))
    print(f"\n200 crashes, then a good mail: {time.monotonic() - began:.2f} s")
    assert outcomes[-1] == FINE
    assert {o.reason for o in outcomes[:-1]} == {"the process that read it ended (SIGSEGV)"}


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
        assert (capsys.readouterr().err + capsys.readouterr().out).count("what came in waits") <= 1
        monkeypatch.undo()
        time.sleep(1.0)
        assert read(children, order("say", "fine")) == [FINE]
    finally:
        children.end()


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
from tests.unit.test_reading_children import made, order
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


def test_a_component_that_needs_the_world_is_read_here(children, capsys):
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
    section = Section("channels", component.name, component.name, SectionOptions(), {}, tmp_path, {})
    values = {k: v for k, v in sample_values(component).items() if k != "use"}
    from hub.config import settings_of

    real = settings_of(
        Section(section.kind, section.id, section.use, section.options, values, tmp_path, {}), component.settings_model
    )
    one = component(real, context(component.name))
    raw = Raw("k", b"From: a@customer.example\n\nBonjour", {"received": "2026-11-23T09:00:00+00:00"})
    told: dict[int, Any] = {}
    children.read(one, [raw], told.__setitem__)
    assert not children.may_hang(one)
    from hub.reading import attempt

    assert told[0] == attempt(one, raw)
    assert pickle.dumps(told)
