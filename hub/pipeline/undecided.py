"""The alerts about deliveries that wait for a human: one for each instance and state, so that none hides another's."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.alerts import UNDECIDED, close_alert, open_alerts_of, raise_alert
from hub.store.backlog import instances_in
from hub.store.cases import delivery


def tell_undecided(connection: Connection, state: str, instance: str, now: datetime) -> None:
    """Deliveries to `instance` are ``rejected`` or ``unsure``: tell it, unless that alert stands open."""
    text = (
        f"Some deliveries to {instance} were refused for good; they wait for a decision."
        if state == "rejected"
        else f"It is unsure whether some deliveries to {instance} went out; look at them and decide."
    )
    raise_alert(connection, f"{state}:{instance}", text, now, instance)


def close_undecided(connection: Connection, state: str, now: datetime) -> None:
    """Close the alerts of those instances to which no delivery is in `state` any more."""
    for key in open_alerts_of(connection, state):
        # Earlier versions had one alert for all instances, with the bare key: it closes in any case.
        if not _has(connection, key.partition(":")[2], state):
            close_alert(connection, key, now)


def tend_undecided(connection: Connection, now: datetime) -> None:
    """Make the alerts fit the rows: after an update, and where a worker refused one while a human decided the rest."""
    for instance in instances_in(connection, delivery.c.instance):
        for state in UNDECIDED:
            if _has(connection, instance, state):
                tell_undecided(connection, state, instance, now)
    for state in UNDECIDED:
        close_undecided(connection, state, now)


def _has(connection: Connection, instance: str, state: str) -> bool:
    found = sa.select(delivery.c.id).where(delivery.c.instance == instance, delivery.c.state == state)
    return connection.scalar(found.limit(1)) is not None
