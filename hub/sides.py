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
from hub.store import ILL, Store
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
        self._unwritten: set[str] = set()
        """Sides whose change the database refused: written at the next call."""

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
        told = now < self._told_at + SEEN_EVERY and side not in self._unwritten
        known = self._known[side]
        if known.state == "green" and not known.failures and told:
            self._known[side] = good(known, now)
        else:
            self._told_at = now
            self._changed(side, good)
        return before, self.whole()

    def bad(self, side: str, state: str, reason: str, wait: float | None) -> tuple[Health, Health, bool]:
        """It did not; returns the whole before and after, and whether this side's trouble is new."""
        before, own = self.whole(), self._known[side]
        # When it last answered is written down only now and then; we may know better.
        self._changed(side, lambda row, now: bad(newest(row, own), now, state, reason, wait, self._random))
        after = self._known[side]
        return before, self.whole(), after.state == state and (own.state, own.reason) != (state, reason)

    def adopt(self, rows: Mapping[str, Health]) -> None:
        """What other processes found out. Ours is as new where it was changed since the rows were read."""
        with self._lock:
            for side, row in rows.items():
                if side != MAKE and side not in self._unwritten:
                    self._known[side] = newest(row, self._known[side])

    def _changed(self, side: str, change: Callable[[Health, datetime], Health]) -> Health | None:
        """The row after `change`; None where it stands as it was."""
        with self._lock:
            try:
                with self._store.write() as connection:
                    row = load_side(connection, self._name, side, self._known[side])
                    # What could not be written is newer than the row.
                    row = self._known[side] if side in self._unwritten else row
                    after = change(row, self._clock.now())
                    if after != row or side in self._unwritten:
                        save_side(connection, self._name, side, after, self._clock.now())
            except ILL:  # the answer that a call brought is worth more than this row
                self._unwritten.add(side)
                row = self._known[side]
                after = change(row, self._clock.now())
            else:
                self._unwritten.discard(side)
            self._known[side] = after
            return after if after != row else None


def newest(row: Health, known: Health) -> Health:
    """`row`, seen when either saw it last."""
    seen = max((at for at in (row.seen_at, known.seen_at) if at is not None), default=None)
    return replace(row, seen_at=seen)
