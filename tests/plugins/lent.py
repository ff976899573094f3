"""The context these tests lend, made of the fakes of hub.testing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hub.sdk import Component, Context
from hub.testing import FakeClock, KeptLog, fake_context

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def lend(**changes: Any) -> Context:
    """A context; name what should differ."""
    given: dict[str, Any] = {
        "now": FakeClock(NOON),
        "address": "https://hub.example/in/test",
        "hub": {"name": "Maison Tresse", "country": "FR", "languages": "fr,en"},
    }
    return fake_context(Path(), changes.pop("id", "test"), **(given | changes))


def clock(component: Component[Any]) -> FakeClock:
    """The clock lent to it."""
    assert isinstance(component.context.now, FakeClock)
    return component.context.now


def logged(component: Component[Any], level: str) -> list[str]:
    """What it logged at `level`."""
    assert isinstance(component.context.log, KeptLog)
    return [event for at, event, _ in component.context.log.lines if at == level]
