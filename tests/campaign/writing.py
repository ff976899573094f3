"""What customers write: threads of a few messages, several threads for each customer."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import count
from typing import Any


class Writers:
    """Makes messages. `prefix` keeps the marks of two writers apart; `further` is the share that goes on in a thread."""

    def __init__(self, dice: random.Random, prefix: str = "m", customers: int = 50, further: float = 0.6) -> None:
        self._further = further
        self._dice, self._prefix, self._customers = dice, prefix, customers
        self._numbers = count(1)
        self._open: list[list[dict[str, Any]]] = []

    def some(self, how_many: int) -> list[dict[str, Any]]:
        """The next messages: new threads, and further words in those of a moment ago."""
        return [self._one() for _ in range(how_many)]

    def portions(self, messages: int, parts: int) -> Iterator[list[dict[str, Any]]]:
        """So many messages in so many portions."""
        for n in range(parts):
            yield self.some(messages * (n + 1) // parts - messages * n // parts)

    def _one(self) -> dict[str, Any]:
        mark = f"{self._prefix}{next(self._numbers):06}"
        if self._open and self._dice.random() < self._further:
            thread = self._dice.choice(self._open[-20:])
            if len(thread) < 5:
                return self._said(mark, thread)
        self._open.append([])
        return self._said(mark, self._open[-1])

    def _said(self, mark: str, thread: list[dict[str, Any]]) -> dict[str, Any]:
        sender = thread[0]["from"] if thread else self._somebody()
        refs = [one["mark"] for one in thread]
        said = {"mark": mark, "thread": refs[0] if refs else mark, "from": sender, "refs": refs, "at": time.time()}
        thread.append(said)
        return said

    def _somebody(self) -> str:
        return f"{self._prefix}-customer{self._dice.randrange(self._customers)}@customer.example"
