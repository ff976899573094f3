"""What goes out: the enriched case, its suggestions, what is owed and to whom. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hub.sdk.values import Identity, Proof


class Outcome(StrEnum):
    """What became of a suggestion once an agent answered."""

    USED = "used"
    EDITED = "edited"
    OTHER = "other"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class OrderOnCase:
    """An order number on a case: verified when its owner is the proven sender, else claimed."""

    number: str
    proof: Proof
    state: str = ""
    known: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Customer:
    """The customer's side of an enriched case."""

    name: str
    identities: tuple[Identity, ...]
    segment: str = ""
    language: str = ""
    earlier_cases: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """An enriched case, as far sides receive it. `link` leads to the timeline in the hub."""

    number: str
    subject: str
    language: str
    opened_at: datetime
    state: str
    brand: str
    channel: str
    requester: Identity
    proof: Proof
    customer: Customer
    orders: tuple[OrderOnCase, ...] = ()
    first_text: str = ""
    queue: str = ""
    priority: int = 0
    link: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An approved answer proposed for one message. `score` is 0..1; `band` sure, likely or perhaps."""

    answer: str
    title: str
    text: str
    language: str
    score: float
    band: str
    rank: int


@dataclass(frozen=True, slots=True)
class Effect:
    """What a writing ability must do once: `key` never changes over retries and restarts.

    `cause` is the message (its Message-ID or key) this is done for. `known` holds references
    that earlier deliveries brought back: ``case`` is the far side's id of the case.
    """

    key: str
    cause: str = ""
    known: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Something to send to a customer. `kind` is ``acknowledgement`` or ``answer``."""

    kind: str
    to: Identity
    subject: str
    text: str
    html: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    case_number: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An approved answer for a matcher's index; `texts` are question, phrasings and answer text."""

    id: str
    language: str
    title: str
    text: str
    phrasings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """A matcher's verdict: raw score, higher is better; the hub calibrates it per base."""

    answer: str
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer found for a person's search; `highlight` is HTML with ``<mark>`` only."""

    answer: str
    title: str
    highlight: str
    score: float


@dataclass(frozen=True, slots=True)
class Notice:
    """Something `check` found that works but deserves a look (a warning with what to do next)."""

    text: str
    path: str = ""


class Presence(StrEnum):
    """What an agent is doing, as a lease with an end."""

    AVAILABLE = "available"
    WRITING = "writing"


@dataclass(frozen=True, slots=True)
class Agent:
    """A person who answers, with that person's login in the called instance (may be empty)."""

    name: str
    email: str = ""
    account: str = ""
