"""Orders of events that are rare on a real Request Tracker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from hub.testing import START, values
from plugins.crm.request_tracker.changes import GRACE, OVERLAP, Changes
from plugins.crm.request_tracker.settings import RequestTrackerSettings

SETTINGS = RequestTrackerSettings.model_validate(
    {"url": "http://rt.example/", "token": "1-2-3", "queue": "Support", "fields": {"case": "Case"}}
)


class FakeRT:
    """What `Changes` asks of a client, answered from lists."""

    def __init__(self) -> None:
        self.clock: datetime | None = START
        self.transactions: list[dict[str, Any]] = []

    def add(self, number: int, kind: str = "Correspond", *, age: timedelta = timedelta(0), **changes: Any) -> None:
        creator = {
            "Name": "agent1",
            "EmailAddress": "agent1@shop.example",
            "RealName": "Amina Diallo",
            "Privileged": "",
        }
        made = {
            "id": str(number),
            "Type": kind,
            "ObjectId": "7",
            "Creator": creator,
            "headers": "To: alice@customer.example",
        }
        self.transactions.append(made | {"Created": (START - age).isoformat(), **changes})

    def get(self, path: str, parameters: Any = None) -> Any:
        if path == "transactions":
            return {"items": sorted(self.transactions, key=lambda t: -int(t["id"]))}
        return {"Content": "Qm9uam91cg=="}

    def items(self, path: str, parameters: Any, body: Any = None) -> list[dict[str, Any]]:
        return [item for page in self.pages(path, parameters, body) for item in page]

    def pages(self, path: str, parameters: Any, body: Any = None) -> Iterator[list[dict[str, Any]]]:
        if path == "tickets":
            yield [
                {
                    "id": "7",
                    "Requestor": [{"EmailAddress": values.ALICE.value}],
                    "CustomFields": [{"name": "Case", "values": ["TR-1"]}],
                }
            ]
        elif path == "attachments":
            wanted = {str(limit["value"]) for limit in body}
            yield [self._attachment(t) for t in self.transactions if t["id"] in wanted]
        else:
            kind = re.search(r"Type = '(\w+)'", parameters["query"])
            after = re.search(r"id > (\d+)", parameters["query"])
            assert kind
            assert after
            found = [t for t in self.transactions if t["Type"] == kind[1] and int(t["id"]) > int(after[1])]
            yield sorted(found, key=lambda t: int(t["id"]))

    def _attachment(self, of: dict[str, Any]) -> dict[str, Any]:
        headers = f"Message-ID: <m{of['id']}@desk.example>\n{of['headers']}"
        return {"id": of["id"], "TransactionId": of["id"], "ContentType": "text/plain", "Headers": headers}


class Poller:
    """Polls as the hub does, and keeps the cursor as the database does."""

    def __init__(self) -> None:
        self.rt = FakeRT()
        self.changes = Changes(SETTINGS, self.rt)  # type: ignore[arg-type]
        self.cursor: dict[str, Any] = {}

    def poll(self) -> list[str]:
        keys = []
        for page in self.changes.pages(self.cursor):
            self.cursor = dict(page.cursor)
            keys += [raw.key for raw in page.raws]
        return keys


def test_what_was_said_before_is_not_imported() -> None:
    poller = Poller()
    poller.rt.add(5)
    assert poller.poll() == []
    assert poller.poll() == []
    poller.rt.add(8)
    poller.rt.add(9, "EmailRecord")
    assert poller.poll() == ["transaction/8"]
    assert poller.poll() == []


def test_a_reply_waits_for_the_record_of_its_mail() -> None:
    poller = Poller()
    poller.poll()
    poller.rt.add(8)
    poller.rt.add(10, age=GRACE)  # of a queue that mails nothing: it has waited long enough
    assert poller.poll() == ["transaction/10"]
    assert poller.poll() == []
    poller.rt.add(9, "EmailRecord")
    assert poller.poll() == ["transaction/8"]


def test_a_transaction_that_was_committed_late_is_seen() -> None:
    poller = Poller()
    poller.poll()
    poller.rt.add(12, age=GRACE)
    assert poller.poll() == ["transaction/12"]
    poller.rt.add(11, age=GRACE)
    assert poller.poll() == ["transaction/11"]
    assert poller.cursor == {"after": 0, "seen": [11, 12]}
    assert poller.rt.clock
    poller.rt.clock += OVERLAP
    assert poller.poll() == []
    assert poller.cursor == {"after": 12, "seen": []}


def test_what_the_hub_filed_itself_is_left_out() -> None:
    poller = Poller()
    poller.poll()
    poller.rt.add(8, headers="X-Tresse-Effect: abc")
    assert poller.poll() == []
    assert poller.cursor["seen"] == [8]


def test_one_poll_without_news_is_one_question() -> None:
    poller = Poller()
    poller.poll()
    asked = []
    pages = poller.rt.pages
    poller.rt.pages = lambda *a, **k: asked.append(a[0]) or pages(*a, **k)  # type: ignore[method-assign,func-returns-value]
    poller.poll()
    assert asked == ["transactions"]
