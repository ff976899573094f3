"""The distributed engine: any number of workers on any number of hosts, PostgreSQL between them.

Procrastinate brings woken lanes to some worker; each instance has a queue of its own and as many
jobs at a time as it has threads. Beside it a thread of each worker tends what must never depend on
a job: lanes that are due, lost or stalled, leases, circuits that others opened, pauses.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import psycopg
import sqlalchemy as sa
from procrastinate import App
from procrastinate.exceptions import ConnectorException
from procrastinate.worker import Worker

from hub.engine.draining import Draining
from hub.engine.jobs import WAIT, WINDOW, Jobs, drop_jobs, free_left_lane, lost, open_app
from hub.engine.owning import Owning
from hub.engine.polling import Polling
from hub.engine.rescue import Rescue
from hub.engine.telling import Telling
from hub.log import logger
from hub.pipeline.gone import Gone
from hub.pipeline.parts import Parts
from hub.pipeline.read import tell_readers
from hub.pipeline.suggest import Answers
from hub.store.base import from_ms
from hub.store.lanes import PLANNING, READING, take_due
from hub.store.sides import Said, all_said, all_sides
from hub.threads import Executor

LOOK = 1.0
"""Seconds between two looks at what is due, and between two questions for jobs nobody told of."""
READERS, PLANNERS = 4, 4
"""Channels read at the same time, and cases planned, in one worker."""
HEARTBEAT, STALLED = 3.0, 12.0
"""Seconds between signs of life of a worker, and without one after which its jobs go to others."""
LOST = 10.0
"""Seconds between two looks for lanes without a job."""
FEW, LITTLE = 2, 4
"""Due lanes woken at a look where the far side was away and may be so still, and of a flood while others are about
(hub/flow.py). Else as many as its queue has room for."""
GRACE = 3.0
"""Seconds that calls under way have to end when the worker stops."""
PAUSE = 1.0
"""Seconds without work after the database failed."""
DEAF = 30.0
"""Seconds without a look at the rows after which a worker calls itself ill."""
AWAY = (ConnectorException, psycopg.OperationalError)
"""What Procrastinate raises when the database does not answer; its pool's own words come as they are."""
SKEW = 2.0
"""Seconds by which a host's clock may differ from the database's before it is told."""


