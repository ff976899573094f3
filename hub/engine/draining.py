"""What a worker does with a lane that was woken: read, plan or deliver until it is empty, waits, or others wait."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import sqlalchemy as sa

from hub.engine.jobs import Jobs
from hub.instances import Instance
from hub.pipeline.deliver import drain
from hub.pipeline.gone import PATIENCE
from hub.pipeline.next import due_in_lane, plan_raws
from hub.pipeline.parts import Parts
from hub.pipeline.record import record_page
from hub.pipeline.suggest import Answers
from hub.pipeline.waiting import flood_rests
from hub.store.intake import step
from hub.store.lanes import PLAN, READ, end_lane

PAGES = 20
"""Pages of one channel in a row, then others have their turn."""
PLANS = 50
"""Plans of one case in a row."""
GLANCE = 0.1
"""Seconds between two looks, while a flood rests, for what other processes brought in."""
SOON = timedelta(seconds=2)
"""When a lane is looked at again that this process can do nothing with."""


class Draining:
    """Drains lanes by their keys. Thread-safe.

    One job drains a lane. Where its worker was frozen, or its job was lost, a second one may come upon the first:
    then each step asks again, in its own transaction, whether it is still to be done (hub/pipeline/record.py,
    plan.py), and a call is marked before it is made by one of them alone (hub/pipeline/deliver.py).
    """

    def __init__(self, parts: Parts, answers: Answers, jobs: Jobs) -> None:
        self._parts, self._answers, self._jobs = parts, answers, jobs
        self.came = threading.Event()
        """Set when this process has brought something in: who waits while a flood rests looks at once."""

    def drain(self, key: str, given_up: threading.Event) -> None:
        """Drain the lane `key` until its job is `given_up`. Raises what the database raises: it is found again."""
        parts = self._parts
        while not parts.stop.is_set():
            not_before = self._turn(key, given_up)
            if given_up.is_set():
                return  # the lane may be another one's by now
            with parts.store.write() as connection:
                more = end_lane(connection, key, parts.now(), not_before)
                if more is None:
                    return
                if self._jobs.others_wait(connection, more.queue):
                    self._jobs.defer(connection, [more])
                    return

    def _turn(self, key: str, given_up: threading.Event) -> datetime | None:
        """One turn; returns before which time there is no use in another one."""
        kind, _, rest = key.partition("/")
        if kind == READ:
            return self._read(rest, given_up)
        if kind == PLAN:
            return self._plan(rest)
        return self._deliver(rest, given_up)

    def _read(self, instance: str, given_up: threading.Event) -> datetime | None:
        parts = self._parts
        if instance not in parts.instances and (self._oldest(instance) or parts.now()) > parts.now() - PATIENCE:
            return parts.now() + SOON
        for _ in range(PAGES):
            self.came.clear()
            if parts.stop.is_set() or given_up.is_set():
                break
            if not record_page(parts, instance):
                if flood_rests(parts, instance):
                    parts.clock.wait(self.came, GLANCE)
                    break  # this thread may be wanted for another channel
                # Nothing, or nothing that may pass what its reader has not finished.
                oldest, now = self._oldest(instance), parts.now()
                return now + SOON / 4 if oldest is not None and oldest <= now else None
        return None

    def _oldest(self, instance: str) -> datetime | None:
        waiting = sa.select(sa.func.min(step.c.due_at)).where(
            step.c.state == "waiting", step.c.stage == READ, step.c.instance == instance
        )
        with self._parts.store.read() as connection:
            found: datetime | None = connection.scalar(waiting)
        return found

    def _plan(self, case: str) -> datetime | None:
        with self._parts.store.read() as connection:
            raws = due_in_lane(connection, self._parts.now(), case, PLANS)
        plan_raws(self._parts, self._answers, raws)
        return None

    def _deliver(self, lane: str, given_up: threading.Event) -> datetime | None:
        instance = self._parts.instances.get(lane.partition("/")[0])
        if instance is None:
            return self._parts.now() + SOON
        if not instance.waits():
            drain(self._parts, instance, lane, given_up)
        return _called_again(instance, self._parts.now())


def _called_again(instance: Instance, now: datetime) -> datetime | None:
    """When an instance that waits may be called; a paused one is asked about again and again."""
    if not instance.waits():
        return None
    retry = instance.retry_at()
    return max(retry, now + SOON / 4) if retry and not instance.paused else now + SOON
