"""Questions to CRMs and shops, asked on threads of their own: who plans a case waits a moment, then goes on without.

What an answer brings is kept by the thread that asked, whoever still waits for it; the case's late look finds it
there. So a slow source delays the facts that it knows, and nobody's case.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum

from hub.clock import Clock
from hub.instances import Instance
from hub.threads import Executor

WAIT = 2.0
"""Seconds a case waits for facts, so that it opens at the desk with them; later ones come with a late look."""
MOMENT = 0.1
"""Seconds that whoever plans may wait; longer, only `PATIENT` of them at a time."""
PATIENT = 2
"""Half of a process's planners: the others go on, however many new customers a source is asked about."""
AHEAD = 4
"""Questions that wait in memory, for each thread that asks: the rows know of all the others."""
KEPT = 60.0
"""Seconds for which an outcome that nobody waited for is remembered. What was learned stands in the rows."""
_ASKS = frozenset({"KnowsCustomers", "KnowsOrders"})


class Facts(IntEnum):
    """What became of the questions about a message; of several, the largest counts."""

    HERE = 0
    COMING = 1
    """Asked, and the answer is not there yet."""
    QUEUED = 2
    """Not asked yet: others are before it."""
    AWAY = 3
    """The source does not answer, or not now."""


class _Source:
    """The questions to one instance. Thread-safe."""

    def __init__(self, instance: Instance, threads: Callable[[str, int], Executor], clock: Clock) -> None:
        # One that is owed things as well keeps a thread for them.
        spare = 1 if instance.abilities - _ASKS else 0
        self._threads = threads(f"{instance.id}-ask", max(1, instance.options.threads - spare))
        self._clock = clock
        self._lock = threading.RLock()  # what is asked may be answered before `submit` returns
        self._under_way: dict[str, Future[bool]] = {}
        self._ended: dict[str, tuple[float, Future[bool]]] = {}
        """Outcomes nobody has taken, the oldest first, and when they came."""
        self._takes = 0.0
        """Seconds that an answer took last, as far as known."""

    def ask(self, what: str, question: Callable[[], bool]) -> tuple[Future[bool], bool] | None:
        """The answer to come, and whether it is expected soon; None where too many wait already.

        The same question is under way once, whoever asks.
        """
        with self._lock:
            self._forget()
            rounds = len(self._under_way) // self._threads.size
            soon = self._takes * (1 + rounds) <= WAIT
            if (known := self._under_way.get(what)) is not None:
                return known, soon
            if what in self._ended and (ended := self._ended.pop(what)[1]).exception() is None:
                return ended, soon
            if rounds > AHEAD:
                return None
            future = self._threads.submit(self._measured, question)
            self._under_way[what] = future
        future.add_done_callback(lambda _: self._keep(what, future))
        return future, soon

    def take(self, what: str, future: Future[bool]) -> bool:
        """The outcome, which need not be remembered any longer. Raises what the question raised."""
        with self._lock:
            if self._under_way.get(what) is future:
                del self._under_way[what]
            if self._ended.get(what, (0.0, None))[1] is future:
                del self._ended[what]
        return future.result()

    def _keep(self, what: str, future: Future[bool]) -> None:
        with self._lock:
            if self._under_way.get(what) is future:
                del self._under_way[what]
                self._ended[what] = self._clock.monotonic(), future

    def _forget(self) -> None:
        now = self._clock.monotonic()
        while self._ended and now > next(iter(self._ended.values()))[0] + KEPT:
            del self._ended[next(iter(self._ended))]

    def too_slow(self) -> None:
        """Somebody waited in vain: nobody else does until an answer came quickly again."""
        with self._lock:
            self._takes = math.inf

    def _measured(self, question: Callable[[], bool]) -> bool:
        begun = self._clock.monotonic()
        answered = question()
        took = self._clock.monotonic() - begun
        # That it is away is said quickly, and says nothing about its next answer.
        self._takes = took if answered else max(took, self._takes)
        return answered


class Lookups:
    """Asks the sources of one process."""

    def __init__(self, threads: Callable[[str, int], Executor], clock: Clock) -> None:
        self._threads, self._clock = threads, clock
        self._lock = threading.Lock()
        self._sources: dict[str, _Source] = {}
        self._patient = threading.BoundedSemaphore(PATIENT)

    def look(self, instance: Instance, what: str, question: Callable[[], bool]) -> Facts:
        """Ask, and wait for the answer where it is likely to come soon. Raises what `question` raises.

        `question` keeps what it learns, and says whether the source answered; `what` is the same for the same question.
        """
        if instance.waits():
            return Facts.AWAY
        source = self._source(instance)
        asked = source.ask(what, question)
        if asked is None:
            return Facts.QUEUED
        future, soon = asked
        if not future.done() and not (soon and self._came(source, future)):
            return Facts.COMING
        return Facts.HERE if source.take(what, future) else Facts.AWAY

    def _source(self, instance: Instance) -> _Source:
        with self._lock:
            if instance.id not in self._sources:
                self._sources[instance.id] = _Source(instance, self._threads, self._clock)
            return self._sources[instance.id]

    def _came(self, source: _Source, future: Future[bool]) -> bool:
        """Whether the answer came while we waited as long as we may."""
        if _done(future, MOMENT):
            return True
        if not self._patient.acquire(blocking=False):
            return False
        try:
            came = _done(future, WAIT - MOMENT)
        finally:
            self._patient.release()
        if not came:
            source.too_slow()
        return came


def _done(future: Future[bool], seconds: float) -> bool:
    """Whether it ended within so many seconds, however it ended."""
    try:
        future.exception(seconds)
    except TimeoutError:
        return future.done()
    return True
