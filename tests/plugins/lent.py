"""What the hub lends a component, in memory, for these tests."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from hub.sdk import Context


class Clock:
    """A time that only moves when told."""

    def __init__(self, at: datetime | None = None) -> None:
        self.at = at or datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class State:
    """`context.state` without a database."""

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


class Log:
    """Keeps what was logged: (level, event, facts)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda event, **facts: self.lines.append((level, event, facts))

    def of(self, level: str) -> list[str]:
        return [event for at, event, _ in self.lines if at == level]


def lend(**changes: Any) -> Context:
    """A context; name what should differ."""
    values: dict[str, Any] = {
        "id": "test",
        "log": Log(),
        "http": requests.Session(),
        "state": State(),
        "stop": threading.Event(),
        "now": Clock(),
        "random": random.Random(7),
        "address": "https://hub.example/in/test",
        "hub": {"name": "Maison Tresse", "country": "FR", "languages": "fr,en"},
    }
    return Context(**(values | changes))
