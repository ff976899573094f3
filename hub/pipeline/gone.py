"""What an instance leaves behind that nobody has any more: its deliveries wait for a human, its rows are forgotten.

A process that still has an older configuration must not do that to an instance which a newer one works with. So
every process says now and then which instances it has, and one is gone when no process has said so for ten minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.log import logger
from hub.pipeline.parts import Parts
from hub.pipeline.settle import mark_unsure
from hub.pipeline.undecided import tell_undecided, tend_undecided
from hub.store import alone
from hub.store.alerts import instances_told_of
from hub.store.backlog import instances_in
from hub.store.cases import delivery
from hub.store.health import instance_health
from hub.store.lanes import OPEN, lane
from hub.store.sides import forget_instance, known_since, say_known

EVERY = 60.0
"""Seconds between two looks, and between two words about which instances a process has."""
FRESH = timedelta(seconds=3 * EVERY)
"""How old a process's word may be; two may get lost."""
PATIENCE = timedelta(minutes=10)
"""How long what an instance left behind waits for a process that has it (an upgrade under way)."""
PAGE = 1000
"""Deliveries set aside in one transaction."""


class Gone:
    """Looks after it for one engine. `drop_jobs` removes the jobs of an instance's queue, where there are queues."""

    def __init__(self, parts: Parts, drop_jobs: Callable[[Connection, str], None] | None = None) -> None:
        self._parts, self._drop_jobs = parts, drop_jobs
        self._configured = {s.id for s in parts.config.sections if s.options.enabled}  # also what could not be made
        self._alone = parts.config.engine.kind == "embedded"
        self._missed: dict[str, float] = {}
        """Since when nobody was seen that has the instance."""
        self._looked_at: float | None = None

    def look(self) -> None:
        """Cheap to call at every look. Raises what the database raises."""
        at = self._parts.clock.monotonic()
        if self._looked_at is not None and at < self._looked_at + EVERY:
            return
        if self._looked_at is not None and at >= self._looked_at + FRESH.total_seconds():
            self._missed = {}  # while the database was away nobody could say anything: patience begins anew
        missed = self._missed = {name: self._missed.get(name, at) for name in sorted(self._nobodys())}
        for name, since in missed.items():
            patient = at >= since + PATIENCE.total_seconds()
            if patient:
                self._set_aside(name)
            if patient or self._alone:  # with no other process about, nothing could be lost
                with self._parts.store.write() as connection:
                    forget_instance(connection, name, self._parts.now())
        self._looked_at = at

    def _nobodys(self) -> set[str]:
        """Instances that left something behind and that no living process has, as far as they have said."""
        now = self._parts.now()
        with self._parts.store.write() as connection:
            alone(connection, "gone")
            say_known(connection, self._configured, now)
            tend_undecided(connection, now)
            left = _left_behind(connection) - self._configured
            # The only engine need not ask: what was said a minute ago, it or one that has ended has said.
            return left - known_since(connection, now - FRESH) if left and not self._alone else left

    def _set_aside(self, name: str) -> None:
        count = 0
        while not self._parts.stop.is_set():
            with self._parts.store.write() as connection:
                taken = self._page(connection, name)
                if not taken:
                    connection.execute(sa.delete(lane).where(lane.c.queue == name))
                    if self._drop_jobs is not None:
                        self._drop_jobs(connection, name)
                    break
            count += taken
        if count:
            logger(instance=name).warning("not configured any more", set_aside=count)

    def _page(self, connection: Connection, name: str) -> int:
        now = self._parts.now()
        owed = sa.select(delivery).where(delivery.c.instance == name, delivery.c.state.in_(OPEN))
        rows = connection.execute(owed.order_by(delivery.c.id).limit(PAGE).with_for_update()).all()
        for row in rows:
            if row.state == "sending":  # it may have gone out, and there is nobody to ask
                mark_unsure(connection, row, f"it was being sent, and {name} is not configured any more", now)
        if waiting := [row.id for row in rows if row.state == "waiting"]:
            reason = f"{name} is not configured any more, or is switched off; put it back and replay"
            refuse = sa.update(delivery).where(delivery.c.id.in_(waiting))
            connection.execute(refuse.values(state="rejected", reason=reason))
            tell_undecided(connection, "rejected", name, now)
        return len(rows)


def _left_behind(connection: Connection) -> set[str]:
    """Every instance with open deliveries or lanes, a circuit's row, or an alert about itself."""
    names = set(instances_in(connection, delivery.c.instance, delivery.c.state.in_(OPEN)))
    names |= {queue for queue in instances_in(connection, lane.c.queue) if not queue.startswith("#")}
    names |= set(connection.scalars(sa.select(instance_health.c.instance).distinct()))
    return names | instances_told_of(connection)
