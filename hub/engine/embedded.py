"""The embedded engine: one process, one dispatcher, the database beside it.

The dispatcher asks the rows what is next: pages to read, cases to plan, lanes to drain. Each
instance drains its lanes on threads of its own, so a slow one keeps only its own lanes waiting.
It looks every half second without being woken: commands in other processes write rows too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from hub.engine.sources import Source, sources_of
from hub.log import logger
from hub.pipeline.deliver import drain, due_lanes
from hub.pipeline.parts import Parts
from hub.pipeline.plan import plan_raw
from hub.pipeline.record import record_page
from hub.pipeline.suggest import Answers
from hub.store.intake import step
from hub.threads import Executor

LOOK = 0.5
"""Seconds between two looks at the rows."""
PLANNERS = 4
GRACE = 4.0
"""Seconds that calls under way have to end when the hub stops."""


class Embedded:
    """Moves the rows on until it is stopped."""

    def __init__(
        self, parts: Parts, answers: Answers, stop: threading.Event, threads: Callable[[str, int], Executor]
    ) -> None:
        self.parts, self.answers, self._stop = parts, answers, stop
        self._wake = threading.Event()
        self._threads = threads
        self._planners = threads("plan", PLANNERS)
        self._drainers = {i.id: threads(f"{i.id}-lane", i.options.threads) for i in parts.instances.values()}
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._scheduler = BackgroundScheduler(
            timezone="UTC", executors={"default": ThreadPoolExecutor(max(4, 2 * len(parts.instances)))}
        )
        self._dispatcher: threading.Thread | None = None

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def alive(self) -> bool:
        """Whether the dispatcher is at work: `/readyz` asks."""
        return self._dispatcher is not None and self._dispatcher.is_alive()

    # -- life ------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the dispatcher, the ticks and the listeners."""
        self._dispatcher = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self._dispatcher.start()
        self._scheduler.start()
        for source in sources_of(self.parts, self.wake, self._stop):
            self._tick(source)
            if source.instance.has("Listens"):
                threading.Thread(target=source.listen, name=f"{source.instance.id}-listen", daemon=True).start()

    def _tick(self, source: Source) -> None:
        def again(at: datetime) -> None:
            if not self._stop.is_set():
                job = f"{source.instance.id}/{source.name}/again"
                self._scheduler.add_job(source.tick, "date", run_date=at, id=job, replace_existing=True)

        source.again = again
        self._scheduler.add_job(
            source.tick,
            "interval",
            seconds=max(0.2, source.interval),
            next_run_time=self.parts.now() + timedelta(seconds=0.3 if source.instance.has("Listens") else 0),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def stop(self) -> None:
        """End within about five seconds; what is under way longer is looked after at the next start."""
        self._stop.set()
        self._wake.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        with self._idle:
            self._idle.wait_for(lambda: not self._busy, GRACE)
            left = sorted(self._busy)
        if self._dispatcher is not None:
            self._dispatcher.join(1.0)
        if left:
            logger().warning("stopped with calls under way", lanes=left)

    # -- work ------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            worked = False
            try:
                worked = self.look()
            except sa.exc.SQLAlchemyError as error:
                logger().error("the database does not answer; waiting", error=type(error).__name__)
                self.parts.clock.wait(self._stop, 2.0)
            except Exception as error:  # noqa: BLE001 - the daemon stays alive; the rows are still there
                logger().error("bug in the dispatcher", error=type(error).__name__)
                logger().debug("bug in the dispatcher", exc_info=True)
                self.parts.clock.wait(self._stop, 2.0)
            if not worked:
                self.parts.clock.wait(self._wake, LOOK)

    def look(self) -> bool:
        """One look at the rows; True when a page was recorded, so that the next look comes at once."""
        worked = record_page(self.parts) > 0
        self._start_plans()
        self._start_lanes()
        return worked

    def _start_plans(self) -> None:
        due = (
            sa.select(step.c.raw_id, step.c.case_id)
            .where(step.c.state == "waiting", step.c.stage == "plan", step.c.due_at <= self.parts.now())
            .order_by(step.c.raw_id)
            .limit(500)
        )
        with self.parts.store.read() as connection:
            rows = connection.execute(due).all()
        groups: dict[str, list[int]] = {}
        for row in rows:
            key = f"plan/{row.case_id}" if row.case_id is not None else f"plan/raw{row.raw_id}"
            groups.setdefault(key, []).append(row.raw_id)
        for key, raw_ids in groups.items():
            self._submit(self._planners, key, self._plan, raw_ids)

    def _plan(self, raw_ids: list[int]) -> None:
        for raw_id in raw_ids:
            if self._stop.is_set():
                return
            try:
                plan_raw(self.parts, self.answers, raw_id)
            except sa.exc.OperationalError:
                return  # the database is ill: the step stays as it is
            except Exception as error:  # noqa: BLE001 - this message alone is set aside
                logger().error("could not plan", raw=raw_id, error=type(error).__name__)
                logger().debug("could not plan", exc_info=True)
                self._set_plan_aside(raw_id, type(error).__name__)
                return

    def _set_plan_aside(self, raw_id: int, reason: str) -> None:
        with self.parts.store.write() as connection:
            row = connection.execute(sa.select(step.c.attempts).where(step.c.raw_id == raw_id)).one_or_none()
            if row is None:
                return
            wait = timedelta(seconds=2.0 ** min(row.attempts, 8))
            state = "waiting" if row.attempts < 5 else "kept"
            connection.execute(
                sa.update(step)
                .where(step.c.raw_id == raw_id)
                .values(
                    attempts=row.attempts + 1,
                    state=state,
                    due_at=self.parts.now() + wait,
                    reason=f"{reason} while it was planned",
                )
            )

    def _start_lanes(self) -> None:
        now = self.parts.now()
        closed = {
            i.id for i in self.parts.instances.values() if i.health.retry_at is not None and i.health.retry_at > now
        }
        with self.parts.store.read() as connection:
            lanes = due_lanes(connection, self.parts, closed)
        for lane, name in lanes.items():
            instance = self.parts.instances.get(name)
            if instance is not None:
                self._submit(self._drainers[name], f"lane/{lane}", drain, self.parts, instance, lane)

    def _submit(self, threads: Executor, key: str, function: Callable[..., None], *args: object) -> None:
        """Run `function` unless `key` is at work already."""
        with self._lock:
            if key in self._busy:
                return
            self._busy.add(key)
        threads.submit(self._guarded, key, function, *args)

    def _guarded(self, key: str, function: Callable[..., None], *args: object) -> None:
        try:
            if not self._stop.is_set():
                function(*args)
        except Exception as error:  # noqa: BLE001 - logged here; the row still says what is to be done
            logger().error("could not go on", at=key, error=type(error).__name__)
            logger().debug("could not go on", exc_info=True)
            self.parts.clock.wait(self._stop, 1.0)
        finally:
            with self._idle:
                self._busy.discard(key)
                self._idle.notify_all()
            self._wake.set()
