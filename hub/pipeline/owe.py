"""Delivery rows: one thing owed to one far side, under a key that never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
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
from hub.store.intake import message, message_body


@dataclass(frozen=True, slots=True)
class Debt:
    """One thing owed to one far side."""

    key: str
    instance: str
    ability: str
    case_id: int
    message_id: int | None

    @property
    def lane(self) -> str:
        """The far side is told of a case in order."""
        return f"{self.instance}/{self.case_id}"


def cause_of(instance: str, source_key: str, place: int) -> str:
    """A name for a message that a restored backup could not give to another one.

    A raw may hold several messages: the first one (`place` 0) is named by the raw alone.
    """
    name = f"{instance}\0{source_key}" + (f"\0{place}" if place else "")
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def owe(connection: Connection, debts: Sequence[Debt], turn: datetime, now: datetime) -> None:
    """Write what is owed; owing it twice changes nothing. `turn` is the message's own."""
    rows = [
        {
            "key": one.key,
            "instance": one.instance,
            "ability": one.ability,
            "lane": one.lane,
            "case_id": one.case_id,
            "message_id": one.message_id,
            "state": "waiting",
            "due_at": now,
            "turn_at": turn,
            "created_at": now,
        }
        for one in debts
    ]
    if rows:
        connection.execute(upsert(connection, delivery).on_conflict_do_nothing(index_elements=["key"]), rows)


def owe_acknowledgement(
    connection: Connection,
    parts: Parts,
    channel: Instance,
    of_case: sa.Row[Any],
    said: sa.Row[Any],
) -> Debt:
    """Write the acknowledgement onto the timeline as queued; its sending is owed, once per case."""
    key = f"{channel.id}/send/{of_case.number}/acknowledgement"
    brand = parts.brand_of(channel.id)[1]
    subject, words = acknowledgement(
        of_case.language,
        number=of_case.number,
        subject=of_case.subject,
        name=said.sender_name or said.known_as,
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
            identity_id=said.identity_id,
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
    return Debt(key, channel.id, "send", of_case.id, number)
