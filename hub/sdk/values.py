"""What comes in: frozen values, no behaviour, no I/O.

What goes out is in hub/sdk/cases.py, HTTP in hub/sdk/exchange.py. Times are timezone-aware UTC
datetimes, sizes are bytes, durations are seconds.
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
    `facts` are small facts of the transport that are not in the bytes (mailbox, remote address). Two of them
    the hub understands: ``received``, when the source got it (ISO 8601), and ``sender``, who seems to have
    sent it, so that a flood of one sender waits behind everybody else (a claim is enough; hub/flow.py).
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
