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
from hub.pipeline.unread import tell_kept
from hub.store.intake import step
from hub.threads import Executor

LOOK = 0.5
"""Seconds between two looks at the rows."""
PLANNERS = 4
PLANS = 500
"""Plans handed to the planners at once: the rows are the queue, not our memory."""
GRACE = 3.0
"""Seconds that calls under way have to end when the hub stops; closing the instances takes one more."""
PAUSE = 2.0
"""Seconds without work after the database failed, or a bug of our own."""


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
        self._pollers: dict[str, Executor] = {}
        self._busy: set[str] = set()
        self._troubled: set[str] = set()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._scheduler = BackgroundScheduler(timezone="UTC", executors={"default": ThreadPoolExecutor(1)})
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
            # Threads of ours, not the scheduler's: those are joined when the interpreter ends, and one
            # poll that hangs would hold up the stop. One each: a slow mailbox delays only itself.
            self._pollers[source.key] = self._threads(f"{source.instance.id}-{source.name}", 1)
            self._tick(source)
            if source.instance.has("Listens"):
                threading.Thread(target=source.listen, name=f"{source.instance.id}-listen", daemon=True).start()

    def _tick(self, source: Source) -> None:
        def poll() -> None:
            source.watch()
            self._submit(self._pollers[source.key], f"poll/{source.key}", source.tick)

        def again(at: datetime) -> None:
            if not self._stop.is_set():
                job = f"{source.key}/again"
                self._scheduler.add_job(
                    poll, "date", run_date=at, id=job, replace_existing=True, misfire_grace_time=None
                )

        source.again = again
        self._scheduler.add_job(
            poll,
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
            self._dispatcher.join(0.5)
        if left:
            logger().warning("stopped with calls under way", lanes=left)

    # -- work ------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            worked = False
            begun = self.parts.clock.monotonic()
            try:
                worked = self.look()
                self.parts.pushes.give_way(self.parts.clock.monotonic() - begun, self._stop)
                self._well("look")
            except Exception as error:  # noqa: BLE001 - the daemon stays alive; the rows are still there
                self._ill("look", error)
            if not worked:
                self.parts.clock.wait(self._wake, LOOK)

    def _ill(self, where: str, error: Exception) -> None:
        """Say what is wrong, once until it works again; then wait a little."""
        with self._lock:
            news = where not in self._troubled
            self._troubled.add(where)
        if news and isinstance(error, sa.exc.SQLAlchemyError):
            logger().error("the database does not answer; waiting", at=where, error=type(error).__name__)
        elif news:
            logger().error("bug in the engine", at=where, error=type(error).__name__)
        logger().debug("could not go on", at=where, exc_info=error)
        self.parts.clock.wait(self._stop, PAUSE)

    def _well(self, where: str) -> None:
        if where in self._troubled:
            with self._lock:
                self._troubled.discard(where)
            logger().info("works again", at=where)

    def look(self) -> bool:
        """One look at the rows; True when a page was recorded, so that the next look comes at once."""
        self.parts.room.left()  # so that its alert comes and goes where nothing is polled or pushed
        worked = record_page(self.parts) > 0
        self._start_plans()
        self._start_lanes()
        return worked

    def _start_plans(self) -> None:
        with self._lock:
            busy = [key.partition("/")[2] for key in self._busy if key.startswith("plan/")]
        raws = [int(key[3:]) for key in busy if key.startswith("raw")]
        cases = [int(key) for key in busy if not key.startswith("raw")]
        if len(busy) >= PLANS:
            return
        due = (
            sa.select(step.c.raw_id, step.c.case_id)
            .where(step.c.state == "waiting", step.c.stage == "plan", step.c.due_at <= self.parts.now())
            # What is at work already is passed over, so that a case with thousands of mails hides no other.
            .where(step.c.raw_id.not_in(raws), sa.or_(step.c.case_id.is_(None), step.c.case_id.not_in(cases)))
            .order_by(step.c.due_at, step.c.raw_id)
            .limit(PLANS - len(busy))
        )
        with self.parts.store.read() as connection:
            rows = connection.execute(due).all()
        groups: dict[str, list[int]] = {}
        for row in rows:
            key = f"plan/{row.case_id}" if row.case_id is not None else f"plan/raw{row.raw_id}"
            groups.setdefault(key, []).append(row.raw_id)
        for key, raw_ids in groups.items():
            self._submit(self._planners, key, self._plan, sorted(raw_ids))

    def _plan(self, raw_ids: list[int]) -> None:
        for raw_id in raw_ids:
            if self._stop.is_set():
                return
            begun = self.parts.clock.monotonic()
            try:
                plan_raw(self.parts, self.answers, raw_id)
                self.parts.pushes.give_way(self.parts.clock.monotonic() - begun, self._stop)
            except sa.exc.OperationalError:
                raise  # the database is ill: the step stays as it is
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
            now, wait = self.parts.now(), timedelta(seconds=2.0 ** min(row.attempts, 8))
            state = "waiting" if row.attempts < 5 else "kept"
            values = {"state": state, "attempts": row.attempts + 1, "reason": f"{reason} while it was planned"}
            connection.execute(sa.update(step).where(step.c.raw_id == raw_id).values(due_at=now + wait, **values))
            if state == "kept":
                tell_kept(connection, now)

    def _start_lanes(self) -> None:
        away = {one.id for one in self.parts.instances.values() if one.waits()}
        with self.parts.store.read() as connection:
            lanes = due_lanes(connection, self.parts, away)
        for lane, name in lanes.items():
            self._submit(self._drainers[name], f"lane/{lane}", drain, self.parts, self.parts.instances[name], lane)

    def _submit(self, threads: Executor, key: str, function: Callable[..., None], *args: object) -> None:
        """Run `function` unless `key` is at work already."""
        with self._lock:
            if key in self._busy:
                return
            self._busy.add(key)
        threads.submit(self._guarded, key, function, *args)

    def _guarded(self, key: str, function: Callable[..., None], *args: object) -> None:
        where = key.partition("/")[0]
        try:
            if not self._stop.is_set():
                function(*args)
                self._well(where)
        except Exception as error:  # noqa: BLE001 - logged there; the row still says what is to be done
            self._ill(where, error)
        finally:
            with self._idle:
                self._busy.discard(key)
                self._idle.notify_all()
            self._wake.set()
