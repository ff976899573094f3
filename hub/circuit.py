"""How one side of an instance is, and whether to call it now: values and one decision, no I/O.

An instance has two sides, because it may stand between two far sides: a mailbox is read over IMAP
and written to over SMTP. Were they judged together, each poll would call a dead SMTP server healthy.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from hub.clock import Clock

FIRST_RETRY, LONGEST_RETRY = 1.0, 300.0
"""Seconds between tries while a far side is away: doubling, give or take a quarter."""
RED_RETRY = 60.0
"""Seconds after which a red instance is tried once more: a server's own passwords heal too."""
PROBE = timedelta(seconds=60)
"""How long one probe keeps others away: were it lost without an outcome, nobody would ever call again."""

_ORDER = ("green", "amber", "red")


@dataclass(frozen=True, slots=True)
class Health:
    """How an instance is: green, amber (away, tried again at `retry_at`) or red (needs someone)."""

    state: str
    since: datetime
    reason: str = ""
    seen_at: datetime | None = None
    failures: int = 0
    retry_at: datetime | None = None


class Circuit:
    """Open while a far side is away. Its owner holds a lock around it."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock, self._random = clock, rng
        self._probe_ends: datetime | None = None
        self.health = Health("green", clock.now())

    def waits(self) -> bool:
        """Whether nobody should call now; asking takes no probe."""
        now, retry = self._clock.now(), self.health.retry_at
        return retry is not None and (now < retry or (self._probe_ends is not None and now < self._probe_ends))

    def ready(self) -> bool:
        """For somebody who calls now: while the circuit is open, True once per retry (the probe)."""
        if self.waits():
            return False
        if self.health.retry_at is not None:
            self._probe_ends = self._clock.now() + PROBE
        return True

    def give_back(self) -> None:
        """The probe was taken and nobody was called."""
        self._probe_ends = None

    def good(self) -> None:
        """The far side answered."""
        before, now = self.health, self._clock.now()
        self._probe_ends = None
        self.health = Health("green", before.since if before.state == "green" else now, seen_at=now)

    def bad(self, state: str, reason: str, wait: float | None = None) -> None:
        """The far side did not. `wait` is in seconds; without one it grows with each failure."""
        before, now = self.health, self._clock.now()
        if before.state == state and before.retry_at is not None and now < before.retry_at and wait is None:
            return  # this call was under way when another one opened the circuit: one outage, counted once
        self._probe_ends = None
        failures = before.failures + 1 if before.state == state else 1
        grown = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(failures - 1, 20)) * self._random.uniform(0.75, 1.25)
        since = before.since if before.state == state else now
        retry = now + timedelta(seconds=wait or grown)
        self.health = Health(state, since, reason, before.seen_at, failures, retry)


def worst(sides: list[Health]) -> Health:
    """The health of the whole: its sickest side's."""
    return max(sides, key=lambda health: _ORDER.index(health.state))
