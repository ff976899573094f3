"""Hostile mail, read by real children: the raw it was is set aside, and everything else goes on."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.reading import Limits, Unread
from hub.reading.children import Children
from hub.reading.landlock import version
from hub.sdk import Raw
from tests.hostile import FINE, LIMITS, made, order, read, said

ROOT = Path(__file__).resolve().parents[2]
fenced = pytest.mark.skipif(version(ctypes.CDLL(None)) < 6, reason="this kernel has no Landlock, or an old one")


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    found = Children(LIMITS)
    found.begin([made()])
    yield found
    found.end()


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (order("hang"), "it took longer than 3 s to read"),
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


def test_processor_time_has_its_own_limit():
    children = Children(Limits(wall=60.0, cpu=1))
    try:
        _, middle, after = read(children, order("say", "fine"), order("burn"), order("say", "fine"))
    finally:
        children.end()
    assert after == FINE
    assert isinstance(middle, Unread)
    assert middle.reason == "it needed more than 1 s of processor time to read"


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


def test_a_reader_neither_writes_nor_connects(children, tmp_path):
    """Without Landlock the limit on files and the empty network say so with another error."""
    with socket.create_server(("127.0.0.1", 0)) as far:
        hostile = (order("write", str(tmp_path / "here")), order("connect", list(far.getsockname())))
        assert all(isinstance(outcome, Unread) for outcome in read(children, *hostile))
    assert not (tmp_path / "here").exists() or not (tmp_path / "here").read_bytes()


@fenced
def test_a_reader_may_import_and_reads_no_files_of_ours(children, tmp_path):
    key = tmp_path / "hub.key"
    key.write_text("the key")
    places = [str(key), str(ROOT / "pyproject.toml"), f"/proc/{os.getpid()}/environ", "/etc/passwd"]
    for outcome in read(children, *(order("look", place) for place in places)):
        assert isinstance(outcome, Unread)
        assert outcome.error == "PermissionError"
    assert read(children, order("import", "wave")) == [(said("imported"),)]


@fenced
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
    assert read(children, order("say", "fine"), component=other) == [FINE]
    assert not told, "it was read while the other one hangs"
    thread.join()
    assert isinstance(told[0], Unread)


def test_a_good_mail_behind_two_hundred_crashes(children):
    began = time.monotonic()
    outcomes = read(children, *[order("crash")] * 200, order("say", "fine"))
    print(f"\n200 crashes, then a good mail: {time.monotonic() - began:.2f} s")
    assert outcomes[-1] == FINE
    assert {o.reason for o in outcomes[:-1]} == {"the process that read it ended (SIGSEGV)"}


@pytest.mark.parametrize("stops_at", [0, 1, 2, 3])
def test_who_has_enough_is_told_no_more_and_the_next_page_is_not_mixed_with_this_one(children, stops_at):
    """What its reader has been handed already is not read, or nobody hears of it."""
    told: list[int] = []

    def tell(number: int, _outcome: object) -> bool:
        told.append(number)
        return number == stops_at

    page = [order("say", "fine"), order("say", "fine"), order("crash"), order("say", "fine")]
    children.read(made(), page, tell)
    assert told == list(range(stops_at + 1))
    assert read(children, order("print", "x"), order("say", "fine")) == [(said("printed"),), FINE]
