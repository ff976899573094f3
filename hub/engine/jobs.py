"""Procrastinate: a job is the call "somebody drain this lane". Everything else about the lane is in our rows.

So all jobs may be lost, or done twice, and nothing is: lanes without a job are found by `lost`.
Its tables come with its package: `prepare` makes them, and brings them to the installed version.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any

import psycopg
import sqlalchemy as sa
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager
from sqlalchemy.engine import Connection

from hub.pipeline.parts import Parts
from hub.pipeline.settle import abandoned, broken_off
from hub.store import Store, alone
from hub.store.lanes import OUT, Lane, free_lanes, lane, lost_lanes, open_lanes
from hub.store.notes import get_note, set_note
from hub.store.postgresql import notice_statement, noticing

TASK = "tresse.drain"
SCHEMA = "procrastinate.schema"
"""The note that says how far Procrastinate's tables were brought."""
BEHIND = -1
"""The priority of lanes that let others go first."""
WINDOW = 200
"""About how many jobs wait in a queue at most; more lanes that are due wait in our rows.

Procrastinate asks for a queue's next job in a way for which PostgreSQL takes an index over all queues: what a fetch
costs grows with what waits in the others (from 0.4 to 4.5 ms with up to 90,000 messages to be planned; Procrastinate
3.10 on PostgreSQL 15). Writers who look at the same time may pass it by a few.
"""
WAIT = 8.0
"""Seconds to wait for a connection. The pool waits ever longer between its tries; a fresh one begins at once."""

# Fetching looks for the oldest job whose lock is free. Without these its cost grows with the backlog: at
# 100,000 waiting jobs from 0.4 to 7 ms (measured with Procrastinate 3.10 on PostgreSQL 15).
_WAITING = "status IN ('todo', 'doing')"
INDEXES = {
    "tresse_jobs_lock": f"(lock, priority DESC, id) WHERE {_WAITING}",
    "tresse_jobs_todo": "(queue_name, priority DESC, id) WHERE status = 'todo'",
}


def conninfo(url: sa.URL) -> str:
    """The address as libpq writes it."""
    whole = url.set(drivername="postgresql").update_query_dict({k: str(v) for k, v in noticing(url).items()})
    return whole.render_as_string(hide_password=False)


# -- deferring: in the transaction that writes the work ------------------------------------------

_WINDOW = sa.text(
    "SELECT count(*) FILTER (WHERE priority >= 0) AS in_turn, count(*) AS all FROM (SELECT priority FROM "
    "procrastinate_jobs WHERE queue_name = :queue AND status = 'todo' ORDER BY priority DESC, id LIMIT :most) AS first"
)


@dataclass(frozen=True, slots=True)
class Room:
    """How many jobs more a queue takes: of lanes whose turn it is (they pass a flood's), and of a flood."""

    in_turn: int
    floods: int


class Jobs:
    """Defers jobs on connections of ours."""

    def __init__(self) -> None:
        # Never opened: it only speaks through the connections it is given.
        self._manager = JobManager(SyncPsycopgConnector())

    def waker(self, now: Callable[[], datetime]) -> Callable[[Connection, Sequence[Lane]], None]:
        """What `Store.wake` calls."""

        def wake(connection: Connection, lanes: Sequence[Lane]) -> None:
            room = {queue: self.room(connection, queue).in_turn for queue in {one.queue for one in lanes}}
            self.defer(connection, open_lanes(connection, lanes, now(), room))

        return wake

    def defer(self, connection: Connection, lanes: Sequence[Lane]) -> None:
        """One job for each lane."""
        if not lanes:
            return
        jobs = [
            Job(
                id=None,
                queue=one.queue,
                lock=one.key,
                queueing_lock=None,  # it would forbid the retry of a stalled job (procrastinate issue 1446)
                task_name=TASK,
                task_kwargs={"lane": one.key},
                priority=BEHIND if one.behind else 0,
            )
            for one in lanes
        ]
        self._manager.batch_defer_jobs(jobs=jobs, connection=connection.connection.driver_connection)

    def room(self, connection: Connection, queue: str) -> Room:
        """How many more jobs may wait in `queue`."""
        waiting = connection.execute(_WINDOW, {"queue": queue, "most": WINDOW}).one()
        return Room(WINDOW - waiting.in_turn, WINDOW - waiting.all)

    def others_wait(self, connection: Connection, queue: str) -> bool:
        """Whether other lanes of `queue` wait for somebody."""
        waiting = "SELECT EXISTS (SELECT 1 FROM procrastinate_jobs WHERE queue_name = :queue AND status = 'todo')"
        return bool(connection.scalar(sa.text(waiting), {"queue": queue}))


_NO_JOB: Any = sa.text(
    "NOT EXISTS (SELECT 1 FROM procrastinate_jobs j WHERE j.lock = lane.key AND j.status IN ('todo', 'doing'))"
)


