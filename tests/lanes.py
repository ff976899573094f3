"""The distributed engine in one thread, without its queue: only what the lanes' rows say is done.

Whoever writes work must wake its lane; a test of the pipeline fails here where somebody forgot.
"""

from __future__ import annotations

import threading

from hub.app import Hub
from hub.engine.draining import Draining
from hub.engine.embedded import Embedded
from hub.pipeline.settle import broken_off
from hub.store.lanes import OUT, PLANNING, READING, lane, open_lanes, take_due
from hub.store.sides import Said, all_said


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
        engine._draining = Draining(hub.parts, hub.answers, NoJobs())
        with hub.store.write() as connection:  # whose process was killed: their calls have ended
            for key in connection.scalars(lane.select().with_only_columns(lane.c.key).where(lane.c.live)).all():
                if key.startswith(f"{OUT}/"):
                    broken_off(connection, hub.parts, key.removeprefix(f"{OUT}/"))
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
            take_due(connection, queues, parts.now(), 1000)
            live = connection.scalars(lane.select().with_only_columns(lane.c.key).where(lane.c.live)).all()
        for key in sorted(live):
            self._draining.drain(key, threading.Event())
        return bool(live)
