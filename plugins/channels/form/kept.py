"""An entry as the hub keeps it: canonical bytes, and what is read from them, today or in years."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hub.rules.identities import canonical
from hub.sdk import Attachment, Direction, Identity, Message, Proof, Rejected

from .entry import REQUIRED, Entry
from .files import named

OPEN_FORM = "an open form is a claim"
_NO_ACKNOWLEDGEMENT = f"{OPEN_FORM}: anybody can type anybody's address into it"
_REASONS = {
    "verified": "the website vouches for the address (signed form)",
    "expired": f"{OPEN_FORM}; its signature had expired",
    "wrong": f"{OPEN_FORM}; its signature does not fit",
}


_KEYS = {"received", "fields", "page", "language", "signed", "files"}


def to_bytes(entry: Entry, received: datetime, signed: str) -> bytes:
    """The canonical bytes. `signed` is what became of the signature: verified, expired, wrong or empty."""
    kept = {
        "version": 1,
        "received": received.astimezone(UTC).isoformat(),
        "fields": {name: value for name, value in entry.fields.items() if value},
        "page": {n: v for n, v in entry.hidden.items() if v and n not in ("signed_at", "signature")},
        "language": entry.language,
        "signed": signed,
        "files": [
            {"name": f.name, "content_type": f.content_type, "data": base64.b64encode(f.data).decode()}
            for f in map(named, entry.files)
        ],
    }
    return json.dumps(kept, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _load(data: bytes) -> dict[str, Any]:
    try:
        kept = json.loads(data)
        if kept["version"] == 1 and kept.keys() >= _KEYS and kept["fields"].keys() >= set(REQUIRED):
            return dict(kept)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    raise Rejected("these bytes are no entry of this form")


def to_message(data: bytes) -> Message:
    """The message in an entry's bytes. Raises Rejected for other bytes."""
    kept = _load(data)
    fields, page, signed = kept["fields"], kept["page"], kept["signed"]
    verified = signed == "verified"
    sender = Identity("email", fields["email"], fields["name"])
    sender = canonical(sender, "") or sender
    facts = page | {name: fields[name] for name in ("phone",) if name in fields}
    return Message(
        direction=Direction.IN,
        sender=sender,
        customer=sender,
        at=datetime.fromisoformat(kept["received"]),
        subject=fields["subject"],
        text=fields["message"],
        reply=fields["message"],
        proof=Proof.VERIFIED if verified else Proof.CLAIMED,
        proof_reason=_REASONS.get(signed, OPEN_FORM),
        may_acknowledge=verified,
        acknowledge_reason="" if verified else _NO_ACKNOWLEDGEMENT,
        language=kept["language"],
        order_numbers=(fields["order"].upper(),) if "order" in fields else (),
        attachments=tuple(_attachment(number, file)[0] for number, file in enumerate(kept["files"])),
        opens_case=True,
        facts=facts,
    )


def to_attachment(data: bytes, part: int) -> tuple[Attachment, bytes]:
    """A file of an entry. Raises Rejected for other bytes, and where there is no such file."""
    kept = _load(data)
    if not 0 <= part < len(kept["files"]):
        raise Rejected(f"this entry has no file {part}")
    return _attachment(part, kept["files"][part])


def _attachment(part: int, file: Mapping[str, str]) -> tuple[Attachment, bytes]:
    content = base64.b64decode(file["data"])
    digest = hashlib.sha256(content).hexdigest()
    return Attachment(file["name"], file["content_type"], len(content), digest, part=part), content
