"""Each instance's raws are read by a child process of its own: started when first needed, and kept.

A process for each mail would cost more than reading it. So a reader stays; one that took too long,
needed too much or died is ended, the raw it was at is set aside, and a fresh one goes on behind it.
"""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from hub.log import logger
from hub.reading import InProcess, Limits, NoReaderError, Outcome, Tell, Unread
from hub.reading.blueprint import drawn
from hub.reading.coding import JUNK, decode, largest, too_large
from hub.reading.forking import Ended, Zygote
from hub.reading.limits import FILES, NAMESPACE, SOCKETS
from hub.reading.lines import LOGGED, MOST, Lines
from hub.reading.reader import READY
from hub.reading.wire import TooLargeError, Wire
from hub.sdk import Component, Raw

BATCH = 8 * 1024**2
"""Bytes handed to a reader at once, so that a page of large mails fits into its memory."""
GATHER, LAST = 0.001, 3
"""Seconds in which answers gather, but for the last few: to be woken for each costs more than the answer."""
KEPT = 10_000
"""Raws a reader reads before a fresh one takes over: what one mail left in it hurts no more than these."""
BUILDING = 30.0
"""Seconds a component may take to be built in its reader."""
STUCK, FORGOTTEN = 10.0, 180.0
"""Seconds without a reader after which somebody should know, and since the last try after which nobody waits."""


class UnbuildableError(Exception):
    """The component cannot be built without its secrets and the world."""


class Reader:
    """One child process."""

    def __init__(self, zygote: Zygote, component: Component[Any], limits: Limits, lines: Lines) -> None:
        """Raises NoReaderError, UnbuildableError."""
        try:
            blueprint = drawn(component, limits)
        except Exception as error:
            raise UnbuildableError(type(error).__name__) from error
        self._limits, self._zygote, self._lines = limits, zygote, lines
        end, self.pid = zygote.fork()
        self._wire = Wire(end)
        self.count = 0
        try:
            self._wire.send(blueprint, BUILDING)
            answer = self._wire.receive(1000, time.monotonic() + BUILDING)
        except TimeoutError:
            self.end(at_once=True)
            raise UnbuildableError("TimeoutError") from None
        except (OSError, EOFError, TooLargeError):
            ended = self.end()
            if ended.code == -signal.SIGKILL:  # by nobody we know: it may be built the next time
                raise NoReaderError from None
            raise UnbuildableError(_how(ended)) from None
        word, *given_up = answer.decode("utf-8", "replace").split(",")
        if word != READY.decode():
            self.end()
            raise UnbuildableError(word)
        self.given_up = frozenset(given_up)
        """What it could give up beside the limits: words of hub/reading/limits.py, said before it read anything."""

    def read(self, raws: Sequence[Raw]) -> Iterator[Outcome]:
        """One outcome after the other. Raises what `Wire` and `decode` raise, ValueError for too many lines."""
        for batch in _batches(raws):
            self._wire.send(pickle.dumps(batch), self._limits.wall)
            for place, raw in enumerate(batch):
                deadline = time.monotonic() + self._limits.wall
                if 0 < place < len(batch) - LAST and not self._wire.has_some():
                    time.sleep(GATHER)
                yield decode(self._answer(largest(raw), deadline))
                self.count += 1

    def _answer(self, most: int, deadline: float) -> bytes:
        """The next outcome; what the plugin logs before it goes to the log."""
        for _ in range(MOST + 2):
            frame = self._wire.receive(most, deadline)
            if not frame.startswith(LOGGED):
                return frame
            self._lines.take(frame)
        raise ValueError("more lines than a reader sends")

    def end(self, *, at_once: bool = False) -> Ended:
        """End the process, and say how it ended. Raises NoReaderError where nobody knows."""
        self._wire.close()
        return self._zygote.end(self.pid, at_once=at_once)


