"""What goes wrong at the far sides, and for how long."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

SIDES = ("support", "contact", "box", "desk", "helpdesk", "files", "words", "door")
KINDS = {
    "down": ("down",),
    "flaky": ("down", "down", "lost", "lost", "hang", "rejected", "bug"),
    "lossy": ("lost",),
    "slow": ("hang",),
    "refusing": ("rejected",),
    "buggy": ("bug",),
    "nonsense": ("garbage",),
    "locked": ("auth",),
}
RATE = {"down": 1.0, "locked": 1.0, "flaky": 0.2, "lossy": 0.5, "slow": 0.3}
"""How often a call meets the mood; 0.35 where nothing is said."""


@dataclass(frozen=True)
class Mood:
    """One trouble of one far side."""

    kind: str
    until: float


class Moods:
    """Who is in which mood. Everybody is well until somebody is told otherwise."""

    def __init__(self, dice: random.Random, now: Callable[[], float]) -> None:
        self._dice, self._now = dice, now
        self._moods: dict[str, Mood] = {}
        self.base = 0.0
        """How often any call fails without a mood."""

    def set(self, side: str, kind: str, seconds: float) -> None:
        """From now on, for a while."""
        self._moods[side] = Mood(kind, self._now() + seconds)

    def heal(self) -> None:
        """Everybody is well, for good."""
        self._moods, self.base = {}, 0.0

    def of(self, side: str, *, writes: bool) -> str:
        """What happens to this call; empty: nothing bad."""
        mood = self._moods.get(side)
        if mood is not None and mood.until > self._now():
            if self._dice.random() < RATE.get(mood.kind, 0.35):
                return self._dice.choice(KINDS[mood.kind])
        elif self.base and self._dice.random() < self.base:
            return self._dice.choice(KINDS["flaky"])
        return ""
