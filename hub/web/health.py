"""Is the hub alive, can it work, and its figures: for supervisors, balancers and Prometheus.

`/healthz` says the process answers; `/readyz` that it can keep what it is sent. Figures are read
from the database at each scrape, so that they survive a restart and cost nothing in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from flask import Blueprint, Response, jsonify, request
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry
from sqlalchemy.exc import SQLAlchemyError

from hub.store.base import to_ms
from hub.store.health import note
from hub.store.overview import Counts, Health, counts, health_rows
from hub.store.session import Store, upsert
from hub.web import here
from hub.web.tokens import token_of_request

blueprint = Blueprint("health", __name__)

_LEVELS = {"green": 0, "amber": 1, "red": 2}


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """The database can be written, and the engine is at work where this process has one."""
    checks = {"database": _writable(here.hub().store), "engine": _engine()}
    ready = all(state == "ok" for state in checks.values())
    return jsonify(status="ok" if ready else "unready", checks=checks), 200 if ready else 503


def _writable(store: Store) -> str:
    try:
        with store.write() as connection:
            insert = upsert(connection, note).values(key="web.ready", value=str(to_ms(here.now())))
            connection.execute(
                insert.on_conflict_do_update(index_elements=["key"], set_={"value": insert.excluded.value})
            )
    except SQLAlchemyError as error:
        return f"cannot be written ({type(error).__name__}): check disk space and rights of the data directory"
    return "ok"


def _engine() -> str:
    """A hub opened for the web alone has no engine, and nothing to report about one."""
    engine = getattr(here.hub(), "engine", None)
    return "ok" if engine is None or engine.alive() else "has stopped: restart the hub and read its log"


@blueprint.get("/metrics")
def metrics() -> Response:
    """Figures for Prometheus: for this machine, or with a token that may read."""
    token = token_of_request()
    if not (token is not None and token.may("read")) and not _local():
        sentence = "figures are given to this machine only, or with a token: Authorization: Bearer ...\n"
        return Response(sentence, 403, content_type="text/plain; charset=utf-8")
    with here.reading() as connection:
        figures = _Figures(counts(connection, here.now()), health_rows(connection))
    registry = CollectorRegistry()
    registry.register(figures)
    return Response(generate_latest(registry), content_type="text/plain; version=0.0.4; charset=utf-8")


def _local() -> bool:
    """A request that came through a proxy is not local, whatever address the proxy has."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


class _Figures(Collector):
    """One scrape: built from one snapshot of the database."""

    def __init__(self, seen: Counts, health: dict[str, Health]) -> None:
        self.seen, self.health = seen, health

    def collect(self) -> Iterator[GaugeMetricFamily]:
        plain = {
            "customers": ("Customers known", self.seen.customers),
            "cases": ("Cases ever opened", self.seen.cases),
            "cases_open": ("Cases open now", self.seen.open_cases),
            "messages": ("Messages on all timelines", self.seen.messages),
            "kept_unread": ("Received but not readable, kept for a person", self.seen.kept),
            "steps_waiting": ("Received and not yet worked through", self.seen.steps),
            "backlog_age_seconds": ("Age of the oldest step or delivery that is due", self.seen.backlog),
        }
        for name, (meaning, value) in plain.items():
            yield GaugeMetricFamily(f"tresse_{name}", meaning, value=value)
        yield _labelled("deliveries", "Deliveries by state", "state", self.seen.deliveries)
        yield _labelled("suggestions", "Suggestions by outcome", "outcome", self.seen.outcomes)
        levels = {i: _LEVELS.get(h.health, 2) for i, h in self.health.items()}
        yield _labelled("instance_health", "0 green, 1 amber, 2 red", "instance", levels)


def _labelled(name: str, meaning: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"tresse_{name}", meaning, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family