class Distributed:
    """One worker process: Procrastinate's workers in an event loop, and the thread that tends."""

    def __init__(
        self, parts: Parts, answers: Answers, stop: threading.Event, threads: Callable[[str, int], Executor], jobs: Jobs
    ) -> None:
        self.parts, self.answers, self._stop, self._jobs = parts, answers, stop, jobs
        self._draining = Draining(parts, answers, jobs)
        self._threads = {READING: threads("read", READERS), PLANNING: threads("plan", PLANNERS)}
        self._threads |= {i.id: threads(f"{i.id}-lane", i.options.threads) for i in parts.instances.values()}
        self._polling = Polling(parts, self.wake, stop, threads, self._submit)
        self._owning = Owning(parts, self._polling, f"{socket.gethostname()[:40]}/{os.getpid()}/{secrets.token_hex(4)}")
        self._telling = Telling(parts, threads)
        self._gone = Gone(parts, drop_jobs)
        self._at_work: Counter[str] = Counter()
        """The lanes that this process drains now; only the event loop changes it."""
        self._left: deque[tuple[str, float]] = deque()
        """Lanes that threads of ours left when the database failed, and when."""
        self._polls: set[str] = set()
        self._lock = threading.Lock()
        self._looked_at = parts.clock.monotonic()
        self._lost_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._running = [
            threading.Thread(target=self._tend, name="tend", daemon=True),
            threading.Thread(target=lambda: asyncio.run(self._work()), name="jobs", daemon=True),
        ]

    def wake(self) -> None:
        """Who writes work wakes its lane; but one where a flood rests is awake."""
        self._draining.came.set()

    def alive(self) -> bool:
        """Whether both threads are at work and the rows were looked at lately. `tresse worker` ends when not."""
        fresh = self.parts.clock.monotonic() - self._looked_at < DEAF
        return fresh and all(thread.is_alive() for thread in self._running)

    def start(self) -> None:
        """Start to work, to tend, to tick and to listen."""
        self._polling.start()
        for thread in self._running:
            thread.start()

    def stop(self) -> None:
        """End within about five seconds; what is under way longer is rescued by another worker."""
        self._stop.set()
        self._polling.stop()
        if self._loop is not None and self._ending is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._ending.set)
        for thread in self._running:
            if thread.is_alive():
                thread.join(GRACE + 1.0)
        try:
            self._owning.end()
        except sa.exc.SQLAlchemyError as error:
            logger().warning("leases were not given back; they end by themselves", error=type(error).__name__)

    # -- jobs ------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Keep a Procrastinate worker for each queue, and rescue what stalled; begin anew when the database returns."""
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(_unless_away)
        while not self._stop.is_set():
            app, begun = open_app(self.parts.store.url, self._drain), self.parts.clock.monotonic()
            try:
                async with app.open_async():
                    self.parts.troubles.well("jobs")
                    await self._workers(app)
            except Exception as error:  # noqa: BLE001 - told once; the rows are still there
                if not self._is_late_news(error, begun):
                    self.parts.troubles.ill("jobs", error, database=isinstance(error, AWAY))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ending.wait(), PAUSE)

    def _is_late_news(self, error: Exception, begun: float) -> bool:
        """Whether the database was away and is back: Procrastinate's pool says so seconds after everybody knew."""
        now = self.parts.clock.monotonic()
        return isinstance(error, AWAY) and now - self._looked_at < 2 * LOOK and now - begun > WAIT

    async def _workers(self, app: App) -> None:
        """Until the end, or until one of them fails: then all end, and begin anew."""
        assert self._ending is not None
        ends = asyncio.create_task(self._ending.wait())
        workers = [_worker(app, queue, threads) for queue, threads in self._threads.items()]
        rescue = Rescue(app, self.parts, workers, self._at_work, STALLED)
        tasks = [asyncio.create_task(one.run()) for one in workers]  # type: ignore[no-untyped-call]
        tasks.append(asyncio.create_task(rescue.run()))
        try:
            await asyncio.wait([ends, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ends.cancel()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not self._stop.is_set():
                raise result

    async def _drain(self, lane: str) -> None:
        """The one task: on threads of the lane's own queue, so that the loop never waits."""
        kind, _, rest = lane.partition("/")
        queue = {"read": READING, "plan": PLANNING}.get(kind) or rest.partition("/")[0]
        given_up = threading.Event()
        self._at_work[lane] += 1
        future = self._threads[queue].submit(self._draining.drain, lane, given_up)
        future.add_done_callback(lambda ended: self._leave(lane, ended))  # not before the thread itself has left
        try:
            await asyncio.wrap_future(future)
            self.parts.troubles.well("lane")
        except asyncio.CancelledError:  # the job goes, and with it the lane: the thread ends its call, and no more
            given_up.set()
            raise
        except Exception as error:  # noqa: BLE001 - told once; the lane is found again by its row
            self.parts.troubles.ill("lane", error)

    def _leave(self, lane: str, ended: Future[None]) -> None:
        if not ended.cancelled() and ended.exception() is not None:
            self._left.append((lane, self.parts.clock.monotonic()))

        def leave() -> None:
            self._at_work -= Counter([lane])  # which forgets those at zero

        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(leave)

    # -- what must never depend on a job -----------------------------------------------------

    def _tend(self) -> None:
        self._compare_clocks()
        while not self._stop.is_set():
            try:
                self._see_instances()
                self._gone.look()
                self.parts.room.left()  # so that its alert comes and goes where nothing is polled or pushed
                tell_readers(self.parts)
                self._free_left()
                self._wake_due()
                self._owning.tend()
                self._telling.look()
                self._looked_at = self.parts.clock.monotonic()
                self.parts.troubles.well("tend")
            except Exception as error:  # noqa: BLE001 - told once; tried again in a second
                self.parts.troubles.ill("tend", error)
                self._owning.overdue()
            self.parts.clock.wait(self._stop, LOOK)

    def _see_instances(self) -> None:
        """What other processes found out about the far sides, and what admins decided."""
        with self.parts.store.read() as connection:
            sides, said = all_sides(connection), all_said(connection)
        for instance in self.parts.instances.values():
            instance.sides.adopt(sides.get(instance.id, {}))
            instance.adopt(said.get(instance.id, Said()))

    def _free_left(self) -> None:
        for _ in range(len(self._left)):
            lane, since = self._left[0]
            with self.parts.store.write() as connection:
                seen_to = free_left_lane(connection, self.parts, lane)
            self._left.popleft()
            # Longer, and another worker has rescued it.
            if not seen_to and self.parts.clock.monotonic() < since + 2 * STALLED:
                self._left.append((lane, since))

    def _wake_due(self) -> None:
        now = self.parts.now()
        well = [READING, PLANNING]
        floods = LITTLE if self.parts.crowd.here(now) else WINDOW
        with self.parts.store.write() as connection:
            for instance in self.parts.instances.values():
                if instance.waits():
                    continue
                if instance.retry_at() is None:
                    well.append(instance.id)
                else:
                    self._jobs.defer(connection, take_due(connection, [instance.id], now, FEW))
            for queue in well:  # each by itself, so that a backlog of one hides no other
                room = self._jobs.room(connection, queue)
                self._jobs.defer(connection, take_due(connection, [queue], now, room.in_turn, min(floods, room.floods)))
        if self.parts.clock.monotonic() >= self._lost_at + LOST:
            self._lost_at = self.parts.clock.monotonic()
            with self.parts.store.write() as connection:
                lost(connection, self.parts)

    def _compare_clocks(self) -> None:
        with contextlib.suppress(sa.exc.SQLAlchemyError), self.parts.store.read() as connection:
            ms = connection.scalar(sa.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"))
            apart = abs((from_ms(int(ms or 0)) - self.parts.now()).total_seconds())
            if apart > SKEW:
                logger().warning(
                    "this host's clock and the database's differ: set both by NTP", seconds=round(apart, 1)
                )

    def _submit(self, threads: Executor, key: str, function: Callable[..., Any]) -> None:
        """Run a poll, unless that one is at work."""
        with self._lock:
            if key in self._polls:
                return
            self._polls.add(key)
        threads.submit(self._poll, key, function)

    def _poll(self, key: str, function: Callable[..., Any]) -> None:
        try:
            if not self._stop.is_set():
                function()
                self.parts.troubles.well("poll")
        except Exception as error:  # noqa: BLE001 - told once; the next tick tries again
            self.parts.troubles.ill("poll", error)
        finally:
            with self._lock:
                self._polls.discard(key)


def _worker(app: App, queue: str, threads: Executor) -> Worker:
    return Worker(
        app,
        queues=[queue],
        name=f"tresse {queue}",
        concurrency=threads.size,
        fetch_job_polling_interval=LOOK,
        shutdown_graceful_timeout=GRACE,
        delete_jobs="always",
        install_signal_handlers=False,
        update_heartbeat_interval=HEARTBEAT,
        stalled_worker_timeout=STALLED,
    )


def _unless_away(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody waits for failed: a job that could not be marked as done while the database is away is no news."""
    if not isinstance(context.get("exception"), AWAY):
        loop.default_exception_handler(context)
