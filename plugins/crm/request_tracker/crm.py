"""The component `request_tracker`: what the hub may ask of a Request Tracker 5, method by method."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hub.sdk import CRM, Case, Context, Effect, Event, Message, Notice, Page, Raw, Rejected, Suggestion

from . import checks, comment, gate, voices
from .changes import Changes
from .client import Client, segment
from .reading import read_transaction
from .settings import RequestTrackerSettings
from .tickets import Tickets


class RequestTracker(CRM[RequestTrackerSettings]):
    """Tickets in one queue. Agents keep working in RT; RT sends what they write."""

    name = "request_tracker"
    settings_model = RequestTrackerSettings
    summary = "Request Tracker 5: cases as tickets, suggested answers beside them, agents' replies back."
    settle: float = 10.0
    """Seconds an interrupted request may still be at work in RT; the setting of this name decides."""

    def __init__(self, settings: RequestTrackerSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.interval = settings.interval
        self.settle = settings.settle
        token = settings.token.get_secret_value()
        self._client = Client(settings.address, token, context.http, settings.request_timeout)
        self._tickets = Tickets(settings, context, self._client)
        self._changes = Changes(settings, self._client)

    def check(self) -> list[Notice]:
        """Token, queues, custom fields, rights, two voices, mail gate. Changes nothing."""
        return checks.check(self.settings, self._client, self._tickets, self._changes)

    # --- cases

    def save_case(self, case: Case, effect: Effect) -> str:
        """The ticket's id. Found by its known id, else by the case number, else created."""
        return self._tickets.save(case, effect)

    def add_message(self, case: Case, message: Message, effect: Effect) -> str:
        """The id of the transaction that holds the customer's further words, filed once.

        A machine's words become an internal comment: they must not reopen a ticket. So do those of
        customers without an address, and all of them where the mail gate is not used. And so do
        those of anybody but this case's customer: RT mails what others correspond to its requestor,
        who may be a stranger to whoever forwarded a mail of the case.
        """
        ticket = self._tickets.require(case.number, effect)
        number = str(ticket["id"])
        found = self._marked(number, effect)
        if found:
            return found
        who = message.customer
        theirs = any((who.kind, who.value.lower()) == (i.kind, i.value.lower()) for i in case.customer.identities)
        if message.automatic or not theirs or not self.settings.gate or not gate.can_file(message):
            words = comment.words_comment(case, message, self.settings.language, comment.mark(effect.key))
            return self._comment(number, case.number, words, effect)
        mail = gate.as_mail(case, message, comment.mark(effect.key), self._errors_to())
        gate.file_mail(self._client, self.settings.gate, self.settings.queue, number, mail)
        found = self._marked(number, effect)
        if not found:
            raise Rejected(
                f"RT's mail gate said ok, yet ticket {number} does not hold the customer's words; see RT's log"
            )
        return found

    def show(self, case: Case, suggestions: list[Suggestion], effect: Effect) -> str:
        """The field `answers` follows the newest suggestions; one comment a customer message, never changed."""
        ticket = self._tickets.require(case.number, effect)
        language, names = self.settings.language, self.settings.fields
        self._tickets.set_field(ticket, names.answers, comment.answers_text(suggestions, language), case.number)
        number = str(ticket["id"])
        found = self._marked(number, effect)
        if found:
            return found
        words = comment.suggestions_comment(case, suggestions, names, language, comment.mark(effect.key))
        return self._comment(number, case.number, words, effect)

    def find(self, ability: str, effect: Effect) -> str | None:
        """The transaction that carries the mark of `effect`. `save_case` looks by itself, so it may be repeated."""
        if ability == "save_case":
            # Asked all the same: "nothing there" without a question would pass for a sign of life of a dead RT.
            self._client.get("rt")
            return None
        ticket = self._tickets.find(effect.known.get("number", ""), effect)
        return self._marked(str(ticket["id"]), effect) if ticket else None

    def speaks(self, remote_case: str) -> str | None:
        """Whether RT acknowledged this ticket by itself. Needs the right ShowOutgoingEmail, else it seems silent."""
        return voices.speaks(self._client, self._changes, int(remote_case)) if remote_case.isdecimal() else None

    # --- what agents do

    def changes(self, cursor: Mapping[str, Any]) -> Iterator[Page]:
        """Correspondence since `cursor`; from an empty one on, nothing older than now."""
        return self._changes.pages(cursor)

    def read(self, raw: Raw) -> list[Message | Event]:
        """The message of a stored transaction. Pure."""
        return list(read_transaction(raw, self.context.id))

    # --- effects

    def _marked(self, ticket: str, effect: Effect) -> str | None:
        """The first transaction of a ticket whose headers carry the effect's mark."""
        carries = {"field": "Headers", "operator": "LIKE", "value": comment.mark(effect.key)}
        parameters = {"query": json.dumps([carries]), "fields": "TransactionId"}
        found = self._client.items(f"ticket/{segment(ticket)}/attachments", parameters)
        numbers = [int(a["TransactionId"]) for a in found]
        return str(min(numbers)) if numbers else None

    def _comment(self, ticket: str, number: str, words: str, effect: Effect) -> str:
        body = {
            "Subject": comment.subject(number, comment.mark(effect.key)),
            "Content": words,
            "ContentType": "text/plain",
        }
        return self._client.create(f"ticket/{segment(ticket)}/comment", body)

    def _errors_to(self) -> str:
        """RFC 5321, section 4.5.1: every domain that takes mail has a postmaster."""
        domain = str(self._tickets.queue().get("CorrespondAddress") or "").rpartition("@")[2]
        return f"postmaster@{domain}" if domain else ""
