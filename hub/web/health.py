"""Is the hub alive, can it work, and its figures: for supervisors, balancers and Prometheus.

`/healthz` says the process answers; `/readyz` that it can keep what it is sent. Figures are read
from the database at each scrape, so that they survive a restart and cost nothing in between.
"""

from __future__ import annotations

import shutil
from ipaddress import ip_address

from flask import Blueprint, Response, jsonify, request
from prometheus_client import generate_latest
from prometheus_client.registry import CollectorRegistry
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from hub.engine.vigil import workers_alive
from hub.store.base import to_ms
from hub.store.health import note
from hub.store.session import Store, upsert
from hub.web import here
from hub.web.figures import Figures
from hub.web.tokens import token_of_request

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """The database can be written, and the engine is at work where this process has one.

    Beside workers (`tresse web`) it is ready without any: what is sent is kept. How many live is in `/metrics`.
    """
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
    registry = CollectorRegistry()
    with here.reading() as connection:
        registry.register(Figures.seen(connection, here.now(), _room(), _workers(connection)))
    return Response(generate_latest(registry), content_type="text/plain; version=0.0.4; charset=utf-8")


def _workers(connection: Connection) -> int | None:
    """Worker processes that live; None where the engine is embedded."""
    return workers_alive(connection) if here.hub().config.engine.kind == "distributed" else None


def _room() -> int | None:
    """Bytes free under the data directory."""
    config = here.hub().config
    place = config.hub.data if config.hub.data.exists() else config.path.parent
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None


def _local() -> bool:
    """A request that came through a proxy is not local, whatever address the proxy has."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False
