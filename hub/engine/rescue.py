"""Jobs that nobody works on although they say so: given to whoever is free.

Of dead workers, and of living ones: where the database goes away in the moment in which a job is taken or
marked as done, Procrastinate's worker lives on and the job says "doing" for ever. Its lane, whose lock it
holds, would stand still until that worker is restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from procrastinate import App
from procrastinate.jobs import Job
from procrastinate.worker import Worker

from hub.log import logger
from hub.pipeline.parts import Parts
from hub.pipeline.settle import abandoned, broken_off
from hub.store.lanes import OUT

EVERY = 4.0
"""Seconds between two looks."""
_DOING = "SELECT * FROM procrastinate_jobs WHERE status = 'doing' AND worker_id = ANY(%(own)s)"


class Rescue:
    """Looks every few seconds. Not a job itself: it could stall as well.

    `at_work` are the lanes that this process drains now, `stalled` the seconds without a sign of life after
    which a worker counts as dead.
    """

    def __init__(
        self, app: App, parts: Parts, workers: Iterable[Worker], at_work: Collection[str], stalled: float
    ) -> None:
        self._app, self._parts, self._workers = app, parts, workers
        self._at_work, self._stalled = at_work, stalled
        self._idle: set[int] = set()
        """Jobs of ours that nobody worked on at the last look."""

    async def run(self) -> None:
        """Until it is cancelled. Raises where the database does not answer."""
        while True:
            for job in await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=self._stalled):
                await self._give_away(job, "took over what another worker left", self._abandon)
            for job in await self._forgotten():
                await self._give_away(job, "took up what this worker had lost sight of", self._break_off)
            await asyncio.sleep(EVERY)

    async def _forgotten(self) -> list[Job]:
        """Our own jobs that nobody works on: seen so twice, for one may just have been taken, or be ending."""
        own = [one.worker_id for one in self._workers if one.worker_id is not None]
        rows = await self._app.connector.execute_query_all_async(_DOING, own=own)
        idle = {row["id"]: row for row in rows if row["lock"] not in self._at_work}
        twice, self._idle = self._idle & idle.keys(), set(idle)
        return [_job(idle[number]) for number in sorted(twice)]

    async def _give_away(self, job: Job, words: str, judge: Callable[[str], None]) -> None:
        with contextlib.suppress(Exception):  # it ended meanwhile, or another worker was quicker
            kind, _, rest = (job.lock or "").partition("/")
            if kind == OUT:  # before anybody drains it again
                await asyncio.to_thread(judge, rest)
            await self._app.job_manager.retry_job(job)
            logger().warning(words, lane=job.lock)

    def _abandon(self, lane: str) -> None:
        """Its worker may live, cut off from the database alone, with a call under way."""
        with self._parts.store.write() as connection:
            abandoned(connection, self._parts, [lane])

    def _break_off(self, lane: str) -> None:
        with self._parts.store.write() as connection:
            broken_off(connection, self._parts, lane)


def _job(row: Mapping[str, Any]) -> Job:
    return Job(
        id=row["id"],
        queue=row["queue_name"],
        lock=row["lock"],
        queueing_lock=row["queueing_lock"],
        task_name=row["task_name"],
        task_kwargs=row["args"],
    )