class Children:
    """Reads in child processes, one for each instance."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.zygote = Zygote()
        self._here = InProcess()
        self._unbuildable: set[str] = set()
        self._readers: dict[str, Reader] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lines: dict[str, Lines] = {}
        self._failing: dict[str, tuple[float, float]] = {}
        """When an instance first and last had no reader, by the monotonic clock."""
        self._weighed = False
        """Whether it was looked at what readers can give up here: it is the same for all."""

    def begin(self, components: Iterable[Component[Any]]) -> None:
        """Start the zygote with what these need; it gets ready while the hub does."""
        self.zygote.modules |= {type(c).__module__ for c in components}
        self.zygote.begin()

    def may_hang(self, component: Component[Any]) -> bool:
        """Only where it is read here, because it could not be built in a child."""
        return component.context.id in self._unbuildable

    def failing(self) -> bool:
        """Whether an instance's raws have waited for a while, because nobody can be started to read them."""
        now = time.monotonic()
        return any(now - first >= STUCK and now - last <= FORGOTTEN for first, last in list(self._failing.values()))

    def read(self, component: Component[Any], raws: Sequence[Raw], tell: Tell) -> None:
        """Read in the instance's child; a raw that it cannot bear is told as unread."""
        name = component.context.id
        with self._locks.setdefault(name, threading.Lock()):
            if name not in self._unbuildable:
                try:
                    return self._read(name, component, raws, tell)
                except NoReaderError:
                    self._fails(name)
                    raise
                except UnbuildableError as error:
                    self._unbuildable.add(name)
                    self._failing.pop(name, None)
                    why = str(error)
            logger(instance=name).warning("its mail is read without a child process: it cannot be built there", why=why)
        return self._here.read(component, raws, tell)

    def _read(self, name: str, component: Component[Any], raws: Sequence[Raw], tell: Tell) -> None:
        done = killed_at = 0
        enough = False
        while done < len(raws) and not enough:
            reader = self._reader(name, component)
            try:
                for outcome in reader.read(raws[done : done + KEPT]):
                    enough = bool(tell(done, outcome))
                    done += 1
                    self._failing.pop(name, None)
                    full = isinstance(outcome, Unread) and outcome.error == "MemoryError"
                    if full or (enough and done < len(raws)):
                        self._drop(name)  # what it holds on to would be missing for the next; or it is at work on more
                        break
            except (TimeoutError, TooLargeError, ValueError) as error:
                self._drop(name)
                enough = bool(tell(done, self._refused(error, raws[done])))
                done += 1
            except (OSError, EOFError):
                self._readers.pop(name, None)
                ended = reader.end()
                if ended.code == -signal.SIGKILL and killed_at != done + 1:
                    killed_at = done + 1  # by somebody outside, or for want of memory: the raw may be innocent
                    continue
                enough = bool(tell(done, self._died(ended)))
                done += 1

    def _fails(self, name: str) -> None:
        now = time.monotonic()
        first, last = self._failing.get(name, (now, now))
        self._failing[name] = (first if now - last <= FORGOTTEN else now, now)

    def _reader(self, name: str, component: Component[Any]) -> Reader:
        known = self._readers.get(name)
        if known is not None and known.count < KEPT:
            return known
        if known is not None:
            self._drop(name)
        lines = self._lines.setdefault(name, Lines(component.context.log))
        self._readers[name] = fresh = Reader(self.zygote, component, self.limits, lines)
        if not self._weighed:
            self._weighed = True
            _weigh(fresh.given_up)
        return fresh

    def _drop(self, name: str) -> None:
        with suppress(NoReaderError, KeyError):
            self._readers.pop(name).end(at_once=True)

    def _refused(self, error: Exception, raw: Raw) -> Unread:
        if isinstance(error, TimeoutError):
            return Unread("TimeoutError", f"it took longer than {self.limits.wall:g} s to read")
        return too_large(raw) if isinstance(error, TooLargeError) else JUNK

    def _died(self, ended: Ended) -> Unread:
        if ended.code == -signal.SIGXCPU:
            return Unread("SIGXCPU", f"it needed more than {self.limits.cpu} s of processor time to read")
        return Unread("Ended", f"the process that read it ended ({_how(ended)})")

    def end(self) -> None:
        """End every reader."""
        self.zygote.stop()
        for lock in list(self._locks.values()):
            lock.acquire(timeout=1.0)  # whoever reads hears that its reader ended, and lets go
        for name in list(self._readers):
            self._drop(name)


def _weigh(given_up: frozenset[str]) -> None:
    """Say where a reader that a mail took over could do more than it should: the mail is read all the same."""
    if not given_up & {NAMESPACE, SOCKETS}:
        logger().warning("readers of what comes in could not give up the network: this system refuses it")
    if FILES not in given_up:
        logger().warning("readers of what comes in can read the hub's files: this system has no Landlock")


def _how(ended: Ended) -> str:
    """The way a process ended, in one word."""
    if ended.ours:
        return "hung up"
    with suppress(ValueError):
        return signal.Signals(-ended.code).name if ended.code < 0 else f"exit {ended.code}"
    return f"signal {-ended.code}"


def _batches(raws: Sequence[Raw]) -> Iterator[list[Raw]]:
    batch: list[Raw] = []
    size = 0
    for raw in raws:
        if batch and size + len(raw.data) > BATCH:
            yield batch
            batch, size = [], 0
        batch.append(raw)
        size += len(raw.data)
    if batch:
        yield batch
