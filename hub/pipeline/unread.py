"""Setting aside what could not be read: kept with its bytes, shown, and never in the way.

Where the bytes still name a sender, the message appears on that timeline as "kept unread",
so that the agent who looks there knows that something came.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.mail.glance import sender_of
from hub.pipeline.parts import Parts
from hub.pipeline.read import Culprit
from hub.pipeline.resolve import canonical, resolve
from hub.sdk import Direction, Identity, Proof
from hub.store.alerts import raise_alert
from hub.store.intake import message, message_body, raw, step
from hub.store.lanes import READ

KEPT = "kept-unread"


def set_aside(parts: Parts, culprits: Sequence[Culprit]) -> None:
    """Mark the raws as kept, put them on a timeline where one is named, and tell the admin."""
    now = parts.now()
    with parts.store.write() as connection:
        unread = still_unread(connection, [culprit.raw_id for culprit in culprits])
        for culprit in culprits:
            if culprit.raw_id not in unread:
                continue  # another process could read it
            connection.execute(
                sa.update(step)
                .where(step.c.raw_id == culprit.raw_id)
                .values(state="kept", reason=culprit.reason, attempts=step.c.attempts + 1)
            )
            _show(connection, parts, culprit)
        if unread:
            tell_kept(connection, now)


def still_unread(connection: Connection, raw_ids: Sequence[int]) -> set[int]:
    """Those that nobody has recorded or set aside meanwhile; nobody will, before this transaction ends."""
    waits = step.c.raw_id.in_(raw_ids), step.c.stage == READ, step.c.state == "waiting"
    return set(connection.scalars(sa.select(step.c.raw_id).where(*waits).order_by(step.c.raw_id).with_for_update()))


def tell_kept(connection: Connection, now: datetime) -> None:
    """One alert for whatever was set aside; it closes when the last one was replayed."""
    raise_alert(connection, KEPT, "Some messages could not be read; they wait under “Kept unread”.", now)


def _show(connection: Connection, parts: Parts, culprit: Culprit) -> None:
    shown = sa.select(message.c.id).where(message.c.raw_id == culprit.raw_id)
    kept = connection.execute(sa.select(raw).where(raw.c.id == culprit.raw_id)).one()
    address = sender_of(kept.data)
    if not address or connection.scalar(shown) is not None:
        return
    sender = canonical(Identity("email", address), parts.config.hub.country, kept.instance)
    ids = resolve(connection, [sender], parts.now())
    number = connection.scalar(
        sa.insert(message)
        .values(
            raw_id=kept.id,
            instance=kept.instance,
            direction=str(Direction.IN),
            identity_id=ids[sender.kind, sender.value],
            at=kept.received_at,
            received_at=kept.received_at,
            sender=address,
            proof=str(Proof.CLAIMED),
            proof_reason="the message could not be read",
            state="unread",
            facts={},
        )
        .returning(message.c.id)
    )
    connection.execute(sa.insert(message_body).values(message_id=number, text=""))
