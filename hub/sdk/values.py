"""What travels between the hub and its plugins: frozen values, no behaviour, no I/O.

Times are timezone-aware UTC datetimes, sizes are bytes, durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Proof(StrEnum):
    """How sure we are who sent something (docs/glossary.md)."""

    NONE = "none"
    CLAIMED = "claimed"
    VERIFIED = "verified"


class Direction(StrEnum):
    """`IN`: the customer speaks. `OUT`: we do (an agent, a desk or the hub)."""

    IN = "in"
    OUT = "out"


class Outcome(StrEnum):
    """What became of a suggestion once an agent answered."""

    USED = "used"
    EDITED = "edited"
    OTHER = "other"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Identity:
    """One address of a customer. `kind` is ``email``, ``phone``, ``handle`` or ``crm``."""

    kind: str
    value: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Raw:
    """Something received, exactly as it came. Stored before the source is told "received".

    `key` is the source's own key (for IMAP: UIDVALIDITY and UID), unique in its instance.
    `facts` are small facts of the transport that are not in the bytes (mailbox, remote address).
    """

    key: str
    data: bytes
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Some raws and the cursor to store with them, in one transaction.

    `rescan` says that the source lost its numbering (UIDVALIDITY changed): the hub then also
    compares the bytes' hash, so that a mail it has is not taken in again.
    """

    raws: tuple[Raw, ...]
    cursor: Mapping[str, Any]
    rescan: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part not shown as the body. `sha256` is of the decoded content, `part` its place in the raw."""

    name: str
    content_type: str
    size: int
    sha256: str
    inline: bool = False
    part: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """One thing said, in or out, as `read` finds it in a raw.

    `sender` is who said it; `customer` is the customer's side of it (for incoming messages
    the same as `sender`, for outgoing ones the addressee). `account` is the far side's login
    of the agent who wrote. `remote_case` is the far side's id of the case (a ticket's number).
    """

    direction: Direction
    sender: Identity
    customer: Identity
    at: datetime
    subject: str = ""
    text: str = ""
    html: str = ""
    reply: str = ""  # the new words alone, without quotes and signature
    signature: str = ""
    proof: Proof = Proof.NONE
    proof_reason: str = ""
    automatic: str = ""  # why we hold it for a machine's mail; empty: a person wrote it
    may_acknowledge: bool = False  # the transport allows an acknowledgement (RFC 3834, section 2)
    acknowledge_reason: str = ""  # why not
    message_id: str = ""  # RFC 5322 Message-ID with its angle brackets
    references: tuple[str, ...] = ()  # oldest first, In-Reply-To included
    content_key: str = ""  # the same mail in two mailboxes has the same key
    language: str = ""  # where the source says so (a form's field); else the hub detects it
    order_numbers: tuple[str, ...] = ()  # from a field made for it; the hub looks in the text itself
    attachments: tuple[Attachment, ...] = ()
    account: str = ""
    account_name: str = ""
    account_email: str = ""
    remote_case: str = ""
    remote_id: str = ""
    opens_case: bool = False  # never joins an older case (an open form is a claim)
    bounced: tuple[str, ...] = ()  # addresses that this mail says cannot be reached
    facts: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `kind` is ``call``, ``order`` or ``note``; `key` names it for ever.

    Several events with one key are the stages of one thing (a call rings, is answered, ends):
    the hub keeps one entry and merges `data`, later stages over earlier ones.
    """

    kind: str
    key: str
    customer: Identity
    at: datetime
    direction: Direction = Direction.IN
    title: str = ""
    account: str = ""
    account_name: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a CRM knows of a customer. `identities` are those the CRM says belong together."""

    remote_id: str
    name: str = ""
    segment: str = ""
    language: str = ""
    identities: tuple[Identity, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What a shop or CRM knows of an order. `owners` are the identities it belongs to."""

    number: str
    state: str = ""
    owners: tuple[Identity, ...] = ()
    placed_at: datetime | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


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
class Request:
    """An HTTP request for a component that `Accepts`. `path` is what follows its own address."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    query: Mapping[str, str]
    body: bytes
    remote: str
    form: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Upload, ...] = ()


@dataclass(frozen=True, slots=True)
class Upload:
    """A file sent with a form."""

    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What the hub answers on HTTP, after the raws are committed."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The outcome of `accept`: raws to commit, and the reply that leaves after the commit."""

    raws: tuple[Raw, ...]
    reply: Reply


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
