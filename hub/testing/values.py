"""Values for tests: an invented shop's customer, her messages, her case and the answers for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hub.sdk import (
    Agent,
    Answer,
    Case,
    Customer,
    Direction,
    Effect,
    Identity,
    Message,
    OrderOnCase,
    Outgoing,
    Proof,
    Suggestion,
)
from hub.testing.fakes import START

ALICE = Identity("email", "alice@customer.example", "Alice Durand")
AGENT = Agent("Nadia Benali", "nadia@atelier-ronce.example", "nadia")


def message(**changes: Any) -> Message:
    """Alice asks where her order is."""
    made = Message(
        direction=Direction.IN,
        sender=ALICE,
        customer=ALICE,
        at=START,
        subject="Où est ma commande ?",
        text="Bonjour,\n\noù en est ma commande CMD-2026-0042 ?\n\nAlice",
        reply="Bonjour,\n\noù en est ma commande CMD-2026-0042 ?",
        proof=Proof.VERIFIED,
        message_id="<first@customer.example>",
        language="fr",
    )
    return replace(made, **changes)


def case(**changes: Any) -> Case:
    """Alice's enriched case."""
    made = Case(
        number="TR-2026-000123",
        subject="Où est ma commande ?",
        language="fr",
        opened_at=START,
        state="open",
        brand="",
        channel="support",
        requester=ALICE,
        proof=Proof.VERIFIED,
        customer=Customer("Alice Durand", (ALICE,), segment="fidèle", language="fr", earlier_cases=2),
        orders=(OrderOnCase("CMD-2026-0042", Proof.VERIFIED, "shipped", known=True),),
        first_text="Bonjour,\n\noù en est ma commande CMD-2026-0042 ?",
        link="http://hub.example/cases/TR-2026-000123",
    )
    return replace(made, **changes)


def suggestions(count: int = 3) -> list[Suggestion]:
    """The best `count` answers for Alice's question."""
    known = (
        ("suivi", "Suivre ma commande", "Votre colis est en route : voici le lien de suivi.", 0.91, "sure"),
        ("retard", "Livraison en retard", "Nous sommes désolés de ce retard ; nous cherchons.", 0.62, "likely"),
        ("retour", "Renvoyer un article", "Vous avez trente jours pour renvoyer un article.", 0.31, "perhaps"),
    )
    found = [Suggestion(i, t, x, "fr", s, b, n) for n, (i, t, x, s, b) in enumerate(known, 1)]
    return found[:count]


def answers() -> list[Answer]:
    """A small approved base in two languages; one text holds characters that HTML must escape."""
    return [
        Answer("suivi:fr", "fr", "Où est ma commande ?", "Voici comment suivre votre colis.", ("suivre mon colis",)),
        Answer("suivi:en", "en", "Where is my order?", "This is how you follow your parcel.", ("track my parcel",)),
        Answer("retour:fr", "fr", "Comment renvoyer un article ?", "Vous avez trente jours pour un retour."),
        Answer("retour:en", "en", "How do I return an item?", "You have thirty days for a return."),
        Answer("facture:fr", "fr", "Où trouver ma facture ?", "Dans votre compte : <b>Factures & avoirs</b>."),
        Answer("vapeur:fr", "fr", "Ma théière fuit", "Vérifiez le joint du couvercle de la théière."),
    ]


def outgoing(**changes: Any) -> Outgoing:
    """An acknowledgement to Alice."""
    made = Outgoing(
        kind="acknowledgement",
        to=ALICE,
        subject="[TR-2026-000123] Où est ma commande ?",
        text="Bonjour,\n\nvotre message est bien arrivé.\n",
        in_reply_to="<first@customer.example>",
        references=("<first@customer.example>",),
        case_number="TR-2026-000123",
        language="fr",
    )
    return replace(made, **changes)


def effect(key: str = "under-test:effect:1", cause: str = "<first@customer.example>", **known: str) -> Effect:
    """Something to do once; `known` holds what earlier deliveries brought back (``case="17"``)."""
    return Effect(key, cause, known)


def later(seconds: float) -> Any:
    """A time `seconds` after the fake clock's beginning."""
    return START + timedelta(seconds=seconds)
