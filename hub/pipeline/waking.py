"""What is pushed wakes its lane, but not with every commit.

Whoever wakes a lane holds its row until the commit is on the disk, so processes that wake one lane with every commit
wait for each other's disk in turn. A lane that this process woke just now has its job; what was written since is
told once more, a moment later. Until that is done the job may have found nothing and gone: such work waits for the
moment, or, where the process died in it, for `hub.store.lanes.lost_lanes`.
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
        self._woken: dict[str, float] = {}
        self._owed: set[str] = set()

    @property
    def owed(self) -> bool:
        """Is somebody still to be told?"""
        return bool(self._owed)

    def left(self) -> float:
        """Seconds until it is time for that; 0 when it is, or nothing is owed."""
        return max((self._woken[name] + MOMENT - self._clock.monotonic() for name in self._owed), default=0.0)

    def due(self, names: Iterable[str]) -> list[Lane]:
        """The lanes to wake in the transaction that keeps something of these instances."""
        if self._store.waker is None:
            return []
        now = self._clock.monotonic()
        waiting = self._owed.union(names)
        return [read_lane(name) for name in waiting if self._woken.get(name, float("-inf")) + MOMENT <= now]

    def done(self, names: Iterable[str], lanes: Iterable[Lane]) -> None:
        """It is committed, and these lanes were woken in it; the others are owed from now on."""
        if self._store.waker is None:
            return
        self._owed.update(names)
        now = self._clock.monotonic()
        for name in (lane.key.partition("/")[2] for lane in lanes):
            self._woken[name] = now
            self._owed.discard(name)

    def rest(self) -> None:
        """Wake all that are owed. Raises what the database raises; they are owed no more all the same."""
        lanes = [read_lane(name) for name in self._owed]
        self._owed.clear()
        with self._store.write() as connection:
            self._store.wake(connection, lanes)
        self.done((), lanes)
