"""The embedded engine: one process, one dispatcher, the database beside it.

The dispatcher asks the rows what is next: pages to read, cases to plan, lanes to drain. Each
instance drains its lanes on threads of its own, so a slow one keeps only its own lanes waiting.
It looks every half second without being woken: commands in other processes write rows too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from hub.engine.polling import Polling
from hub.engine.telling import Telling
from hub.log import logger
from hub.pipeline.deliver import drain
from hub.pipeline.due import Capacity, due_lanes
from hub.pipeline.gone import Gone
from hub.pipeline.next import due_plans, plan_raws
from hub.pipeline.parts import Parts
from hub.pipeline.read import tell_readers
from hub.pipeline.record import record_page
from hub.pipeline.suggest import Answers
from hub.pipeline.waiting import instances_to_read
from hub.store.intake import step
from hub.store.sides import Said, all_said
from hub.threads import Executor

LOOK = 0.5
"""Seconds between two looks at the rows."""
BREATH = 0.05
"""Seconds between two looks at least: each thing done asks for one, and a look costs as much as a delivery."""
PLANNERS = 4
PLANS = 4 * PLANNERS
"""Cases handed to the planners at once: the rows are the queue, and know whose turn it is; our memory does not."""
AHEAD = 2
"""Lanes handed to an instance's threads at once, for each of them."""
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
        self._planners = threads("plan", PLANNERS)
        self._drainers = {i.id: threads(f"{i.id}-lane", i.options.threads) for i in parts.instances.values()}
        self._busy: set[str] = set()
        self._behind: set[str] = set()
        """Those of them that are a flood's (hub/flow.py)."""
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._polling = Polling(parts, self.wake, stop, threads, self._submit)
        self._dispatcher: threading.Thread | None = None
        self._telling = Telling(parts, threads)
        self._gone = Gone(parts)

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
        self._polling.start()

    def stop(self) -> None:
        """End within about five seconds; what is under way longer is looked after at the next start."""
        self._stop.set()
        self._wake.set()
        self._polling.stop()
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
                self.parts.troubles.well("look")
            except Exception as error:  # noqa: BLE001 - the daemon stays alive; the rows are still there
                self._ill("look", error)
            if not worked:
                self.parts.clock.wait(self._stop, BREATH)
                self.parts.clock.wait(self._wake, LOOK)

    def _ill(self, where: str, error: Exception) -> None:
        """Say what is wrong, then wait a little."""
        self.parts.troubles.ill(where, error)
        self.parts.clock.wait(self._stop, PAUSE)

    def look(self) -> bool:
        """One look at the rows; True when a page was recorded, so that the next look comes at once."""
        self.parts.room.left()  # so that its alert comes and goes where nothing is polled or pushed
        tell_readers(self.parts)
        self._see_instances()
        self._gone.look()
        worked = 0
        for name in instances_to_read(self.parts):
            worked += record_page(self.parts, name)
        self._start_plans()
        self._start_lanes()
        self._telling.look()
        return worked > 0

    def _see_instances(self) -> None:
        """What admins decided, and how fast the far sides may be called: other processes write these rows too."""
        with self.parts.store.read() as connection:
            said = all_said(connection)
        for instance in self.parts.instances.values():
            instance.adopt(said.get(instance.id, Said()))

    def _start_plans(self) -> None:
        with self._lock:
            busy = [key.partition("/")[2] for key in self._busy if key.startswith("plan/")]
        raws = [int(key[3:]) for key in busy if key.startswith("raw")]
        cases = [int(key) for key in busy if not key.startswith("raw")]
        if len(busy) >= PLANS:
            return
        # What is at work already is passed over, so that a case with thousands of mails hides no other.
        free = step.c.raw_id.not_in(raws), sa.or_(step.c.case_id.is_(None), step.c.case_id.not_in(cases))
        now, left = self.parts.now(), PLANS - len(busy)
        with self.parts.store.read() as connection:
            rows = due_plans(connection, now, left, *free, floods=self._floods("plan/", left))
        groups: dict[str, list[Any]] = {}
        for row in rows:
            key = f"plan/{row.case_id}" if row.case_id is not None else f"plan/raw{row.raw_id}"
            groups.setdefault(key, []).append(row)
        for key, some in groups.items():
            behind = all(row.turn_at > now for row in some)
            self._submit(self._planners, key, self._plan, [row.raw_id for row in some], behind=behind)

    def _floods(self, kind: str, left: int) -> int:
        """How many tasks of this kind a flood may have besides those under way: while others are about, one at all."""
        if not self.parts.crowd.here(self.parts.now()):
            return left
        with self._lock:
            return max(0, 1 - sum(key.startswith(kind) for key in self._behind))

    def _plan(self, raw_ids: list[int]) -> None:
        plan_raws(self.parts, self.answers, raw_ids)

    def _start_lanes(self) -> None:
        free = {one.id: self._capacity(one.id) for one in self.parts.instances.values() if not one.waits()}
        with self.parts.store.read() as connection:
            lanes = due_lanes(connection, self.parts, {name: some for name, some in free.items() if some.lanes})
        for lane in lanes:
            if self._capacity(lane.instance).lanes:
                instance = self.parts.instances[lane.instance]
                work = drain, self.parts, instance, lane.name
                self._submit(self._drainers[instance.id], f"lane/{lane.name}", *work, behind=lane.behind)

    def _capacity(self, name: str) -> Capacity:
        """What the instance's threads can take beside what they have."""
        with self._lock:
            handed = sum(key.startswith(f"lane/{name}/") for key in self._busy)
        left = max(0, AHEAD * self._drainers[name].size - handed)
        return Capacity(left, self._floods(f"lane/{name}/", left))

    def _submit(
        self, threads: Executor, key: str, function: Callable[..., None], *args: object, behind: bool = False
    ) -> None:
        """Run `function` unless `key` is at work already."""
        with self._lock:
            if key in self._busy:
                return
            self._busy.add(key)
            if behind:
                self._behind.add(key)
        threads.submit(self._guarded, key, function, *args)

    def _guarded(self, key: str, function: Callable[..., None], *args: object) -> None:
        where = key.partition("/")[0]
        try:
            if not self._stop.is_set():
                function(*args)
                self.parts.troubles.well(where)
        except Exception as error:  # noqa: BLE001 - logged there; the row still says what is to be done
            self._ill(where, error)
        finally:
            with self._idle:
                self._busy.discard(key)
                self._behind.discard(key)
                self._idle.notify_all()
            self._wake.set()
