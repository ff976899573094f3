"""A small set of daemon threads with a name.

`concurrent.futures` joins its threads when the interpreter ends, so one plugin that hangs would
hold up the whole stop; these threads die with the process.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Executor(Protocol):
    """What the hub asks of threads; a simulation runs the work at once instead."""

    size: int

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]: ...
    def close(self) -> None: ...


class Threads:
    """`size` daemon threads, started when first needed."""

    def __init__(self, name: str, size: int) -> None:
        self.name, self.size = name, size
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = (
            queue.SimpleQueue()
        )
        self._lock = threading.Lock()
        self._started = 0
        self._idle = 0

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Run `function` on one of the threads."""
        future: Future[T] = Future()
        with self._lock:
            if self._idle == 0 and self._started < self.size:
                self._started += 1
                threading.Thread(target=self._run, name=f"{self.name}-{self._started}", daemon=True).start()
            else:
                self._idle = max(0, self._idle - 1)
        self._work.put((future, function, args))
        return future

    def _run(self) -> None:
        while True:
            item = self._work.get()
            if item is None:
                return
            future, function, args = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(*args))
                except BaseException as error:  # noqa: BLE001 - the future carries it to whoever asked
                    future.set_exception(error)
            del item, future, function, args
            with self._lock:
                self._idle += 1

    def close(self) -> None:
        """Let idle threads end; those at work are left to the end of the process."""
        with self._lock:
            for _ in range(self._started):
                self._work.put(None)
