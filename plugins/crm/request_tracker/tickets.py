"""Tickets: found by their case number, created once, changed only where they differ."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hub.sdk import Case, ConfigError, Context, Effect, Identity, Rejected

from .client import Client, custom_field, quoted, segment
from .fields import case_values, clean, differing, held, meant, one_line, require_case_field, shortened
from .settings import RequestTrackerSettings

_ADDRESS = re.compile(r"[^\s,;:<>()\"\\@]+@[^\s,;:<>()\"\\@]+")
_NOT_IN_NAMES = re.compile(r"[\"\\<>,;:@()\x00-\x1f\x7f]+")
_CLOCKS = timedelta(minutes=10)
"""How far apart the clocks of the hub and of RT may be."""


class Tickets:
    """The tickets of one queue."""

    def __init__(self, settings: RequestTrackerSettings, context: Context, client: Client) -> None:
        self._settings = settings
        self._context = context
        self._client = client
        self._queue: dict[str, Any] | None = None
        self._said: set[str] = set()

    # --- upsert

    def save(self, case: Case, effect: Effect) -> str:
        """Create the ticket of `case`, or bring its fields up to date; the same case twice changes nothing."""
        wanted = case_values(case, self._settings.fields, self._settings.language)
        known = self._known(case.number, effect)
        ticket = self._load(known) if known else next(iter(self._tickets_of(case)), None)
        if ticket is None:
            ticket = self._create(case, wanted)
        if self._belongs_to_other(ticket, case.number):
            # Agents merged our ticket into another case's: its fields are that case's now.
            return effect.known.get("case", str(ticket["id"]))
        self._write(ticket, wanted)
        return str(ticket["id"])

    def set_field(self, ticket: Mapping[str, Any], name: str, value: str, number: str) -> None:
        """Bring one field up to date, unless the ticket belongs to another case by now."""
        if name and not self._belongs_to_other(ticket, number):
            self._write(ticket, {name: value})

    def require(self, number: str, effect: Effect) -> dict[str, Any]:
        """The ticket of a case. Raises Rejected where there is none."""
        ticket = self.find(number, effect)
        if ticket is None:
            raise Rejected(f"Request Tracker has no ticket of case {number}; replay what creates it first")
        return ticket

    def queue(self) -> dict[str, Any]:
        """The queue's record, asked once: its custom fields and its address."""
        if self._queue is None:
            self._queue = self.look_at_queue(self._settings.queue, "queue")
        return self._queue

    def look_at_queue(self, name: str, path: str) -> dict[str, Any]:
        """A queue's record. Raises ConfigError naming the setting `path`."""
        try:
            found: dict[str, Any] = self._client.get(f"queue/{segment(name)}")
        except (ConfigError, Rejected) as error:
            if isinstance(error, ConfigError) and error.path != "queue":
                raise
            # RT says 403 for a queue that does not exist as well.
            raise ConfigError(
                f"there is no queue {name!r} that the hub's user may see{meant(name, self._queues())}", path=path
            ) from error
        return found

    def _queues(self) -> list[str]:
        found = self._client.items("queues/all", {"fields": "Name"})
        return [str(q["Name"]) for q in found if q.get("Name")]

    # --- finding

    def find(self, number: str, effect: Effect) -> dict[str, Any] | None:
        """The ticket of a case: by its known id, else by the case number."""
        known = self._known(number, effect)
        if known:
            return self._load(known)
        found = self._search(number) if number else []
        return found[0] if found else None

    def _known(self, number: str, effect: Effect) -> str | None:
        return effect.known.get("case") or self._context.state.get(_unmarked(number))

    def _tickets_of(self, case: Case) -> list[dict[str, Any]]:
        """Tickets that carry the number of `case` and may be its own.

        A hub whose database was lost, or restored from a backup, counts from an older number again.
        The tickets that have those numbers already are other people's, and stay theirs.
        """
        return [t for t in self._search(case.number) if not _is_anothers(t, case)]

    def _load(self, ticket: str) -> dict[str, Any]:
        """A ticket by its id; for a merged one RT gives the ticket it went into."""
        found: dict[str, Any] = self._client.get(f"ticket/{segment(ticket)}")
        return found

    def _search(self, number: str) -> list[dict[str, Any]]:
        """Tickets that carry exactly this case number, oldest first."""
        name = self._settings.fields.case
        query = f"{custom_field(name)} = {quoted(number)}"
        parameters = {
            "query": query,
            "fields": "CustomFields,Status,Created,Requestor",
            "fields[Requestor]": "EmailAddress",
            "orderby": "id",
            "order": "ASC",
        }
        # Databases compare without regard to case, and some to accents; a case number is exact.
        found = [t for t in self._client.items("tickets", parameters) if held(t).get(name) == number]
        return sorted(found, key=lambda t: int(t["id"]))

    def _belongs_to_other(self, ticket: Mapping[str, Any], number: str) -> bool:
        return held(ticket).get(self._settings.fields.case, "") not in ("", number)

    # --- writing

    def _create(self, case: Case, wanted: Mapping[str, str]) -> dict[str, Any]:
        """Create, then look at what RT kept: it drops an unknown custom field in silence, with 201."""
        names = [f["name"] for f in self.queue().get("TicketCustomFields") or ()]
        try:
            require_case_field(self._settings.fields.case, self._settings.queue, names)
        except ConfigError:
            self._queue = None  # look again at the next try: somebody may have created the field
            raise
        body = {
            "Queue": self._settings.queue,
            "Subject": one_line(case.subject) or case.number,
            "Content": clean(case.first_text) or one_line(case.subject) or case.number,
            "ContentType": "text/plain",
            "CustomFields": {name: value for name, value in wanted.items() if value},
        }
        if requestor := address(case.requester):
            body["Requestor"] = requestor
        made = self._client.create("ticket", body)
        twins = self._tickets_of(case)
        if not twins:
            # The rights of the hub's user do not reach the field. The ticket must not be made again.
            self._context.state.set(_unmarked(case.number), made)
            return self._load(made)
        if str(twins[0]["id"]) != made:
            # A request that we held for lost was still at work. One ticket per case: the older one stays.
            self._client.put(f"ticket/{segment(made)}", {"MergeInto": int(twins[0]["id"])})
        return twins[0]

    def _write(self, ticket: Mapping[str, Any], wanted: Mapping[str, str]) -> None:
        """Write what differs, and look whether it stayed. Raises ConfigError when the case number did not."""
        changed = differing(wanted, ticket)
        if changed:
            if short := shortened(changed, ticket):
                self._client.put(f"ticket/{ticket['id']}", {"CustomFields": short})
            self._client.put(f"ticket/{ticket['id']}", {"CustomFields": changed})
            ticket = self._load(str(ticket["id"]))
        there = held(ticket)
        name = self._settings.fields.case
        if name in changed and not there.get(name):
            raise ConfigError(
                f"Request Tracker did not keep the case number in {name!r} of ticket {ticket['id']}: grant the "
                "hub's user SeeCustomField and ModifyCustomField",
                path="fields.case",
            )
        lost = [n for n, value in wanted.items() if value and not there.get(n)]
        for missing in [n for n in lost if n not in self._said]:
            self._said.add(missing)
            self._context.log.warning(
                "custom field not kept", field=missing, ticket=str(ticket["id"]), hint=meant(missing, there)
            )


def address(who: Identity) -> str:
    """Name and address as RT takes them; empty for an identity without mail.

    A display name is the writer's own words: without its punctuation it cannot name a second address.
    """
    if who.kind != "email" or not _ADDRESS.fullmatch(who.value):
        return ""
    name = re.sub(r"\s+", " ", _NOT_IN_NAMES.sub(" ", who.name)).strip()
    return f'"{name}" <{who.value}>' if name else who.value


def _is_anothers(ticket: Mapping[str, Any], case: Case) -> bool:
    """Whether a ticket with the number of `case` is older than the case, and of another requestor.

    Both, because each alone may mislead: clocks differ, and RT may rewrite addresses.
    """
    there = {str(r.get("EmailAddress") or "").lower() for r in ticket.get("Requestor") or ()}
    own = {case.requester.value.lower()} if address(case.requester) else set()
    created = str(ticket.get("Created") or "")
    return there != own and bool(created) and datetime.fromisoformat(created) < case.opened_at - _CLOCKS


def _unmarked(number: str) -> str:
    """Key of the state that remembers a ticket whose case number RT did not keep."""
    return f"unmarked/{number}"
