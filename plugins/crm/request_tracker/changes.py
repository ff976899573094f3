"""Agents' replies, read incrementally from RT's transactions.

RT 5 has no outgoing webhooks, so transactions are asked for by id. Three things make that less
plain than it looks:

- Two transactions may be committed in another order than their ids. So the cursor stays behind the
  newest id for `OVERLAP` and remembers which later ones were already handed over.
- The mail that carries a reply to the customer has a Message-ID of its own, in an `EmailRecord`
  transaction that RT writes a moment after the reply. A reply without one waits for `GRACE`.
- What the hub itself filed through the mail gate comes back as the customer's correspondence. It
  carries our header and is left out, and so are tickets that carry no case number.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from email.message import Message as Headers
from email.parser import HeaderParser
from typing import Any

from hub.rules.autoreply import HEADERS
from hub.sdk import Page, Raw

from .client import Client, Parameters, quoted
from .fields import held
from .gate import EFFECT
from .reading import VERSION, is_customers
from .settings import RequestTrackerSettings

OVERLAP = timedelta(seconds=60)
"""How long a transaction with a lower id may still appear."""
GRACE = timedelta(seconds=15)
"""How long a reply waits for the record of the mail that carried it."""
_HEADERS = HEADERS | {"in-reply-to", "references", "x-rt-interface"}
"""Headers that are kept with a transaction: those that tell a machine's mail, and those that thread it."""

Cursor = Mapping[str, Any]
Item = Mapping[str, Any]


class Changes:
    """The correspondence of some queues from a cursor on."""

    def __init__(self, settings: RequestTrackerSettings, client: Client) -> None:
        self._settings = settings
        self._client = client
        names = " OR ".join(f"TicketQueue = {quoted(q)}" for q in settings.all_queues)
        self._queues = f"({names})"

    def pages(self, cursor: Cursor) -> Iterator[Page]:
        """Pages of replies, oldest first. An empty cursor begins now: what was said before is not imported."""
        if "after" not in cursor:
            yield Page((), {"after": self._newest(), "seen": []})
            return
        after, seen = int(cursor["after"]), {int(i) for i in cursor.get("seen", ())}
        query = f"{self._queues} AND Type = 'Correspond' AND id > {after}"
        for listed in self._client.pages("transactions", _listing(query)):
            fresh = [t for t in listed if int(t["id"]) not in seen]
            raws, waiting = self._describe(fresh)
            seen |= {int(t["id"]) for t in listed} - waiting
            moved = self._move(after, seen, listed)
            if raws or moved != after or len(seen) != len(cursor.get("seen", ())):
                after, seen = moved, {i for i in seen if i > moved}
                yield Page(tuple(raws), {"after": after, "seen": sorted(seen)})

    def _newest(self) -> int:
        query: Parameters = {"query": f"{self._queues} AND id > 0", "orderby": "id", "order": "DESC", "per_page": 20}
        items = self._client.get("transactions", query).get("items") or ()
        return max((int(t["id"]) for t in items), default=0)

    def _move(self, after: int, seen: set[int], listed: Sequence[Item]) -> int:
        """How far the cursor may go: up to the first transaction that is young or still waits."""
        for item in listed:
            if int(item["id"]) not in seen or self._age(item) < OVERLAP:
                break
            after = max(after, int(item["id"]))
        return after

    def _age(self, item: Item) -> timedelta:
        created = datetime.fromisoformat(item["Created"])
        return (self._client.clock or created + OVERLAP) - created

    # --- the parts of a page, each with one request

    def _describe(self, fresh: Sequence[Item]) -> tuple[list[Raw], set[int]]:
        """Raws for `fresh`, and the ids of those that have to wait for the record of their mail."""
        if not fresh:
            return [], set()
        tickets = self.tickets({int(t["ObjectId"]) for t in fresh})
        parts = self.attachments(int(t["id"]) for t in fresh)
        ours = [t for t in fresh if _concerns_us(t, tickets, parts, self._settings.fields.case)]
        records = self._records(ours)
        raws, waiting = [], set()
        for item in ours:
            number, ticket = int(item["id"]), tickets[int(item["ObjectId"])]
            record = _record(item, ticket, parts.get(number, []))
            record["sent"] = _between(number, int(item["ObjectId"]), ours, records)
            if _lacks_its_mail(record) and self._age(item) < GRACE:
                waiting.add(number)
                continue
            record |= self._words(parts.get(number, []))
            data = json.dumps(record, ensure_ascii=False, sort_keys=True).encode()
            raws.append(Raw(f"transaction/{number}", data))
        return raws, waiting

    def tickets(self, ids: Iterable[int]) -> dict[int, Item]:
        parameters = {
            "query": " OR ".join(f"id = {i}" for i in sorted(ids)),
            "fields": "Subject,Queue,Requestor,Cc,CustomFields",
            "fields[Queue]": "Name",
            "fields[Requestor]": "EmailAddress,RealName",
            "fields[Cc]": "EmailAddress",
        }
        return {int(t["id"]): t for t in self._client.items("tickets", parameters)}

    def attachments(self, transactions: Iterable[int]) -> dict[int, list[Item]]:
        """The parts of each transaction, without their content, which may be large."""
        body = [{"field": "TransactionId", "operator": "=", "value": i} for i in sorted(transactions)]
        parameters = {"fields": "TransactionId,ContentType,Filename,Headers"}
        found: dict[int, list[Item]] = {}
        if body:
            for part in sorted(self._client.items("attachments", parameters, body), key=lambda a: int(a["id"])):
                found.setdefault(_id_of(part["TransactionId"]), []).append(part)
        return found

    def _records(self, replies: Sequence[Item]) -> list[dict[str, Any]]:
        """What RT mailed on the tickets of `replies` since the first of them."""
        if not replies:
            return []
        tickets = " OR ".join(f"TicketId = {i}" for i in sorted({int(t["ObjectId"]) for t in replies}))
        first = min(int(t["id"]) for t in replies)
        listed = self._client.items("transactions", _listing(f"({tickets}) AND Type = 'EmailRecord' AND id > {first}"))
        parts = self.attachments(int(t["id"]) for t in listed)
        return [
            {"transaction": int(t["id"]), "ticket": int(t["ObjectId"]), **mail_headers(parts.get(int(t["id"]), []))}
            for t in listed
        ]

    def _words(self, parts: Sequence[Item]) -> dict[str, Any]:
        """The text of a reply: its plain part, else its HTML. One attachment alone comes in Base64, surely."""
        files = [str(p["Filename"]) for p in parts if p.get("Filename")]
        for kind in ("text/plain", "text/html"):
            for part in parts:
                if part.get("ContentType") == kind and not part.get("Filename"):
                    content = self._client.get(f"attachment/{part['id']}").get("Content") or ""
                    words = base64.b64decode(content).decode("utf-8", "replace")
                    return {"content_type": kind, "content": words, "files": files}
        return {"content_type": "text/plain", "content": "", "files": files}


