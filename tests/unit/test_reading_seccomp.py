"""No socket for a reader, where neither a network namespace nor Landlock is to be had; and what the hub says then."""

from __future__ import annotations

import json
import platform
import struct
import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from hub.reading import seccomp
from hub.reading.children import Children
from tests.hostile import FINE, LIMITS, made, order, read

filtered = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in seccomp._CALLS, reason="no filter for this machine"
)
REFUSED = "import hub.reading.limits as limits\nlimits._go_apart = limits.fence = lambda libc: False\n"
"""What a container under an old kernel refuses."""
TRIES = """
import ctypes, errno, json, os, socket
from hub.reading import Limits
given_up = limits.confine(Limits(), os.getppid())
def told(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "made"
libc = ctypes.CDLL(None, use_errno=True)
def ring():
    if libc.syscall(425, 1, ctypes.create_string_buffer(256)) < 0:
        raise OSError(ctypes.get_errno(), "io_uring_setup")
print(json.dumps([given_up, {
    "udp": told(socket.socket, socket.AF_INET, socket.SOCK_DGRAM),
    "udp6": told(socket.socket, socket.AF_INET6, socket.SOCK_DGRAM),
    "tcp": told(socket.socket, socket.AF_INET, socket.SOCK_STREAM),
    "tcp6": told(socket.socket, socket.AF_INET6, socket.SOCK_STREAM),
    "unix": told(socket.socket, socket.AF_UNIX, socket.SOCK_STREAM),
    "pair": told(socket.socketpair),
    "ring": told(ring),
    "file": told(open, "/dev/null"),
}]))
"""


@filtered
def test_no_socket_is_made_where_the_network_cannot_be_left():
    done = subprocess.run([sys.executable, "-c", REFUSED + TRIES], capture_output=True, text=True, check=True)
    given_up, made_ = json.loads(done.stdout)
    assert given_up == ["no sockets"]
    assert made_.pop("file") == "made"
    assert set(made_.values()) == {"EPERM"}, made_


@filtered
def test_a_reader_says_what_it_gave_up_before_it_reads():
    children = Children(LIMITS)
    try:
        with capture_logs() as lines:
            assert read(children, order("say", "fine")) == [FINE]
        assert "no sockets" in children._readers["hostile"].given_up
        assert [line for line in lines if "network" in line["event"]] == []
    finally:
        children.end()


def test_the_hub_says_once_that_the_network_could_not_be_given_up(tmp_path, monkeypatch):
    (tmp_path / "refusing.py").write_text(REFUSED + "limits.refuse_sockets = lambda libc: False\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    children = Children(LIMITS)
    children.zygote.modules.add("refusing")
    try:
        with capture_logs() as lines:
            assert read(children, order("say", "fine")) == [FINE]
            assert read(children, order("say", "fine"), component=made(name="other")) == [FINE]
    finally:
        children.end()
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "readers of what comes in could not give up the network: this system refuses it"),
        ("warning", "readers of what comes in can read the hub's files: this system has no Landlock"),
    ]


# -- the program, for the machines this one is not -------------------------------------------------


def run(code: bytes, architecture: int, number: int) -> int:
    """What the kernel would do."""
    steps = list(struct.iter_unpack("=HBBI", code))
    at = loaded = 0
    while True:
        what, then, otherwise, value = steps[at]
        at += 1
        if what == seccomp._LOAD:
            loaded = {seccomp._NUMBER_AT: number, seccomp._ARCHITECTURE_AT: architecture}[value]
        elif what == seccomp._RETURN:
            return value
        else:
            at += then if (loaded == value if what == seccomp._EQUAL else loaded >= value) else otherwise


@pytest.mark.parametrize("machine", sorted(seccomp._CALLS))
def test_the_program_refuses_its_calls_and_no_others(machine):
    architecture, calls = seccomp._CALLS[machine]
    code = seccomp._program(architecture, calls)
    refused = [n for n in range(600) if run(code, architecture, n) == seccomp._REFUSE]
    assert refused == sorted(calls)
    assert {run(code, architecture, n) for n in range(600)} == {seccomp._ALLOW, seccomp._REFUSE}
    assert run(code, architecture, seccomp._OTHER_WORDS + 1) == seccomp._REFUSE
    assert run(code, 0x40000003, 1) == seccomp._REFUSE  # 32 bits


def test_an_unknown_machine_is_not_filtered_and_says_so(monkeypatch):
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    assert seccomp.refuse_sockets(None) is False
