"""How one side of an instance is, and when it is called again: values and decisions, no I/O.

An instance has two sides, because it may stand between two far sides: a mailbox is read over IMAP
and written to over SMTP. Were they judged together, each poll would call a dead SMTP server healthy.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FIRST_RETRY, LONGEST_RETRY = 1.0, 300.0
"""Seconds between tries while a far side is away: doubling, give or take a quarter."""
RED_RETRY = 60.0
"""Seconds after which a red instance is tried once more: a server's own passwords heal too."""
PROBE = timedelta(seconds=60)
"""How long one probe keeps others away: were it lost without an outcome, nobody would ever call again."""

LATELY = timedelta(seconds=5)
"""A far side that answered within this time is there: one failure among answers is that call's own trouble."""
IN_A_ROW = 3
"""Failures without an answer between them after which it is away nevertheless."""

OUTAGE = timedelta(minutes=10)
"""How long a far side is away before somebody is told: a restart or an update over there is over sooner."""

_ORDER = ("green", "amber", "red")


@dataclass(frozen=True, slots=True)
class Health:
    """How a side is: green, amber (away, tried again at `retry_at`) or red (needs someone).

    `probe_until` says that somebody tries just now, in this process or another.
    """

    state: str
    since: datetime
    reason: str = ""
    seen_at: datetime | None = None
    failures: int = 0
    retry_at: datetime | None = None
    probe_until: datetime | None = None

    def waits(self, now: datetime) -> bool:
        """Whether nobody should call now: the circuit is open, or somebody else is trying."""
        if self.retry_at is None:
            return False
        return now < self.retry_at or (self.probe_until is not None and now < self.probe_until)


def good(before: Health, now: datetime) -> Health:
    """The far side answered: the circuit closes."""
    return Health("green", before.since if before.state == "green" else now, seen_at=now)


def bad(before: Health, now: datetime, state: str, reason: str, wait: float | None, rng: random.Random) -> Health:
    """The far side did not answer. `wait` is in seconds; without one it grows with each failure.

    A call that was under way when another one opened the circuit says nothing new: one outage, counted once.
    """
    if before.state == state and before.retry_at is not None and now < before.retry_at and wait is None:
        return before
    there = before.state == "green" and before.seen_at is not None and now - LATELY <= before.seen_at <= now
    if there and state == "amber" and wait is None and before.failures + 1 < IN_A_ROW:
        return replace(before, failures=before.failures + 1)
    failures = before.failures + 1 if before.state == state else 1
    grown = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(failures - 1, 20)) * rng.uniform(0.75, 1.25)
    since = before.since if before.state == state else now
    return Health(state, since, reason, before.seen_at, failures, now + timedelta(seconds=wait or grown))


def outage(side: Health, now: datetime) -> bool:
    """Whether a call has failed just now, as all have done for so long that somebody must know.

    A row alone says little: one mail may have failed hours ago, and nobody has called since, or somebody paused it.
    """
    tried = side.probe_until is None and side.retry_at is not None and side.retry_at > now
    return side.state == "amber" and tried and side.failures >= IN_A_ROW and side.since + OUTAGE <= now


def probing(before: Health, now: datetime) -> Health:
    """Somebody begins to try."""
    return replace(before, probe_until=now + PROBE)


def worst(sides: Iterable[Health]) -> Health:
    """The health of the whole: its sickest side's."""
    return max(sides, key=lambda health: _ORDER.index(health.state))
