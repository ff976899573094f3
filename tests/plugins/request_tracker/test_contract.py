"""The hub's contract, kept by `request_tracker` against a real Request Tracker 5."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hub.sdk import Effect, Raw
from hub.testing import (
    AddsMessagesContract,
    ComponentContract,
    KeepsCasesContract,
    ReadsContract,
    ReportsChangesContract,
    ShowsSuggestionsContract,
    closed_port,
    values,
)
from plugins.crm.request_tracker.crm import RequestTracker as Desk
from tests.plugins.request_tracker.world import FIELDS
from tests.servers.rt import RequestTracker

OPENING = Effect("opening")


class TestRequestTrackerContract(
    ComponentContract, KeepsCasesContract, AddsMessagesContract, ShowsSuggestionsContract, ReportsChangesContract
):
    component = Desk

    @pytest.fixture(autouse=True)
    def _desk(self, request_tracker: RequestTracker) -> Iterator[None]:
        """The contract's case has one number for all tests: each leaves its tickets without it."""
        self.rt = request_tracker
        self.before = len(request_tracker.tickets())
        yield
        for ticket in self.cases():
            self.rt.call("PUT", f"ticket/{ticket['id']}", json={"CustomFields": {"Case": None}})

    def settings(self) -> dict[str, Any]:
        return {"url": self.rt.url, "token": self.rt.token, "queue": "Support", "fields": FIELDS}

    def outage(self) -> dict[str, Any]:
        return self.settings() | {"url": f"http://127.0.0.1:{closed_port()}"}

    def refused(self) -> dict[str, Any]:
        return self.settings() | {"token": "1-14-0123456789abcdef"}

    def cases(self) -> list[Any]:
        keep = ("id", "Subject", "Status", "fields", "requestors")
        return [{k: t[k] for k in keep} for t in self.rt.tickets("id > 0")[self.before :]]

    def messages(self, remote_case: str) -> list[Any]:
        return self.rt.history(remote_case, "Correspond", "Comment")

    def shown(self, remote_case: str) -> list[Any]:
        (ticket,) = self.rt.tickets(f"id = {remote_case}")
        return [ticket["fields"]["Answers"], *self.rt.history(remote_case, "Comment")]

    def arrive(self, count: int) -> None:
        ticket = self.make().save_case(values.case(), OPENING)
        for number in range(count):
            self.rt.reply("agent1", ticket, f"réponse {number}")


def a_transaction(**changes: Any) -> Raw:
    record = {
        "version": 1,
        "transaction": 60,
        "ticket": 7,
        "at": "2026-03-02T09:30:00Z",
        "subject": "Où est ma commande ?",
        "queue": "Support",
        "creator": {"name": "agent1", "email": "agent1@shop.example", "real_name": "Amina Diallo", "privileged": False},
        "requestors": [{"email": "alice@customer.example", "name": "Alice"}],
        "ccs": [],
        "headers": {"message-id": "<rt-1.7-0-0@desk.example>", "x-rt-interface": "Web"},
        "sent": [
            {
                "transaction": 61,
                "ticket": 7,
                "to": "Alice <alice@customer.example>",
                "headers": {"message-id": "<rt-2.7-5-0@desk.example>", "references": "<RT-Ticket-7@desk.example>"},
            }
        ],
        "content_type": "text/plain",
        "content": "Bonjour,\nvoici.",
        "files": [],
    }
    return Raw("transaction/60", json.dumps(record | changes).encode())


class TestReading(ReadsContract):
    component = Desk

    def raws(self) -> list[Raw]:
        return [
            a_transaction(),
            a_transaction(content_type="text/html", content="<p>Bonjour<br>voici</p>", requestors=[]),
            a_transaction(creator={"name": "RT_System", "email": "", "real_name": "", "privileged": False}, sent=[]),
        ]

    def test_the_mail_the_customer_saw_names_the_reply(self) -> None:
        (reply,) = self.make().read(a_transaction())
        assert reply.message_id == "<rt-2.7-5-0@desk.example>"
        assert reply.references == ("<RT-Ticket-7@desk.example>", "<rt-1.7-0-0@desk.example>")

    def test_without_a_requestor_the_ticket_is_the_customer(self) -> None:
        (reply,) = self.make().read(a_transaction(requestors=[]))
        assert (reply.customer.kind, reply.customer.value) == ("crm", "under-test:ticket/7")

    def test_what_rt_says_by_itself_is_automatic(self) -> None:
        robot = {"name": "RT_System", "email": "", "real_name": "", "privileged": False}
        (reply,) = self.make().read(a_transaction(creator=robot))
        assert reply.automatic
