"""Who waits for a source of facts holds a planner, and all customers share a few of these.

Of sources that are slow one planner of the process at a time waits for an answer; the others plan without, and what
is missing comes with a later look. One planner always goes on, whatever the rest wait for.
"""

from __future__ import annotations

import threading

QUICK = 0.5
"""Seconds within which a source answers that every planner waits for."""
WAITING = 3
"""Planners that wait at the same time at most: one less than there are (hub/engine)."""


class Slow:
    """Knows which sources are slow: by their last answer, and by one that is awaited too long already. Thread-safe."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._names: set[str] = set()
        self._waits: list[tuple[str, float]] = []
        """Who is waited for, and since when."""

    def enter(self, name: str, now: float) -> bool:
        """Whether to wait for the source `name`; `now` is monotonic. Who was told so says `leave` afterwards."""
        with self._change:
            if self.knows(name, now):
                if any(self.knows(one, now) for one, _ in self._waits):
                    return False
            elif not self._change.wait_for(lambda: len(self._waits) < WAITING, QUICK):
                return False
            self._waits.append((name, now))
            return True

    def leave(self, name: str, since: float, now: float, *, asked: bool) -> None:
        """It has answered, or was given up; where it was not `asked` at all, nothing is known."""
        with self._change:
            self._waits.remove((name, since))
            if asked:
                (self._names.add if now - since > QUICK else self._names.discard)(name)
            self._change.notify()

    def knows(self, name: str, now: float) -> bool:
        """Whether the source is slow."""
        return name in self._names or any(one == name and now - since > QUICK for one, since in self._waits)
