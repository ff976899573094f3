"""Delivery rows: one thing owed to one far side, under a key that never changes."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.instances import Instance
from hub.pipeline.parts import Parts
from hub.rules.templates import acknowledgement
from hub.sdk import Direction, Proof
from hub.store import upsert
from hub.store.cases import delivery
from hub.store.intake import message, message_body, raw


def cause_of(connection: Connection, said: sa.Row[Any]) -> str:
    """A name for a message that a restored backup could not give to another one."""
    # A raw may hold several messages: the first one is named by the raw alone.
    earlier = sa.select(sa.func.count()).where(message.c.raw_id == said.raw_id, message.c.id < said.id)
    place = connection.scalar(earlier)
    row = connection.execute(sa.select(raw.c.instance, raw.c.source_key).where(raw.c.id == said.raw_id)).one()
    name = f"{row.instance}\0{row.source_key}" + (f"\0{place}" if place else "")
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def owe(
    connection: Connection,
    parts: Parts,
    instance: Instance,
    ability: str,
    of_case: sa.Row[Any],
    said: sa.Row[Any],
    turn: datetime,
    *,
    suffix: str = "",
) -> None:
    """Owe `ability` for a customer's message; owing it twice changes nothing. `turn` is the message's own."""
    key = f"{instance.id}/{ability}/{of_case.number}/{cause_of(connection, said)}{suffix}"
    _insert(connection, parts, key, instance, ability, of_case.id, said.id, turn)


def owe_acknowledgement(
    connection: Connection,
    parts: Parts,
    channel: Instance,
    of_case: sa.Row[Any],
    said: sa.Row[Any],
    who: sa.Row[Any],
    turn: datetime,
) -> None:
    """Write the acknowledgement onto the timeline as queued, and owe its sending: once per case."""
    key = f"{channel.id}/send/{of_case.number}/acknowledgement"
    brand = parts.brand_of(channel.id)[1]
    subject, words = acknowledgement(
        of_case.language,
        number=of_case.number,
        subject=of_case.subject,
        name=said.sender_name or who.name,
        brand=brand.name,
        signature=brand.signature,
    )
    now = parts.now()
    number = connection.scalar(
        sa.insert(message)
        .values(
            raw_id=None,
            instance=channel.id,
            direction=str(Direction.OUT),
            identity_id=who.id,
            case_id=of_case.id,
            at=now,
            received_at=now,
            sender_name=brand.name,
            subject=subject,
            language=of_case.language,
            proof=str(Proof.VERIFIED),
            proof_reason="the hub wrote it",
            automatic="acknowledgement",
            state="queued",
            facts={"kind": "acknowledgement", "in_reply_to": said.message_id},
        )
        .returning(message.c.id)
    )
    connection.execute(sa.insert(message_body).values(message_id=number, text=words, reply=words))
    _insert(connection, parts, key, channel, "send", of_case.id, number, turn)


def _insert(
    connection: Connection,
    parts: Parts,
    key: str,
    instance: Instance,
    ability: str,
    case_id: int,
    message_id: int | None,
    turn: datetime,
) -> None:
    now = parts.now()
    insert = upsert(connection, delivery).values(
        key=key,
        instance=instance.id,
        ability=ability,
        lane=f"{instance.id}/{case_id}",
        case_id=case_id,
        message_id=message_id,
        state="waiting",
        due_at=now,
        turn_at=turn,
        created_at=now,
    )
    connection.execute(insert.on_conflict_do_nothing(index_elements=["key"]))
