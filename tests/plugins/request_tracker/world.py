"""A shop's cases and messages, and what a test asks of the desk and of mailboxes."""

from __future__ import annotations

import email
import email.policy
import itertools
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from hub.sdk import Case, Customer, Direction, Effect, Identity, Message, OrderOnCase, Proof, Suggestion
from plugins.crm.request_tracker.crm import RequestTracker as Desk
from plugins.crm.request_tracker.settings import RequestTrackerSettings
from tests.plugins.lent import lend
from tests.servers.dovecot import Dovecot
from tests.servers.ports import wait_for
from tests.servers.rt import RequestTracker

FIELDS = {
    "case": "Case",
    "order": "Order",
    "order_state": "Order State",
    "sender": "Sender",
    "language": "Language",
    "customer": "Customer",
    "segment": "Segment",
    "earlier_cases": "Earlier Cases",
    "timeline": "Timeline",
    "answers": "Answers",
}
NUMBERS = itertools.count(1)


def make(rt: RequestTracker, **changes: Any) -> Desk:
    values: dict[str, Any] = {"url": rt.url, "token": rt.token, "queue": "Support", "fields": FIELDS, "language": "fr"}
    return Desk(RequestTrackerSettings.model_validate(values | changes), lend(id="desk"))


def a_case(requester: str = "", **changes: Any) -> Case:
    who = Identity("email", requester, "Alice Martin") if requester else Identity("phone", "+33612345678")
    values: dict[str, Any] = {
        "number": f"TR-2026-{next(NUMBERS):06}",
        "subject": "Où est ma commande ?",
        "language": "fr",
        "opened_at": datetime(2026, 3, 1, tzinfo=UTC),
        "state": "open",
        "brand": "Maison Tresse",
        "channel": "support",
        "requester": who,
        "proof": Proof.VERIFIED,
        "customer": Customer("Alice Martin", (who,), segment="or", language="fr", earlier_cases=2),
        "orders": (OrderOnCase("CMD-2026-0042", Proof.VERIFIED, state="expédiée", known=True),),
        "first_text": "Bonjour,\nje n'ai rien reçu.",
        "link": "https://hub.example/cases/1",
    }
    return Case(**(values | changes))


def a_message(sender: str, text: str = "Toujours rien reçu 😕", **changes: Any) -> Message:
    who = Identity("email", sender, "Alice Martin")
    values = {
        "direction": Direction.IN,
        "sender": who,
        "customer": who,
        "at": datetime(2026, 3, 1, 10, 0, tzinfo=UTC),
        "subject": "Re: Où est ma commande ?",
        "text": text,
        "proof": Proof.VERIFIED,
        "message_id": f"<m{next(NUMBERS)}.{time.time_ns()}@customer.example>",
    }
    return Message(**(values | changes))


def suggestions(*titles: str) -> list[Suggestion]:
    return [
        Suggestion(f"{i}:fr", title, f"Bonjour,\n\n{title} !", "fr", 0.92 - i / 10, "sure", i + 1)
        for i, title in enumerate(titles)
    ]


def effect(name: str, case: str = "") -> Effect:
    return Effect(f"desk/{name}/{next(NUMBERS)}", known={"case": case} if case else {})


def mails(dovecot: Dovecot, user: str) -> list[Any]:
    return [email.message_from_bytes(m, policy=email.policy.default) for m in dovecot.messages(user)]


def words(mail: Any) -> str:
    return str(mail.get_body(("plain",)).get_content())


def collect(
    desk: Desk, cursor: Mapping[str, Any], until: Callable[[list[Any]], bool]
) -> tuple[list[Any], dict[str, Any]]:
    """Poll as the hub does until `until` holds of what was read."""
    found: list[Any] = []
    held: dict[str, Any] = dict(cursor)

    def poll() -> bool:
        nonlocal held
        for page in desk.changes(held):
            held = dict(page.cursor)
            found.extend(m for raw in page.raws for m in desk.read(raw))
        return until(found)

    wait_for(poll, 30, "replies to be reported")
    return found, held


def start(desk: Desk) -> dict[str, Any]:
    (page,) = desk.changes({})
    assert page.raws == ()
    return dict(page.cursor)
