"""Rows for tests that read: a few words build customers, messages, events and what hangs on them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import Store
from hub.store.migrate import migrate
from hub.store.tables import answers, cases, customers, health, intake, people
from tests.databases import database_url, make_ready

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def open_store(folder: Path) -> Store:
    """An empty database with all tables."""
    make_ready(folder / "tresse.db")
    store = Store(database_url(folder))
    migrate(store)
    return store


_KEYS = count(1)
"""Shared, so that two writers of one database never take the same key."""


class Braid:
    """Writes rows, with defaults for what a test does not care about."""

    def __init__(self, connection: Connection, now: datetime = NOON) -> None:
        self.connection, self.now = connection, now

    def insert(self, table: sa.Table, **values: Any) -> int:
        key = self.connection.execute(sa.insert(table).values(**values)).inserted_primary_key
        return key[0] if key else 0

    def ago(self, minutes: float) -> datetime:
        return self.now - timedelta(minutes=minutes)

    def customer(self, name: str, *addresses: tuple[str, str], segment: str = "", language: str = "fr") -> list[int]:
        """The customer's identities, in the order of `addresses`."""
        owner = self.insert(
            customers.customer, name=name, segment=segment, language=language, created_at=self.ago(60 * 24 * 90)
        )
        return [
            self.insert(customers.identity, kind=kind, value=value, name=name, customer_id=owner, origin_id=owner)
            for kind, value in addresses
        ]

    def raw(
        self, instance: str = "support", data: bytes = b"Subject: x\r\n\r\nhello\r\n", at: datetime | None = None
    ) -> int:
        n = next(_KEYS)
        return self.insert(
            intake.raw,
            instance=instance,
            source_key=f"key-{n}",
            received_at=at or self.now,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            facts={},
            data=data,
        )

    def case(self, number: str, identity_id: int, at: datetime | None = None, **values: Any) -> int:
        defaults = {
            "instance": "support", "brand": "main", "subject": "Bonjour", "language": "fr", "state": "open",
            "proof": "verified", "opened_at": at or self.now, "changed_at": at or self.now,
        }  # fmt: skip
        return self.insert(cases.case, number=number, identity_id=identity_id, **(defaults | values))

    def message(self, identity_id: int, text: str, at: datetime | None = None, **values: Any) -> int:
        html, raw = values.pop("html", ""), values.pop("raw", None)
        reply = values.pop("reply", text)
        text = values.pop("text_whole", text)
        defaults = {
            "instance": "support", "direction": "in", "at": at or self.now, "received_at": at or self.now,
            "proof": "verified", "facts": {}, "language": "fr",
        }  # fmt: skip
        values = defaults | values
        raw_id = raw if raw is not None else self.raw(values["instance"], at=values["received_at"])
        message_id = self.insert(intake.message, raw_id=raw_id, identity_id=identity_id, **values)
        self.insert(intake.message_body, message_id=message_id, text=text, html=html, reply=reply)
        return message_id

    def event(self, identity_id: int, kind: str = "call", at: datetime | None = None, **values: Any) -> int:
        defaults: dict[str, Any] = {"instance": "phones", "direction": "in", "data": {}, "title": ""}
        return self.insert(
            intake.event, event_key=f"event-{next(_KEYS)}", kind=kind, identity_id=identity_id,
            at=at or self.now, **(defaults | values),
        )  # fmt: skip

    def order_on(self, message_id: int, number: str, proof: str = "claimed") -> None:
        self.insert(intake.message_order, number=number, message_id=message_id, proof=proof)

    def shop_order(self, number: str, state: str, owners: list[tuple[str, str]], **facts: str) -> None:
        self.insert(
            customers.order, number=number, instance="shop", state=state, owners=[list(o) for o in owners],
            facts=facts, placed_at=self.ago(60 * 24 * 6), fetched_at=self.now,
        )  # fmt: skip

    def file(self, message_id: int, name: str, content_type: str, size: int, part: int = 1) -> int:
        return self.insert(
            intake.attachment, message_id=message_id, name=name, content_type=content_type, size=size,
            sha256="0" * 64, inline=False, part=part,
        )  # fmt: skip

    def answer(self, ref: str, **wordings: tuple[str, str]) -> int:
        title = next(iter(wordings.values()))[0]
        answer_id = self.insert(
            answers.answer, ref=ref, title=title, state="approved", created_at=self.now, changed_at=self.now
        )
        for language, (question, text) in wordings.items():
            self.insert(answers.variant, answer_id=answer_id, language=language, title=question, text=text)
        return answer_id

    def suggestion(self, case_id: int, message_id: int, answer_id: int, rank: int, score: float, **values: Any) -> int:
        band = "sure" if score >= 0.8 else "likely" if score >= 0.5 else "perhaps"
        defaults = {"matcher": "answers", "language": "fr", "title": "T", "text": "Texte", "made_at": self.now}
        return self.insert(
            cases.suggestion, case_id=case_id, message_id=message_id, answer_id=answer_id, rank=rank, score=score,
            band=band, **(defaults | values),
        )  # fmt: skip

    def delivery(self, instance: str, ability: str, state: str, **values: Any) -> int:
        n = next(_KEYS)
        at = values.pop("at", self.now)
        defaults: dict[str, Any] = {"attempts": 1, "due_at": at, "turn_at": at, "created_at": at}
        if state == "done":
            defaults |= {"started_at": at, "done_at": at}
        return self.insert(
            cases.delivery, key=f"delivery-{n}", instance=instance, ability=ability,
            lane=f"{instance}/{values.get('case_id', 0)}", state=state, **(defaults | values),
        )  # fmt: skip

    def health(self, instance: str, state: str, reason: str = "", **values: Any) -> None:
        self.insert(
            health.instance_health, instance=instance, side="out", health=state, reason=reason,
            **({"since": self.ago(60 * 26), "seen_at": self.ago(1)} | values),
        )  # fmt: skip

    def alert(self, key: str, text: str, instance: str = "") -> None:
        self.insert(health.alert, key=key, instance=instance, text=text, opened_at=self.ago(42))

    def insert_ref(self, case_id: int, instance: str, remote_id: str) -> None:
        self.insert(cases.case_ref, case_id=case_id, instance=instance, remote_id=remote_id)

    def agent(self, name: str) -> int:
        return self.insert(
            people.agent, name=name, email=f"{name.split(maxsplit=1)[0].lower()}@shop.example", created_at=self.now
        )
