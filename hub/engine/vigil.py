"""Is anybody at work? Workers are processes of their own, and those that are gone cannot say so.

So whoever runs beside them looks for their signs of life: the pages show how many there are
(`/metrics`), raise an alert when there are none, and tell it as long as no worker does. A worker
whose threads have died under it lives on and does nothing: it ends itself, to be started again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.engine.kinds import Engine
from hub.engine.telling import Telling
from hub.log import logger
from hub.pipeline.parts import Parts
from hub.store.alerts import close_alert, open_alerts_of, raise_alert
from hub.threads import Executor

ALERT = "no-worker"
LOOK = 5.0
"""Seconds between two looks."""
SILENT = 60.0
"""Seconds without a sign of life of any worker before somebody should know."""
ENDING = 1.0
"""Seconds to wait at the end for a look that is under way."""
LASTING = 30.0
"""Seconds an engine may be ill before its process ends."""

# A worker has a heartbeat for each of its queues, three seconds apart, by the database's clock; none says which
# process it is of. The lock that all workers share (hub/engine/lock.py) is held once by each process.
_BEATS = sa.text(
    "SELECT EXISTS (SELECT 1 FROM procrastinate_workers WHERE last_heartbeat > now() - interval '30 seconds')"
)
_PROCESSES = sa.text(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND mode = 'ShareLock' "
    "AND classid = 504158 AND objid = 2 AND objsubid = 2 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def workers_alive(connection: Connection) -> int:
    """How many worker processes of a distributed engine there are; 0 where none gave a sign of life for 30 s."""
    if not connection.scalar(_BEATS):
        return 0
    return max(1, int(connection.scalar(_PROCESSES) or 0))


class Vigil:
    """Looks for workers from any process of a distributed engine, also from one without an engine."""

    def __init__(self, parts: Parts, threads: Callable[[str, int], Executor]) -> None:
        self._parts = parts
        self._telling = Telling(parts, threads)
        self._seen_at = parts.clock.monotonic()
        self._watching: threading.Thread | None = None

    def start(self) -> None:
        """Look until the hub stops, on a thread of its own. An embedded engine that starts is its own answer."""
        if self._parts.config.engine.kind == "distributed":
            self._watching = threading.Thread(target=self._watch, name="vigil", daemon=True)
            self._watching.start()
        else:
            self._close_if_open()

    def end(self) -> None:
        """Wait a moment for a look that is under way, so that it does not find the database closed."""
        if self._watching is not None:
            self._watching.join(ENDING)

    def _watch(self) -> None:
        while not self._parts.stop.is_set():
            try:
                self.look()
                self._parts.troubles.well("vigil")
            except Exception as error:  # noqa: BLE001 - told once; tried again in seconds
                self._seen_at = self._parts.clock.monotonic()  # nobody can give a sign where the database is away
                self._parts.troubles.ill("vigil", error)
            self._parts.clock.wait(self._parts.stop, LOOK)

    def look(self) -> None:
        """Open the alert, or close it; tell it while nobody else can. Raises what the database raises.

        Several processes may do so at once: an alert is one row, and what is told of it is claimed.
        """
        with self._parts.store.read() as connection:
            alive = workers_alive(connection)
        at = self._parts.clock.monotonic()
        if alive:
            self._seen_at = at
            self._close_if_open()
        elif at - self._seen_at >= SILENT:
            words = "No worker has given a sign of life for a minute: what comes in is kept, and waits."
            with self._parts.store.write() as connection:
                news = raise_alert(connection, ALERT, words, self._parts.now())
            if news:
                logger().error("no worker has given a sign of life for a minute: start one, or read their logs")
            self._telling.look()

    def _close_if_open(self) -> None:
        with self._parts.store.read() as connection:
            if not open_alerts_of(connection, ALERT):
                return
        with self._parts.store.write() as connection:
            news = close_alert(connection, ALERT, self._parts.now())
        if news:
            logger().info("a worker is at work again")


class Illness:
    """Whether an engine has been ill for so long that only a new process helps."""

    def __init__(self, engine: Engine, parts: Parts) -> None:
        self._engine, self._parts = engine, parts
        self._since: float | None = None

    def lasts(self) -> bool:
        """Asked every few seconds. A database that is away is no illness: a new process would not find it either."""
        now = self._parts.clock.monotonic()
        if self._engine.alive() or self._parts.troubles.database_away():
            self._since = None
            return False
        if self._since is None:
            self._since = now
        return now - self._since >= LASTING
