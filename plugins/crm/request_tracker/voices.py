"""Does Request Tracker greet the customer beside the hub? Its own records of outgoing mail tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import getaddresses
from typing import Any

from .changes import Changes, mail_headers
from .client import Client

_TYPES = "Type = 'Create' OR Type = 'Correspond' OR Type = 'EmailRecord'"


def speaks(client: Client, changes: Changes, ticket: int) -> str | None:
    """A sentence that says which queue spoke and what to do, or an empty string; None where it cannot be told."""
    found = changes.tickets([ticket])
    if ticket not in found:
        return None
    parameters = {"query": f"TicketId = {ticket} AND ({_TYPES})", "fields": "Type", "orderby": "id", "order": "ASC"}
    listed = client.items("transactions", parameters)
    parts = changes.attachments(int(t["id"]) for t in listed if t["Type"] == "EmailRecord")
    requestors = [r["EmailAddress"].lower() for r in found[ticket].get("Requestor") or () if r.get("EmailAddress")]
    if not _greeted(listed, parts, requestors):
        return ""
    queue = (found[ticket].get("Queue") or {}).get("Name") or "?"
    return (
        f"queue {queue} of Request Tracker sends customers an automatic reply of its own (ticket {ticket}): disable "
        f'its scrip "On Create Autoreply To Requestors", or set acknowledge = "desk" for these channels'
    )


def _greeted(
    listed: Sequence[Mapping[str, Any]], parts: Mapping[int, Sequence[Mapping[str, Any]]], requestors: Sequence[str]
) -> bool:
    """An automatic reply at any time, or any mail to a requestor before a person answered."""
    answered = False
    for item in listed:
        answered |= item["Type"] == "Correspond"
        if item["Type"] != "EmailRecord":
            continue
        mail = mail_headers(parts.get(int(item["id"]), ()))
        to = {address.lower() for _, address in getaddresses([mail["to"]])}
        if to.isdisjoint(requestors):
            continue  # agents hear of new tickets as well
        if not answered or mail["headers"].get("auto-submitted", "").lower().startswith("auto-replied"):
            return True
    return False
