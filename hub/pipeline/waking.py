"""What is pushed wakes its lane, but not with every commit.

Whoever wakes a lane holds its row until the commit is on the disk, so processes that wake one lane with every commit
wait for each other's disk in turn. A lane that this process woke just now has its job; what was written since is
told once more, a moment later. Until that is done the job may have found nothing and gone: such work waits for the
moment, or, where the process died in it, for the next look at what nobody woke (`hub.store.lanes.lost_lanes`).
"""

from __future__ import annotations

from collections.abc import Iterable

from hub.clock import Clock
from hub.store import Store
from hub.store.lanes import Lane, read_lane

MOMENT = 0.2
"""Seconds."""


class Waking:
    """Used by one thread."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._tried: dict[str, float] = {}
        """When each was last woken, or could not be."""
        self._owed: set[str] = set()

    @property
    def owed(self) -> bool:
        """Is some lane still to be woken?"""
        return bool(self._owed)

    def left(self) -> float:
        """Seconds until the first of them may be; 0 when it is time, or nothing is owed."""
        return max(0.0, min((self._due_at(name) for name in self._owed), default=0.0) - self._clock.monotonic())

    def due(self, names: Iterable[str] = ()) -> list[Lane]:
        """The lanes to wake in the transaction that keeps something of these instances."""
        if self._store.waker is None:
            return []
        now = self._clock.monotonic()
        return [read_lane(name) for name in self._owed.union(names) if self._due_at(name) <= now]

    def done(self, names: Iterable[str], lanes: Iterable[Lane]) -> None:
        """It is committed, and these lanes were woken in it; the others are owed from now on."""
        if self._store.waker is not None:
            self._owed.update(names)
            self._count(lanes, woken=True)

    def rest(self, *, all_at_once: bool) -> None:
        """Wake those that are owed and due, or all. Raises what the database raises: they are tried again.

        But not after `all_at_once`: nobody comes again then.
        """
        lanes = [read_lane(name) for name in self._owed] if all_at_once else self.due()
        self._count(lanes, woken=all_at_once)
        if lanes:
            with self._store.write() as connection:
                self._store.wake(connection, lanes)
            self._count(lanes, woken=True)

    def _due_at(self, name: str) -> float:
        return self._tried.get(name, float("-inf")) + MOMENT

    def _count(self, lanes: Iterable[Lane], *, woken: bool) -> None:
        now = self._clock.monotonic()
        for name in (lane.key.partition("/")[2] for lane in lanes):
            self._tried[name] = now
            if woken:
                self._owed.discard(name)
