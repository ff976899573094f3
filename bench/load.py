"""The load of `bench.webhook`, in a process of its own: keep-alive connections that push signed bodies.

    python -m bench.load --port 8080 --path /in/hook --connections 16 --seconds 4 --shape signed

One thread, one epoll, requests put together by hand: it has to be several times faster than what it
measures (`bench.webhook` shows by how much). Every request has a key of its own. Prints one line of
JSON; `--keys FILE` gets the keys that were answered 2xx, one a line, as soon as they are.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO

SECRET = b"0f5b1c9ad1f24e6f8f4f62b6a1d7c3e2"
TOKEN = "bench-token-of-twenty-and-more"
WORDS = "Bonjour, ma commande CMD-2026-0042 n'est pas encore arrivee, pouvez-vous me dire ou elle en est ? Merci. " * 6


def signed(key: str) -> tuple[bytes, bytes]:
    """A body of about 700 bytes and the headers that sign it."""
    body = json.dumps({"id": key, "from": f"{key}@customer.example", "text": WORDS}).encode()
    signature = hmac.digest(SECRET, key.encode() + b"." + body, hashlib.sha256).hex()
    head = f"Content-Type: application/json\r\nWebhook-Id: {key}\r\nWebhook-Signature: {signature}\r\n"
    return body, head.encode()


def form(key: str) -> tuple[bytes, bytes]:
    """An entry of the bundled contact form, as a website's own server posts it."""
    said = {"name": "Alice", "email": f"{key}@customer.example", "subject": "Retour", "message": WORDS, "key": key}
    return json.dumps(said).encode(), b"Content-Type: application/json\r\n"


def push(key: str) -> tuple[bytes, bytes]:
    """A call that begins, in the format of the bundled `push`."""
    said = {"event": "newCall", "callId": key, "direction": "in", "from": "33639980042", "to": "33140000000"}
    return json.dumps(said).encode(), f"Content-Type: application/json\r\nX-Token: {TOKEN}\r\n".encode()


def plain(key: str) -> tuple[bytes, bytes]:
    """Nothing but a key and words, for the tests."""
    return json.dumps({"key": key, "text": WORDS}).encode(), b"Content-Type: application/json\r\n"


SHAPES: dict[str, Callable[[str], tuple[bytes, bytes]]] = {"signed": signed, "form": form, "push": push, "plain": plain}


class Line:
    """One connection: what was asked on it, and when."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.key, self.asked_at, self.got = "", 0.0, b""
        self.socket = socket.create_connection(("127.0.0.1", load.port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self) -> None:
        self.key, request = self.load.next_request()
        self.got, self.asked_at = b"", time.perf_counter()
        self.socket.sendall(request)

    def hear(self) -> int:
        """The status, once the whole answer is here; 0 before. Raises OSError where the far side hung up."""
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionResetError
        self.got += part
        head, blank, body = self.got.partition(b"\r\n\r\n")
        if not blank:
            return 0
        at = head.lower().find(b"content-length:")
        if at >= 0 and len(body) < int(head[at + 15 :].split(b"\r\n", 1)[0]):
            return 0
        return int(head[9:12])


class Load:
    """All connections of one run."""

    def __init__(self, options: argparse.Namespace, keys: IO[str] | None) -> None:
        self.port, self.path, self.prefix = options.port, options.path, options.prefix
        self.shape, self.keys = SHAPES[options.shape], keys
        self.sent = 0
        self.times: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.broken = 0
        self.poll = select.epoll()
        self.lines: dict[int, Line] = {}

    def next_request(self) -> tuple[str, bytes]:
        self.sent += 1
        key = f"{self.prefix}{self.sent}"
        body, head = self.shape(key)
        start = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n".encode()
        return key, start + head + b"\r\n" + body

    def open(self) -> None:
        line = Line(self)
        self.lines[line.socket.fileno()] = line
        self.poll.register(line.socket.fileno(), select.EPOLLIN)
        line.ask()

    def run(self, connections: int, seconds: float) -> float:
        """Push until the time is over and the last answers are here. Returns the seconds it took."""
        begun = time.perf_counter()
        for _ in range(connections):
            self.open()
        end = begun + seconds
        while self.lines and time.perf_counter() < end + 30:
            for number, _ in self.poll.poll(1):
                self.turn(number, end)
        return time.perf_counter() - begun

    def turn(self, number: int, end: float) -> None:
        line = self.lines[number]
        try:
            status = line.hear()
            if not status:
                return
            self.count(line, status)
            if time.perf_counter() < end:
                line.ask()
                return
        except OSError:
            self.broken += 1
        self.drop(number, line)
        if time.perf_counter() < end:
            try:
                self.open()
            except OSError:
                self.broken += 1

    def count(self, line: Line, status: int) -> None:
        self.times.append(time.perf_counter() - line.asked_at)
        self.statuses[status] += 1
        if 200 <= status < 300 and self.keys is not None:
            self.keys.write(line.key + "\n")

    def drop(self, number: int, line: Line) -> None:
        self.poll.unregister(number)
        line.socket.close()
        del self.lines[number]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--path", default="/in/hook")
    arguments.add_argument("--connections", type=int, default=16)
    arguments.add_argument("--seconds", type=float, default=4)
    arguments.add_argument("--shape", choices=sorted(SHAPES), default="signed")
    arguments.add_argument("--prefix", default="k", help="what every key begins with")
    arguments.add_argument("--keys", type=Path, help="append the keys that were answered 2xx to this file")
    options = arguments.parse_args()
    keys = options.keys.open("a", buffering=1) if options.keys else None
    load = Load(options, keys)
    took = load.run(options.connections, options.seconds)
    times = sorted(load.times) or [0.0]
    good = sum(n for status, n in load.statuses.items() if 200 <= status < 300)
    figures = {
        "answered": good,
        "refused": sum(load.statuses.values()) - good,
        "statuses": {str(status): n for status, n in load.statuses.items()},
        "broken": load.broken + len(load.lines),
        "per_second": good / took,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000,
        "cpu": time.process_time(),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
