"""Whose turn it is: one sender's flood waits behind everybody else, and only while somebody else waits.

Each message gets a turn, a time. A sender's first messages have their turn at once; each one more within a
while has it a little later than the one before (a leaky bucket, as GCRA of ITU-T I.371 counts it). What is
due is taken in the order of turns, so ten thousand mails of one sender pass at full speed through an idle
hub, and step aside for anybody else's.

Kept in memory: a mailbox is read by one process, and after a restart a flood only counts anew. What must outlive
that is the order of one sender's words, so each of a flood bears the sender's number until it is read.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from datetime import datetime, timedelta

FREE = 20
"""Messages of one sender that have their turn at once."""
STEP = timedelta(seconds=2)
"""How much later each further one has its turn; after so long a quiet sender has one free again."""
SENDERS = 20_000
"""How many senders are remembered; the one that wrote longest ago is forgotten first."""
CALM = timedelta(seconds=10)
"""So long after anybody's message in its turn was worked on, a flood has the hub to itself."""


def number_of(sender: str) -> int:
    """A number for a sender, the same in every process; 0 for none. Two senders that share one are read in order."""
    return (zlib.crc32(sender.encode()) & 0x7FFFFFFF) or 1 if sender else 0


class Flow:
    """Counts senders. Used by one thread of a source at a time; a race costs a sender one place."""

    def __init__(self) -> None:
        self._next: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    def turn(self, instance: str, sender: str, now: datetime) -> datetime:
        """When this sender's next message has its turn; without a sender, at once."""
        if not sender:
            return now
        key = (instance, sender)
        at = max(now, self._next.pop(key, now))
        self._next[key] = at + STEP
        if len(self._next) > SENDERS:
            self._next.popitem(last=False)
        return max(now, at - FREE * STEP)


class Crowd:
    """Whether others than a flood were here just now: then it takes one thread, else all there is.

    To be first in line is not enough. Who comes in then meets every thread at work on the flood, and all of
    them share one processor.
    """

    def __init__(self) -> None:
        self._seen: datetime | None = None

    def came(self, now: datetime) -> None:
        """Somebody's message, in its turn."""
        self._seen = now

    def here(self, now: datetime) -> bool:
        """Was there one lately?"""
        return self._seen is not None and self._seen <= now < self._seen + CALM
