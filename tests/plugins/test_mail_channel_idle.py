"""The server calls when mail comes: against a real Dovecot, and against one that times its words badly."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hub.sdk import Page, Unavailable
from tests.plugins.mailroom import channel, mail
from tests.servers.dovecot import Dovecot


@pytest.fixture
def user(dovecot: Dovecot) -> str:
    return dovecot.new_mailbox()


class Listener:
    """Reads `listen` on a thread, as the hub's supervisor does."""

    def __init__(self, dovecot: Dovecot, user: str, **imap: Any) -> None:
        self.stop = threading.Event()
        self.pages: list[tuple[float, Page]] = []
        self.error: Exception | None = None
        self._channel = channel(dovecot, user, stop=self.stop, imap=imap)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for page in self._channel.listen({}):
                self.pages.append((time.monotonic(), page))
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def wait(self, count: int, seconds: float) -> None:
        end = time.monotonic() + seconds
        while sum(len(p.raws) for _, p in self.pages) < count:
            assert time.monotonic() < end, f"{count} mails did not come within {seconds} s ({self.error})"
            time.sleep(0.02)

    def end(self) -> float:
        begun = time.monotonic()
        self.stop.set()
        self._thread.join(5)
        assert not self._thread.is_alive()
        return time.monotonic() - begun


@pytest.fixture
def listener(dovecot: Dovecot, user: str) -> Iterator[Listener]:
    made = Listener(dovecot, user)
    yield made
    made.end()


def test_idle_wakes_when_mail_comes(dovecot: Dovecot, user: str, listener: Listener) -> None:
    time.sleep(0.5)
    for n in range(1, 4):
        dovecot.deliver(user, mail(f"mail {n}"))
        listener.wait(n, 3)
    assert listener.end() < 3
    assert listener.error is None


def test_idle_misses_nothing_between_fetching_and_waiting(dovecot: Dovecot, user: str, listener: Listener) -> None:
    for n in range(40):
        dovecot.append(user, mail(f"mail {n}"))
    listener.wait(40, 5)
    raws = [r for _, p in listener.pages for r in p.raws]
    assert len({r.key for r in raws}) == len(raws) == 40


def test_idle_is_renewed(dovecot: Dovecot, user: str) -> None:
    made = Listener(dovecot, user, idle_renew=1.0)
    time.sleep(2.5)
    dovecot.deliver(user, mail("after a renewal"))
    made.wait(1, 3)
    made.end()
    assert made.error is None


def test_a_server_that_goes_away_ends_listening(dovecot: Dovecot, user: str) -> None:
    made = Listener(dovecot, user)
    time.sleep(0.5)
    with dovecot.outage():
        made._thread.join(5)
        assert isinstance(made.error, Unavailable)


def test_listening_without_idle_leaves_it_to_polls(dovecot: Dovecot, user: str) -> None:
    assert list(channel(dovecot, user, imap={"idle": False}).listen({})) == []


def test_idle_over_tls(dovecot: Dovecot, user: str) -> None:
    made = Listener(dovecot, user, security="tls", port=dovecot.imaps, ca_file=str(dovecot.certificate))
    time.sleep(0.5)
    dovecot.deliver(user, mail("over tls"))
    made.wait(1, 3)
    made.end()


# -- a server with bad timing --------------------------------------------------------------


class Rude:
    """An IMAP server with one mail, which tells of the second at the most awkward moment.

    `during` names it: in the answer to the first SEARCH, or in one packet with the "+" of IDLE.
    """

    def __init__(self, during: str) -> None:
        self.during, self.mails = during, 1
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.close()
        self._thread.join(5)

    def _serve(self) -> None:
        connection, _ = self._listening.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"* OK [CAPABILITY IMAP4rev1 IDLE] here\r\n")
            for line in lines:
                tag, _, command = line.decode().strip().partition(" ")
                connection.sendall(self._answer(tag, command).encode())

    def _answer(self, tag: str, command: str) -> str:
        if tag == "DONE":
            return f"{self._idle} OK idle ended\r\n"
        if command == "IDLE":
            self._idle = tag
            return "+ idling\r\n" + self._second_mail("idle")
        return self._untagged(command) + f"{tag} OK done\r\n"

    def _untagged(self, command: str) -> str:
        if command == "CAPABILITY":
            return "* CAPABILITY IMAP4rev1 IDLE\r\n"
        if command.startswith("EXAMINE"):
            return "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 2] x\r\n"
        if "LARGER" in command:
            return "* SEARCH\r\n"
        if "SEARCH" in command:
            return f"* SEARCH {' '.join(str(n + 1) for n in range(self.mails))}\r\n" + self._second_mail("search")
        if found := re.match(r"UID FETCH (\S+)", command):
            return "".join(f"* {n} FETCH (UID {n} BODY[] {{4}}\r\nmail)\r\n" for n in map(int, found[1].split(",")))
        return ""

    def _second_mail(self, moment: str) -> str:
        if moment != self.during or self.mails == 2:
            return ""
        self.mails = 2
        return "* 2 EXISTS\r\n"


@contextmanager
def rude(during: str) -> Iterator[Rude]:
    server = Rude(during)
    try:
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("moment", ["search", "idle"])
def test_a_mail_announced_at_an_awkward_moment_is_not_missed(dovecot: Dovecot, moment: str) -> None:
    with rude(moment) as server:
        made = Listener(dovecot, "support@shop.example", port=server.port)
        made.wait(2, 3)
        made.end()
        assert made.error is None
