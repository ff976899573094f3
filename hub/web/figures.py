"""The figures of `/metrics`: is it healthy, how far behind is it, what is failing?

Built from one snapshot of the database at each scrape: true for all processes together, and free in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.engine import Connection

from hub.store.backlog import Behind, Owned, alerts_by_kind, deliveries_behind, sources_owned, steps_behind
from hub.store.lanes import OPEN
from hub.store.overview import Counts, Health, counts, health_rows

_LEVELS = {"green": 0, "amber": 1, "red": 2}


@dataclass(frozen=True, eq=False)  # a registry keeps collectors by identity
class Figures(Collector):
    """One scrape. `free` is the room on the disk in bytes; None where nobody knows.

    `workers` is how many processes work; None where the engine is embedded.
    """

    now: datetime
    counts: Counts
    health: Mapping[str, Health]
    steps: Sequence[Behind]
    deliveries: Sequence[Behind]
    sources: Sequence[Owned]
    alerts: Mapping[str, int]
    free: int | None
    workers: int | None

    @classmethod
    def seen(cls, connection: Connection, now: datetime, free: int | None, workers: int | None = None) -> Figures:
        """As the database is now."""
        return cls(
            now,
            counts(connection, now),
            health_rows(connection),
            steps_behind(connection, now),
            deliveries_behind(connection, now),
            sources_owned(connection, now),
            alerts_by_kind(connection),
            free,
            workers,
        )

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every family."""
        yield from self._totals()
        yield from self._instances()
        yield from self._behind()
        alerts = {(kind,): count for kind, count in self.alerts.items()}
        yield _family("alerts_open", "Open alerts by kind: each needs a person", alerts, "kind")

    def _totals(self) -> Iterator[GaugeMetricFamily]:
        plain = {
            "customers": ("Customers known", self.counts.customers),
            "cases": ("Cases ever opened", self.counts.cases),
            "cases_open": ("Cases open now", self.counts.open_cases),
            "messages": ("Messages on all timelines", self.counts.messages),
            "kept_unread": ("Received but not readable, kept for a person", self.counts.kept),
            "steps_waiting": ("Received and not yet worked through", self.counts.steps),
            "backlog_age_seconds": ("Age of the oldest step or delivery that is due", self.counts.backlog),
        }
        if self.free is not None:
            plain["disk_free_bytes"] = ("Room on the database's disk", self.free)
        if self.workers is not None:
            plain["workers_alive"] = ("Worker processes with a sign of life", self.workers)
        for name, (meaning, value) in plain.items():
            yield GaugeMetricFamily(f"tresse_{name}", meaning, value=value)
        states = {(state,): count for state, count in self.counts.deliveries.items()}
        yield _family("deliveries", "Deliveries by state", states, "state")
        outcomes = {(outcome,): count for outcome, count in self.counts.outcomes.items()}
        yield _family("suggestions", "Suggestions by outcome", outcomes, "outcome")

    def _instances(self) -> Iterator[GaugeMetricFamily]:
        health = self.health.items()
        levels = {(i,): _LEVELS.get(h.health, 2) for i, h in health}
        yield _family("instance_health", "0 green, 1 amber, 2 red", levels, "instance")
        paused = {(i,): int(h.paused_at is not None) for i, h in health}
        yield _family("instance_paused", "1 where an admin paused it", paused, "instance")
        failures = {(i,): h.failures for i, h in health}
        yield _family("instance_failures", "Failed tries in a row while it is away", failures, "instance")
        since = {(i,): (self.now - h.since).total_seconds() for i, h in health}
        yield _family("instance_state_seconds", "How long it has been in this state", since, "instance")
        owned = {(o.instance, o.source): int(o.owned) for o in self.sources if o.owned is not None}
        yield _family("source_owned", "1 where a process reads the source now", owned, "instance", "source")

    def _behind(self) -> Iterator[GaugeMetricFamily]:
        steps = {(b.place, b.state): b for b in self.steps}
        yield _family("steps", "Steps by stage and state", {k: b.count for k, b in steps.items()}, "stage", "state")
        due = {(b.place,): b.oldest for b in self.steps if b.state == "waiting"}
        yield _family("step_due_seconds", "Age of the oldest step that is due, by stage", due, "stage")
        owed = {(b.place, b.state): b.count for b in self.deliveries}
        yield _family("deliveries_open", "Deliveries not at their end", owed, "instance", "state")
        late: dict[tuple[str], float] = {}
        for b in self.deliveries:
            if b.state in OPEN:  # one whose answer was lost is "sending" until somebody could look
                late[b.place,] = max(b.oldest, late.get((b.place,), 0.0))
        yield _family("delivery_due_seconds", "Age of the oldest delivery that is due", late, "instance")


def _family(name: str, meaning: str, values: Mapping[Any, float], *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"tresse_{name}", meaning, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family
