"""Ticks for what is polled, threads for what is listened to: in every engine the same, where a source is ours."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from hub.engine.sources import Source, sources_of
from hub.pipeline.parts import Parts
from hub.threads import Executor

FIRST = timedelta(seconds=0.3)
"""How long a source that can be listened to is left to its listener before the first poll."""


class Polling:
    """Every source of the configuration. `submit` runs a poll on a thread, unless that one is at work."""

    def __init__(
        self,
        parts: Parts,
        wake: Callable[[], None],
        stop: threading.Event,
        threads: Callable[[str, int], Executor],
        submit: Callable[[Executor, str, Callable[..., None]], None],
    ) -> None:
        self._parts, self._stop, self._submit = parts, stop, submit
        self.sources = sources_of(parts, wake, stop)
        # Threads of ours, not the scheduler's: those are joined when the interpreter ends, and one
        # poll that hangs would hold up the stop. One each: a slow mailbox delays only itself.
        self._threads = {s.key: threads(f"{s.instance.id}-{s.name}", 1) for s in self.sources}
        self._scheduler = BackgroundScheduler(timezone="UTC", executors={"default": ThreadPoolExecutor(1)})

    def start(self) -> None:
        """Begin to tick and to listen."""
        self._scheduler.start()
        for source in self.sources:
            self._tick(source)
            if source.instance.has("Listens"):
                threading.Thread(target=source.listen, name=f"{source.instance.id}-listen", daemon=True).start()

    def soon(self, source: Source) -> None:
        """Poll it now: it has just become ours."""
        source.again(self._parts.now())

    def stop(self) -> None:
        """No more ticks; listeners end by themselves."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _tick(self, source: Source) -> None:
        def poll() -> None:
            source.watch()
            self._submit(self._threads[source.key], f"poll/{source.key}", source.tick)

        source.again = lambda at: self._again(source, poll, at)
        self._scheduler.add_job(
            poll,
            "interval",
            seconds=max(0.2, source.interval),
            next_run_time=self._parts.now() + (FIRST if source.instance.has("Listens") else timedelta()),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def _again(self, source: Source, poll: Callable[[], Any], at: datetime) -> None:
        if not self._stop.is_set():
            job = f"{source.key}/again"
            self._scheduler.add_job(poll, "date", run_date=at, id=job, replace_existing=True, misfire_grace_time=None)
