"""One voice per case: does the desk acknowledge by itself?

A desk whose queue sends an automatic reply would greet the customer beside us. It is recognised
in the first new case's own history over there; then one alert is raised and the hub falls silent.
The verdict is kept, and looked at anew with the first case after each start, so that an admin's
mending is noticed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from hub.instances import Bug, Instance
from hub.pipeline.parts import Parts
from hub.sdk import Speaks, TresseError
from hub.store import upsert
from hub.store.alerts import close_alert, raise_alert
from hub.store.health import instance

PATIENCE = timedelta(minutes=2)
"""How long an acknowledgement waits for a desk whose voice is not known yet."""


def hear(parts: Parts, desk: Instance, remote_case: str) -> None:
    """After a case was saved over there: find out, once a start, whether the desk spoke to the customer."""
    if not isinstance(desk.component, Speaks) or desk.id in parts.heard:
        return
    try:
        said = desk.call(desk.component.speaks, remote_case)
    except (TresseError, Bug):
        return
    if said is None:
        return
    now = parts.now()
    with parts.store.write() as connection:
        insert = upsert(connection, instance).values(id=desk.id, voice=said)
        connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_={"voice": said}))
        if said:
            raise_alert(connection, f"voice:{desk.id}", said, now, desk.id)
        else:
            close_alert(connection, f"voice:{desk.id}", now)
    parts.heard.add(desk.id)  # only now: were the database away, nobody would ask again
    if said:
        desk.log.warning("two voices", reason=said)


def _voice(parts: Parts, desk: str) -> str | None:
    with parts.store.read() as connection:
        return connection.scalar(sa.select(instance.c.voice).where(instance.c.id == desk))


def desks_of(parts: Parts, channel: str) -> list[Instance]:
    """The desks that receive the cases of a channel."""
    return [i for i in parts.having("KeepsCases") if not i.options.channels or channel in i.options.channels]


def who_speaks(parts: Parts, channel: str, planned_at: datetime) -> str | None:
    """Why the hub must be silent on this channel; empty: it may speak; None: wait, not known yet."""
    unknown = False
    for desk in desks_of(parts, channel):
        if not desk.has("Speaks"):
            continue
        voice = _voice(parts, desk.id)
        if voice:
            return f"the desk acknowledges already: {voice}"
        unknown = unknown or voice is None
    if unknown and parts.now() < planned_at + PATIENCE:
        return None
    return ""
