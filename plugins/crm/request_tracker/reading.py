"""A transaction as it was stored, to a message on the timeline. Pure, so it can be read again in years."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import getaddresses
from typing import Any

from hub.mail.visible import visible_text
from hub.rules.autoreply import judge
from hub.rules.quoting import split
from hub.sdk import Direction, Identity, Message, Proof, Raw, Rejected

VERSION = 1
"""Shape of the stored JSON; raised when a field changes its meaning."""

_ID = re.compile(r"<[^<>\s]+>")
_ROBOTS = ("RT_System", "Nobody")

Record = Mapping[str, Any]


def read_transaction(raw: Raw, instance: str) -> list[Message]:
    """The message in a raw. Raises Rejected where the bytes are not one of our records: they are kept unread."""
    try:
        return [_message(json.loads(raw.data), instance)]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise Rejected("this is no transaction of Request Tracker as the hub stores it") from error


def is_customers(record: Record) -> bool:
    """Whether the customer's side wrote it: a requestor, a Cc, or a stranger who came by mail.

    RT hides who is privileged from most users. But whoever first comes by mail gets an account
    that is called like their address, which people with a login rarely are.
    """
    creator = record["creator"]
    email = creator["email"].lower()
    if email and email in {*(r["email"].lower() for r in record["requestors"]), *(c.lower() for c in record["ccs"])}:
        return True
    stranger = email != "" and creator["name"].lower() == email and not creator["privileged"]
    return stranger and record["headers"].get("x-rt-interface") == "Email"


def _message(record: Record, instance: str) -> Message:
    creator, incoming = record["creator"], is_customers(record)
    sender = Identity("email", creator["email"], creator["real_name"])
    html = record["content"] if record["content_type"] == "text/html" else ""
    words = visible_text(html) if html else record["content"]
    parts = split(words)
    own = record["headers"].get("message-id", "")
    sent = _sent_to_customer(record)
    message_id = sent["headers"].get("message-id", "") if sent else own
    return Message(
        direction=Direction.IN if incoming else Direction.OUT,
        sender=sender,
        customer=sender if incoming else _customer(record, instance),
        at=datetime.fromisoformat(record["at"]).astimezone(UTC),
        subject=record["subject"],
        text=words,
        html=html,
        reply=parts.reply,
        signature=parts.signature,
        proof=Proof.CLAIMED if incoming else Proof.VERIFIED,
        proof_reason="the desk took the mail; who sent it was not proven" if incoming else "a login in the desk",
        automatic=_automatic(record, incoming=incoming),
        acknowledge_reason="written in the desk",
        message_id=message_id or own,
        references=_references(record, message_id or own),
        account="" if incoming else creator["name"],
        account_name="" if incoming else creator["real_name"],
        account_email="" if incoming else creator["email"],
        remote_case=str(record["ticket"]),
        remote_id=str(record["transaction"]),
        facts=_facts(record),
    )


def _customer(record: Record, instance: str) -> Identity:
    if record["requestors"]:
        first = record["requestors"][0]
        return Identity("email", first["email"], first["name"])
    return Identity("crm", f"{instance}:ticket/{record['ticket']}")


def _sent_to_customer(record: Record) -> Record | None:
    """The mail that carried the reply to a requestor, else the first that carried it to anybody."""
    requestors = {r["email"].lower() for r in record["requestors"]}
    sent: list[Record] = record["sent"]
    for mail in sent:
        if requestors & {address.lower() for _, address in getaddresses([mail["to"]])}:
            return mail
    return sent[0] if sent else None


def _references(record: Record, own: str) -> tuple[str, ...]:
    """Every ID by which a customer's answer may name this reply, oldest first.

    RT gives the mails it sends IDs of their own and puts `<RT-Ticket-N@organization>` before all
    others: that one holds a ticket's mails together even where a record is missing.
    """
    found: list[str] = []
    for headers in (*(mail["headers"] for mail in record["sent"]), record["headers"]):
        for name in ("references", "in-reply-to", "message-id"):
            found += _ID.findall(headers.get(name, ""))
    return tuple(dict.fromkeys(i for i in found if i != own))


def _automatic(record: Record, *, incoming: bool) -> str:
    """Why a machine wrote it. RT files vacation notes as correspondence like everything else."""
    if incoming:
        return judge({name: [value] for name, value in record["headers"].items()}).automatic
    return "written by Request Tracker itself" if record["creator"]["name"] in _ROBOTS else ""


def _facts(record: Record) -> dict[str, str]:
    facts = {"queue": record["queue"], "desk_message_id": record["headers"].get("message-id", "")}
    if record["files"]:
        facts["files"] = ", ".join(record["files"])
    return {key: value for key, value in facts.items() if value}
