"""What is pushed is kept together: one writer, one durable transaction for all who wait.

A commit that waits for the disk takes as long for one row as for a hundred, and there is one
writer. So pushes queue here; the writer takes all that wait, commits, and lets their senders go.
While it commits, the next ones gather: the busier, the cheaper. A reply leaves after the commit.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from hub.clock import Clock
from hub.flow import Flow
from hub.log import logger
from hub.pipeline.keeping import keep
from hub.pipeline.troubles import Troubles
from hub.pipeline.waking import Waking
from hub.sdk import Raw
from hub.store import ILL, Store
from hub.store.lanes import read_lane
from hub.threads import Executor

PATIENCE = 5.0
"""Seconds a push may wait for its turn."""
COMMIT = 40.0
"""Seconds more where its commit is under way: longer than SQLite waits for another process's lock."""
MOST, HEAVIEST = 1000, 128 * 1024 * 1024
"""Pushes, and their bytes, that wait at the same time; more are asked to come again."""
PAGE, PAGE_BYTES = 500, 16 * 1024 * 1024
"""What shares a transaction at most: the engine waits for the writer meanwhile."""
PRESSING = 4
"""So many pushes in one commit mean that senders queue."""
BREATH = 0.5
"""Seconds since such a commit after which nobody queues any more."""
SHARE = 9
"""While senders queue, the engine rests so many times as long as it worked ..."""
LONGEST_REST = 2.0
"""... but never longer than this, in seconds."""

_ILL = (*ILL, sa.exc.InternalError, OSError)
"""The database's trouble, not one page's."""


class NotKept(Exception):
    """It is not in the database, or nobody knows: the sender must come again."""


@dataclass(eq=False)
class Push:
    """One sender's raws, and whether they are safe."""

    instance: str
    raws: Sequence[Raw]
    done: threading.Event = field(default_factory=threading.Event)
    taken: bool = False
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self.size = sum(len(one.data) for one in self.raws)


class GroupCommit:
    """The one place where pushes are kept. `writer` has one thread; with one that works at once, so does this."""

    def __init__(self, store: Store, clock: Clock, writer: Executor, flow: Flow, troubles: Troubles) -> None:
        self._store, self._clock, self._writer, self._flow = store, clock, writer, flow
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[Push] = deque()
        self._bytes = 0
        self._at_work = self._closed = False
        self._troubles = troubles
        self._waking = Waking(store, clock)
        self._pressed_at = self._rest_until = float("-inf")

    def keep(self, instance: str, raws: Sequence[Raw]) -> None:
        """Return once the raws are on the disk. Raises NotKept."""
        push = Push(instance, raws)
        with self._lock:
            full = len(self._waiting) >= MOST or (self._waiting and self._bytes + push.size > HEAVIEST)
            if self._closed or full:
                raise NotKept("the hub stops" if self._closed else "too many wait already")
            self._waiting.append(push)
            self._bytes += push.size
            begin, self._at_work = not self._at_work, True
            self._changed.notify_all()
        if begin:
            self._writer.submit(self._drain)
        if not push.done.wait(PATIENCE) and (self._withdraw(push) or not push.done.wait(COMMIT)):
            raise NotKept("it waited too long")
        if push.error is not None:
            raise NotKept(type(push.error).__name__) from push.error

    def _withdraw(self, push: Push) -> bool:
        """Take it back; False where it is being committed, and may already be safe."""
        with self._lock:
            if push.taken:
                return False
            self._waiting.remove(push)
            self._bytes -= push.size
            return True

    def close(self, seconds: float) -> None:
        """Take no more, and let those who wait be kept."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._at_work, seconds)
        self._writer.close()

    # -- the engine gives way ------------------------------------------------------------------

    def give_way(self, worked: float, stop: threading.Event) -> None:
        """Rest after `worked` seconds of work while senders queue: all threads share one interpreter.

        What was received can be read a little later; a sender that waits too long sends again. The
        rest is everybody's: five threads that rest by themselves would work half of the time.
        """
        with self._lock:
            now = self._clock.monotonic()
            self._rest_until = min(max(self._rest_until, now) + worked * SHARE, now + LONGEST_REST)
        while self._pressed() and (left := self._rest_until - self._clock.monotonic()) > 0:
            if self._clock.wait(stop, min(left, BREATH / 5)):
                return

    def _pressed(self) -> bool:
        return self._clock.monotonic() - self._pressed_at < BREATH

    # -- the writer ----------------------------------------------------------------------------

    def _drain(self) -> None:
        while (batch := self._next()) or self._waking.owed:
            try:
                if batch:
                    self._keep(batch)
                else:
                    self._waking.rest(all_at_once=self._closed)
            except BaseException as error:  # noqa: BLE001 - nobody may wait for a writer that is gone
                self._blame(batch, error)
            for push in batch:
                push.done.set()

    def _next(self) -> list[Push]:
        """The next ones to be kept together; nobody: the writer rests, once it owes nothing."""
        with self._changed:
            # In real seconds, whatever the clock: only an engine of several processes has lanes that are owed.
            if (left := self._waking.left()) > 0:
                self._changed.wait_for(lambda: self._waiting or self._closed, left)
            batch: list[Push] = []
            size = 0
            while self._waiting and len(batch) < PAGE and (not batch or size + self._waiting[0].size <= PAGE_BYTES):
                push = self._waiting.popleft()
                push.taken = True
                size += push.size
                batch.append(push)
            self._bytes -= size
            if len(batch) >= PRESSING:
                self._pressed_at = self._clock.monotonic()
            self._at_work = bool(batch) or self._waking.owed
            if not self._at_work:
                self._changed.notify_all()
            return batch

    def _keep(self, batch: Sequence[Push]) -> None:
        """All in one transaction; where that fails for a page's sake, each for itself in one transaction.

        Their lanes are woken in it as well, or a moment later (`Waking`).
        """
        names = {push.instance for push in batch}
        lanes = self._waking.due(names)
        try:
            with self._store.write(durable=True, single=not lanes) as connection:
                pushes = [(push.instance, push.raws) for push in batch]
                keep(connection, pushes, self._clock.now(), self._flow)
                self._store.wake(connection, lanes)
            self._waking.done(names, lanes)
        except _ILL:
            raise
        except Exception as error:  # noqa: BLE001 - found below, and told to its own sender alone
            logger().warning("pushes failed together, going one by one", error=type(error).__name__, pushes=len(batch))
            self._one_by_one(batch)
        self._troubles.well("pushes")

    def _one_by_one(self, batch: Sequence[Push]) -> None:
        with self._store.write(durable=True) as connection:
            for push in batch:
                try:
                    with connection.begin_nested():
                        keep(connection, [(push.instance, push.raws)], self._clock.now(), self._flow)
                except _ILL:
                    raise
                except Exception as error:  # noqa: BLE001 - this sender alone is asked to come again
                    push.error = error
                    logger(instance=push.instance).error("could not keep a push", error=type(error).__name__)
            self._store.wake(connection, [read_lane(push.instance) for push in batch])

    def _blame(self, batch: Sequence[Push], error: BaseException) -> None:
        """Nothing of the batch was committed, as far as anybody knows: tell every sender, and the log once."""
        for push in batch:
            push.error = error
        self._troubles.ill("pushes", error)