def lost(connection: Connection, parts: Parts) -> int:
    """Lanes whose job is gone, and work whose lane is gone: due again at once. One process at a time looks.

    What was begun in such a lane is left alone for as long as a call may last: where a worker only lost its
    connections, or is ending, its job goes and its call goes on.
    """
    now = parts.now()
    if not connection.scalar(sa.text("SELECT pg_try_advisory_xact_lock(504158, 1)")):
        return 0
    freed = free_lanes(connection, _NO_JOB, lane.c.due_at < now)
    if begun := [key.removeprefix(f"{OUT}/") for key in freed if key.startswith(f"{OUT}/")]:
        abandoned(connection, parts, begun)
    return len(freed) + lost_lanes(connection, now)


def free_left_lane(connection: Connection, parts: Parts, key: str) -> bool:
    """The database failed while this process drained lane `key`: it knows that no call is under way in it.

    False while the lane still has a job, which is about to be marked as ended, or rescued.
    """
    free_lanes(connection, _NO_JOB, lane.c.key == key)
    live = connection.scalar(sa.select(lane.c.live).where(lane.c.key == key))
    kind, _, rest = key.partition("/")
    if live is False and kind == OUT:  # also where `lost` was quicker, which knows less
        broken_off(connection, parts, rest)
        connection.execute(sa.update(lane).where(lane.c.key == key).values(due_at=parts.now()))
    return not live


def drop_jobs(connection: Connection, queue: str) -> None:
    """Remove every job of a queue that no process has any more; also those that a dead worker says it works on."""
    connection.execute(sa.text("DELETE FROM procrastinate_jobs WHERE queue_name = :queue"), {"queue": queue})


# -- its tables ------------------------------------------------------------------------------------


def prepare(store: Store) -> None:
    """Make Procrastinate's tables, or bring them to the installed version; safe to call at every start.

    Its migrations come in two parts: those *before* an upgrade suit the old workers as well; those *after* it
    are run when no old worker lives any more (its handbook, "migrations").
    """
    with store.write() as connection:
        alone(connection, "migrate")
        if connection.scalar(sa.text("SELECT to_regclass('procrastinate_jobs')")) is None:
            _run(connection, SchemaManager.get_schema())
            set_note(connection, SCHEMA, "\n".join(_migrations()))
        else:
            _bring_up(connection)
        # Asked first: to make one that is there already would wait for all who write, and they for it.
        for name, on in INDEXES.items():
            if connection.scalar(sa.text("SELECT to_regclass(:name)"), {"name": name}) is None:
                connection.execute(sa.text(f"CREATE INDEX {name} ON procrastinate_jobs {on}"))


def _bring_up(connection: Connection) -> None:
    done = set((get_note(connection, SCHEMA) or "").split("\n"))
    alive = sa.text("SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - interval '30 seconds'")
    alone_here = not connection.scalar(alive)
    for name, statements in _migrations().items():
        if name not in done and ("_post_" not in name or alone_here):
            _run(connection, statements)
            done.add(name)
    set_note(connection, SCHEMA, "\n".join(sorted(done - {""})))


def _migrations() -> dict[str, str]:
    folder = resources.files("procrastinate.sql") / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return {f.name: f.read_text("utf-8") for f in files}


def _run(connection: Connection, statements: str) -> None:
    """Several statements at once, as psycopg sends them when there are no parameters."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    driver.execute(statements.encode())


# -- listening -------------------------------------------------------------------------------------


class OneListener(PsycopgConnector):
    """One connection that listens for all queues of this process, where Procrastinate would open one for each."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._told: dict[str, Callable[..., Any]] = {}
        self._listening: asyncio.Task[None] | None = None

    async def listen_notify(self, on_notification: Any, channels: Iterable[str]) -> None:
        """Call `on_notification` for what is said on `channels`, until cancelled."""
        self._told |= dict.fromkeys(channels, on_notification)
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen(), name="listener of all queues")
        await asyncio.shield(self._listening)

    async def _listen(self) -> None:
        """Until it is cancelled. A connection that ends is made anew: it is no reason to end what is at work.

        Meanwhile the workers ask once a second by themselves, and it is they who notice a database that is away.
        """
        while True:
            with contextlib.suppress(ConnectorException, psycopg.OperationalError, psycopg.InterfaceError):
                await self._hear()
            await asyncio.sleep(1.0)

    async def _hear(self) -> None:
        async with self._get_standalone_connection() as connection:
            known: set[str] = set()
            while True:
                for channel in self._told.keys() - known:
                    await connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
                    known.add(channel)
                async for said in connection.notifies(timeout=2.0):
                    with contextlib.suppress(json.JSONDecodeError):
                        await self._told[said.channel](channel=said.channel, payload=said.payload)
                    if self._told.keys() - known:
                        break
                await connection.execute("SELECT 1")  # a connection that was cut in silence is noticed

    async def close_async(self) -> None:
        """Stop listening, too."""
        if self._listening is not None:
            self._listening.cancel()
        await super().close_async()


async def _noticed(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.execute(notice_statement())
    await connection.commit()


def open_app(url: sa.URL, drain: Callable[[str], Any]) -> App:
    """An app whose one task calls the coroutine function `drain` with a lane's key."""
    pool = {"min_size": 1, "max_size": 6, "timeout": WAIT, "configure": _noticed}
    app = App(connector=OneListener(conninfo=conninfo(url), **pool))
    app.task(name=TASK)(drain)
    return app