def _listing(query: str) -> Parameters:
    return {
        "query": query,
        "orderby": "id",
        "order": "ASC",
        "fields": "Type,Created,Creator,ObjectId,Data",
        "fields[Creator]": "Name,EmailAddress,RealName,Privileged",
    }


def _id_of(value: Any) -> int:
    return int(value["id"] if isinstance(value, Mapping) else value)


def _concerns_us(item: Item, tickets: Mapping[int, Item], parts: Mapping[int, Sequence[Item]], case: str) -> bool:
    """Whether a reply is somebody's words on a ticket of ours, and not what we filed there ourselves."""
    ticket = tickets.get(int(item["ObjectId"]))
    if ticket is None or any(EFFECT in _headers(p) for p in parts.get(int(item["id"]), ())):
        return False
    # A queue without our field (agents moved the ticket there) cannot tell: the hub knows its tickets.
    return held(ticket).get(case, "unknown") != ""


def _record(item: Item, ticket: Item, parts: Sequence[Item]) -> dict[str, Any]:
    creator = item.get("Creator") or {}
    return {
        "version": VERSION,
        "transaction": int(item["id"]),
        "ticket": int(item["ObjectId"]),
        "at": item["Created"],
        "subject": ticket.get("Subject") or "",
        "queue": (ticket.get("Queue") or {}).get("Name") or "",
        "creator": {
            "name": creator.get("Name") or "",
            "email": creator.get("EmailAddress") or "",
            "real_name": creator.get("RealName") or "",
            "privileged": creator.get("Privileged") in (1, "1"),  # empty where we may not know
        },
        "requestors": [
            {"email": r["EmailAddress"], "name": r.get("RealName") or ""}
            for r in ticket.get("Requestor") or ()
            if r.get("EmailAddress")
        ],
        "ccs": [r["EmailAddress"] for r in ticket.get("Cc") or () if r.get("EmailAddress")],
        "headers": _some(_headers(parts[0])) if parts else {},
    }


def mail_headers(parts: Sequence[Item]) -> dict[str, Any]:
    """What the record of a mail says of it: its own ID, its ancestors, to whom, and whether a machine wrote it."""
    headers = _headers(parts[0]) if parts else Headers()
    return {"headers": _some(headers), "to": str(headers.get("To", ""))}


def _between(number: int, ticket: int, replies: Sequence[Item], records: Sequence[Item]) -> list[Item]:
    """The mails RT sent on this ticket after reply `number` and before the next one."""
    later = [int(t["id"]) for t in replies if int(t["ObjectId"]) == ticket and int(t["id"]) > number]
    end = min(later, default=None)
    return [
        r
        for r in records
        if r["ticket"] == ticket and r["transaction"] > number and (end is None or r["transaction"] < end)
    ]


def _lacks_its_mail(record: Item) -> bool:
    return bool(record["requestors"]) and not record["sent"] and not is_customers(record)


def _headers(part: Item) -> Headers:
    return HeaderParser().parsestr(str(part.get("Headers") or ""))


def _some(headers: Headers) -> dict[str, str]:
    return {name: str(headers[name]).strip() for name in sorted(_HEADERS) if headers.get(name)}
