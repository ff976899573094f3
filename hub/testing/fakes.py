"""What the hub lends a component, in a form a test can look into."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn, Self

import requests

from hub.sdk import Context, Request

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
"""Where the fake clock begins: a Monday morning."""


class FakeClock:
    """Time that moves when the test says so; call it for the time."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.at += timedelta(seconds=seconds)


class MemoryState:
    """`context.state` in memory; outlives the components it is lent to."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> str | None:
        return self.values.get(key)

    def set(self, key: str, value: str) -> None:
        self.values[key] = value

    def swap(self, key: str, old: str | None, new: str) -> bool:
        with self._lock:
            if self.values.get(key) != old:
                return False
            self.values[key] = new
            return True


class KeptLog:
    """`context.log` that keeps what it is told: (level, event, facts)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def debug(self, event: str, **facts: Any) -> None:
        self.lines.append(("debug", event, facts))

    def info(self, event: str, **facts: Any) -> None:
        self.lines.append(("info", event, facts))

    def warning(self, event: str, **facts: Any) -> None:
        self.lines.append(("warning", event, facts))

    def error(self, event: str, **facts: Any) -> None:
        self.lines.append(("error", event, facts))

    def text(self, *, above_debug: bool = False) -> str:
        """Everything that was logged, as one text to search in."""
        return "\n".join(repr(line) for line in self.lines if not above_debug or line[0] != "debug")


class Untouchable:
    """Stands where a pure function must not reach."""

    def __init__(self, what: str) -> None:
        self.__dict__["what"] = what

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"read() is pure and must not use context.{self.__dict__['what']}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AssertionError(f"read() is pure and must not call context.{self.__dict__['what']}()")


def fake_context(folder: Path, instance: str = "under-test", **changes: Any) -> Context:
    """A context as the hub lends it, with everything in memory and `folder` as the data directory."""
    given: dict[str, Any] = {
        "id": instance,
        "log": KeptLog(),
        "http": requests.Session(),
        "state": MemoryState(),
        "stop": threading.Event(),
        "now": FakeClock(),
        "random": random.Random(7),  # noqa: S311 - the same in every run
        "address": f"http://hub.example/in/{instance}",
        "hub": {
            "name": "Atelier Ronce",
            "country": "FR",
            "languages": "fr,en",
            "data": str(folder),
            "timezone": "Europe/Paris",
        },
    }
    return Context(**{**given, **changes})


@dataclass(slots=True)
class Answered:
    """What a `FarSide` answers."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


class FarSide:
    """A small HTTP server on 127.0.0.1 that answers as told and remembers what it was asked.

    Use it as a context manager. `answers` maps ``"METHOD /path"`` (without the query) to what is
    said there; everything else is answered with `otherwise`.
    """

    def __init__(self, otherwise: Answered | None = None) -> None:
        self.answers: dict[str, Answered] = {}
        self.otherwise = otherwise or Answered()
        self.asked: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._asker())
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def say(self, where: str, value: Any, status: int = 200) -> None:
        """Answer `where` (``"GET /tickets"``) with `value` as JSON."""
        self.answers[where] = Answered(status, json.dumps(value).encode())

    def _asker(self) -> type[BaseHTTPRequestHandler]:
        far = self

        class Asker(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                path, _, query = self.path.partition("?")
                length = int(self.headers.get("Content-Length") or 0)
                headers = {k.lower(): v for k, v in self.headers.items()}
                body, remote = self.rfile.read(length), str(self.client_address[0])
                far.asked.append(Request(self.command, path, headers, {"": query}, body, remote))
                answered = far.answers.get(f"{self.command} {path}", far.otherwise)
                self.send_response(answered.status)
                for name, value in {**answered.headers, "Content-Length": str(len(answered.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answered.body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815 - the library's names

            def log_message(self, *_: Any) -> None:
                """A test says enough by itself."""

        return Asker
