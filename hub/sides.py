"""The circuits of one instance: what its calls ran into, remembered here and in rows that all processes share.

A healthy far side costs no row. Each change is made from the row as it stands, in one short transaction,
so that two workers who see the same outage count it once, and one probe is one.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from hub.circuit import Health, bad, good, probing, worst
from hub.clock import Clock
from hub.store import Store
from hub.store.sides import MAKE, load_side, save_side

IN, OUT = "in", "out"
"""The sides of an instance: what it brings in by itself, and what it is asked."""
SEEN_EVERY = timedelta(seconds=60)
"""How often a healthy far side's last answer is written down for the pages."""


class Sides:
    """How each side of an instance is. Its own lock makes it safe for the instance's threads."""

    def __init__(self, name: str, store: Store, clock: Clock, rng: random.Random) -> None:
        self._name, self._store, self._clock, self._random = name, store, clock, rng
        self._lock = threading.Lock()
        self._known = {side: Health("green", clock.now()) for side in (IN, OUT)}
        self._told_at = clock.now()

    def __getitem__(self, side: str) -> Health:
        return self._known[side]

    def whole(self) -> Health:
        """As its sickest side."""
        return worst(self._known.values())

    def waits(self, side: str) -> bool:
        """Whether a call makes no sense now; asking takes no probe."""
        return self._known[side].waits(self._clock.now())

    def ready(self, side: str) -> bool:
        """For somebody who calls now: while the circuit is open, True once per retry (the probe), for all processes."""
        if self._known[side].retry_at is None:
            return True
        if self.waits(side):
            return False
        return self._changed(side, lambda row, now: row if row.waits(now) else probing(row, now)) is not None

    def give_back(self, side: str) -> None:
        """The probe was taken and nobody was called: somebody else may."""
        if self._known[side].probe_until is not None:
            self._changed(side, lambda row, _now: replace(row, probe_until=None))

    def good(self, side: str) -> tuple[Health, Health]:
        """The far side answered; returns the whole before and after."""
        before, now = self.whole(), self._clock.now()
        if self._known[side].state == "green" and now < self._told_at + SEEN_EVERY:
            self._known[side] = good(self._known[side], now)
        else:
            self._told_at = now
            self._changed(side, good)
        return before, self.whole()

    def bad(self, side: str, state: str, reason: str, wait: float | None) -> tuple[Health, Health, bool]:
        """It did not; returns the whole before and after, and whether this side's trouble is new."""
        before, own = self.whole(), self._known[side]
        self._changed(side, lambda row, now: bad(row, now, state, reason, wait, self._random))
        return before, self.whole(), (own.state, own.reason) != (state, reason)

    def adopt(self, rows: Mapping[str, Health]) -> None:
        """What other processes found out. Ours is as new where it was changed since the rows were read."""
        with self._lock:
            for side, row in rows.items():
                if side != MAKE:
                    seen = self._known[side].seen_at
                    newest = max(row.seen_at, seen) if row.seen_at and seen else row.seen_at or seen
                    self._known[side] = replace(row, seen_at=newest)

    def _changed(self, side: str, change: Callable[[Health, datetime], Health]) -> Health | None:
        """The row after `change`; None where it stands as it was."""
        with self._lock, self._store.write() as connection:
            row = load_side(connection, self._name, side, self._known[side])
            after = change(row, self._clock.now())
            self._known[side] = after
            if after == row:
                return None
            save_side(connection, self._name, side, after)
            return after
