"""The distributed engine in one thread, without its queue: only what the lanes' rows say is done.

Whoever writes work must wake its lane; a test of the pipeline fails here where somebody forgot.
"""

from __future__ import annotations

import threading

import sqlalchemy as sa

from hub.app import Hub
from hub.engine.draining import Draining
from hub.engine.embedded import Embedded
from hub.pipeline.settle import broken_off
from hub.store.lanes import OUT, PLANNING, READING, lane, open_lanes, take_due
from hub.store.sides import Said, all_said

_LIVE = sa.select(lane.c.key).where(lane.c.live)


class NoJobs:
    """Stands in for Procrastinate: a lane marked as live is one that somebody was told to drain."""

    def defer(self, connection, lanes) -> None: ...

    def others_wait(self, connection, queue) -> bool:
        return True


class Lanes(Embedded):
    """Looks at the lanes alone."""

    @classmethod
    def of(cls, hub: Hub) -> Lanes:
        engine = cls(hub.parts, hub.answers, hub.parts.stop, lambda _name, _size: hub.engine._planners)
        engine._draining, engine._at_work = Draining(hub.parts, hub.answers, NoJobs()), set()
        with hub.store.write() as connection:  # whose process was killed: their calls have ended
            engine._left = set(connection.scalars(_LIVE).all())
            engine._break_off(connection)
        hub.store.waker = lambda connection, lanes: open_lanes(connection, lanes, hub.clock.now()) and None
        return engine

    def look(self) -> bool:
        parts = self.parts
        with parts.store.read() as connection:
            said = all_said(connection)
        for one in parts.instances.values():
            one.adopt(said.get(one.id, Said()))
        self._gone.look()
        queues = [READING, PLANNING, *(i.id for i in parts.instances.values() if not i.waits())]
        with parts.store.write() as connection:
            self._break_off(connection)
            take_due(connection, queues, parts.now(), 1000)
            live = set(connection.scalars(_LIVE)) - self._at_work
        for key in sorted(live):
            self._drain(key)
        self._telling.look()
        return bool(live)

    def _drain(self, key: str) -> None:
        """One job: a lane has one at a time. Where the database fails the lane is left, as a worker leaves it."""
        self._at_work.add(key)
        try:
            self._draining.drain(key, threading.Event())
        except sa.exc.OperationalError:
            self._left.add(key)
        finally:
            self._at_work.discard(key)

    def _break_off(self, connection: sa.Connection) -> None:
        for key in self._left:
            if key.startswith(f"{OUT}/"):
                broken_off(connection, self.parts, key.removeprefix(f"{OUT}/"))
        self._left = set()
