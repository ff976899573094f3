"""Where things come from: polled by ticks, or listened to on a thread of their own, never both at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa

from hub.instances import Instance
from hub.pipeline.parts import Parts
from hub.pipeline.receive import Overtaken, read_cursor, receive
from hub.sdk import Listens, Page, Polls, ReportsChanges, Unavailable
from hub.sides import IN

QUIET = timedelta(seconds=60)
"""A listener that gave no sign of life for so long is not trusted: polling takes over. A poll is told to be stuck."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One poll, or one listener's time."""

    number: int
    epoch: int | None
    """Of the lease that it began under; None where this process is the only one."""


class Source:
    """One cursor of one instance: ``poll`` (a channel's mails) or ``changes`` (a desk's)."""

    def __init__(
        self, parts: Parts, instance: Instance, name: str, wake: Callable[[], None], stop: threading.Event
    ) -> None:
        self.parts, self.instance, self.name = parts, instance, name
        self._wake, self._stop = wake, stop
        self._lock = threading.Lock()
        self._at_work = False
        self._turns = 0
        """Which turn it is: a poll or a listener of an earlier one has lost its say."""
        self._alive_at: datetime | None = None
        """When the listener at work last spoke; None where none is at work."""
        self._moved_at = parts.now()
        """When a turn began or last brought a page."""
        self._stuck = 0
        """The turn that was told to be stuck."""
        self._cursor: Mapping[str, Any] = {}
        self.again: Callable[[datetime], None] = lambda _at: None
        """Called with the time of the next try after a failure (set by the engine)."""
        self.mine = True
        """Whether this process may read the source: it is the only one, or holds the lease (set by the engine)."""
        self.epoch: int | None = None
        """The epoch of that lease."""

    @property
    def key(self) -> str:
        """A name for this source that no other one has."""
        return f"{self.instance.id}/{self.name}"

    @property
    def interval(self) -> float:
        """Seconds between polls."""
        return float(cast("Polls | ReportsChanges", self.instance.component).interval)

    def tick(self) -> None:
        """Poll once, unless a poll or a living listener is at work."""
        if self._listening() or (turn := self._begin()) is None:
            return
        try:
            if self.instance.ready(IN):
                self._take(turn, listening=False)
        finally:
            self._end(turn)

    def watch(self) -> None:
        """Called at every interval: a poll that does not return is told once, while it hangs."""
        quiet = max(QUIET, timedelta(seconds=self.instance.options.timeout or 0))
        with self._lock:
            polling = self._at_work and self._alive_at is None and self._stuck != self._turns
            if not polling or self._moved_at > self.parts.now() - quiet:
                return
            self._stuck = self._turns
        self.instance.failed(Unavailable(f"no answer within {quiet.total_seconds():g} s"), IN)

    def listen(self) -> None:
        """Listen until the hub stops; where the far side cannot be listened to, leave it to the ticks."""
        while not self._stop.is_set():
            if (turn := self._begin()) is not None:
                self._alive_at = self.parts.now()
                try:
                    if self.instance.ready(IN) and self._take(turn, listening=True) and not self._stop.is_set():
                        self.instance.log.info("cannot listen here; polling", every_seconds=self.interval)
                        return
                finally:
                    if self._end(turn):
                        self._alive_at = None
            self.parts.clock.wait(self._stop, self._until_retry())

    # -- turns: one at a time, and one that hangs is passed over ---------------------------------

    def _begin(self) -> Turn | None:
        """Take the turn. A listener that fell silent loses it: what it still brings is left lying over there."""
        with self._lock:
            if not self.mine or (self._at_work and not (self._alive_at is not None and not self._listening())):
                return None
            self._at_work, self._alive_at, self._moved_at = True, None, self.parts.now()
            self._turns += 1
            return Turn(self._turns, self.epoch)

    def leave(self) -> None:
        """The lease went to another process: what is still under way here has lost its say."""
        with self._lock:
            self.mine, self.epoch = False, None
            self._turns += 1
            self._at_work, self._alive_at = False, None

    def _end(self, turn: Turn) -> bool:
        with self._lock:
            if self._turns != turn.number:
                return False
            self._at_work = False
            return True

    def _pages(self, *, listening: bool) -> Iterator[Page]:
        component = self.instance.component
        cursor = read_cursor(self.parts.store, self.instance.id, self.name)
        self._cursor = cursor
        if self.name == "changes":
            return cast("ReportsChanges", component).changes(cursor)
        return cast("Listens", component).listen(cursor) if listening else cast("Polls", component).poll(cursor)

    def _take(self, turn: Turn, *, listening: bool) -> bool:
        """Keep page after page; asking for the next one tells the source that the last is stored."""
        if not self._room():
            return False
        try:
            if not self._each(turn, listening=listening):
                self.instance.give_back(IN)  # it may have been the probe, and found out nothing
                return False
        except Overtaken:
            self.instance.give_back(IN)
            self.instance.log.info("another process reads this source now; a page was left to it", source=self.name)
            return False
        except sa.exc.SQLAlchemyError as error:
            # Our own database is ill: the source is not to blame, and keeps what we could not.
            self.instance.give_back(IN)
            self.parts.troubles.ill(self.key, error)
            self.again(self.parts.now() + timedelta(seconds=5))
            return False
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the four words and bugs alike become the instance's health
            if self._turns != turn.number:
                self.instance.give_back(IN)  # no say any more, and so no outcome that would end a probe
                return False
            self.instance.failed(error, IN)
            self.again(self.parts.now() + timedelta(seconds=self._until_retry()))
            return False
        self.instance.succeeded(IN)
        return True

    def _each(self, turn: Turn, *, listening: bool) -> bool:
        """Page by page; False when this turn has no say any more, or there is no room."""
        for page in self._pages(listening=listening):
            if self._turns != turn.number:
                return False  # another one went on from where the cursor stands
            if not self._room():
                return False  # not kept: the cursor stays, and so does the mail
            new = self._keep(page, turn.epoch)
            self._moved_at = self.parts.now()
            if listening:
                self._alive_at = self._moved_at
            self.instance.succeeded(IN)
            if new:
                self._wake()
            if self._stop.is_set():
                break
        return True

    def _room(self) -> bool:
        """Whether the disk bears more. The far side is not to blame where it does not."""
        if self.parts.room.left():
            return True
        self.instance.give_back(IN)
        return False

    def _keep(self, page: Page, epoch: int | None) -> int:
        """Keep a page. One that brings nothing new is only a sign of life, and costs no write.

        Under the `epoch` that its turn began with: raises Overtaken where the lease has gone on since.
        """
        if not page.raws and page.cursor == self._cursor:
            return 0
        parts = self.parts
        new = receive(parts.store, self.instance.id, page, parts.now(), self.name, flow=parts.flow, epoch=epoch)
        parts.troubles.well(self.key)
        self._cursor = page.cursor
        return new

    def _listening(self) -> bool:
        alive = self._alive_at
        return alive is not None and alive > self.parts.now() - QUIET

    def _until_retry(self) -> float:
        retry = self.instance.retry_at(IN)
        return max(0.2, (retry - self.parts.now()).total_seconds() + 0.05) if retry else 5.0


def sources_of(parts: Parts, wake: Callable[[], None], stop: threading.Event) -> list[Source]:
    """Every source of the configuration."""
    found = []
    for instance in parts.instances.values():
        if instance.has("Polls") or instance.has("Listens"):
            found.append(Source(parts, instance, "poll", wake, stop))
        if instance.has("ReportsChanges"):
            found.append(Source(parts, instance, "changes", wake, stop))
    return found
