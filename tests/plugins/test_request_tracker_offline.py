"""`request_tracker` without a Request Tracker: errors, and orders of events that are rare on a real one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from hub.sdk import (
    AuthError,
    Case,
    ConfigError,
    Customer,
    Direction,
    Effect,
    Identity,
    Message,
    Proof,
    Rejected,
    Unavailable,
)
from hub.testing import Answered, FarSide
from plugins.crm.request_tracker.changes import GRACE, OVERLAP, Changes
from plugins.crm.request_tracker.client import Client, quoted
from plugins.crm.request_tracker.crm import RequestTracker as Desk
from plugins.crm.request_tracker.fields import differing, one_line
from plugins.crm.request_tracker.gate import as_mail
from plugins.crm.request_tracker.settings import RequestTrackerSettings
from plugins.crm.request_tracker.tickets import address
from tests.plugins.lent import lend

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ALICE = Identity("email", "alice@customer.example", "Alice Martin")


def settings(**changes: Any) -> RequestTrackerSettings:
    values = {"url": "http://rt.example/", "token": "1-2-3", "queue": "Support", "fields": {"case": "Case"}}
    return RequestTrackerSettings.model_validate(values | changes)


@pytest.fixture
def far() -> Iterator[FarSide]:
    with FarSide() as far:
        yield far


def client(far: FarSide, timeout: float = 5.0) -> Client:
    return Client(far.address, "1-2-canary", requests.Session(), timeout)


# --- errors in four words


@pytest.mark.parametrize(
    ("status", "kind", "path"),
    [
        (401, AuthError, "token"),
        (403, ConfigError, "queue"),
        (301, ConfigError, "url"),
        (400, Rejected, ""),
        (404, Rejected, ""),
        (412, Rejected, ""),
        (422, Rejected, ""),
    ],
)
def test_statuses_are_told_apart(far: FarSide, status: int, kind: type[Exception], path: str) -> None:
    far.say("POST /REST/2.0/ticket", {"message": "because"}, status)
    with pytest.raises(kind) as caught:
        client(far).create("ticket", {})
    assert type(caught.value) is kind
    assert getattr(caught.value, "path", "") == path
    assert "canary" not in str(caught.value)


def test_a_forbidden_ticket_concerns_that_ticket_alone(far: FarSide) -> None:
    far.say("GET /REST/2.0/ticket/7", {"message": "Forbidden"}, 403)
    with pytest.raises(Rejected, match="ticket/7"):
        client(far).get("ticket/7")


@pytest.mark.parametrize(
    ("status", "said", "seconds", "maybe"),
    [
        (429, "7", 7.0, False),
        (503, "Sun, 01 Mar 2026 12:01:00 GMT", 60.0, False),
        (503, "soon", None, False),
        (502, "", None, True),
        (500, "", None, True),
    ],
)
def test_outages_say_when_to_come_back(
    far: FarSide, status: int, said: str, seconds: float | None, maybe: bool
) -> None:
    far.answers["POST /REST/2.0/ticket"] = Answered(status, b"", {"Retry-After": said, "X": "1"})
    with pytest.raises(Unavailable) as caught:
        client(far).create("ticket", {})
    assert caught.value.maybe_done is maybe
    if seconds is None or said.isdigit():
        assert caught.value.retry_after == seconds
    else:
        assert caught.value.retry_after is not None


def test_a_silent_server_is_unavailable_and_maybe_did_it(far: FarSide, monkeypatch: Any) -> None:
    def cut(*_: Any, **__: Any) -> None:
        raise requests.ReadTimeout("slow")

    silent = client(far)
    monkeypatch.setattr(silent._http, "request", cut)
    with pytest.raises(Unavailable) as caught:
        silent.create("ticket", {})
    assert caught.value.maybe_done
    with pytest.raises(Unavailable) as caught:
        silent.get("rt")
    assert not caught.value.maybe_done


def test_a_page_of_a_proxy_is_not_rt(far: FarSide) -> None:
    far.otherwise = Answered(200, b"<html>maintenance</html>", {"Content-Type": "text/html"})
    with pytest.raises(Unavailable):
        client(far).get("rt")
    desk = Desk(settings(url=far.address), lend())
    with pytest.raises(ConfigError) as caught:
        desk.check()
    assert caught.value.path == "url"


@pytest.mark.parametrize(
    ("said", "status", "kind"),
    [
        ("temporary failure - operation unsuccessful", 200, Unavailable),
        ("not ok - operation unsuccessful", 200, Rejected),
        ("ok", 200, Rejected),  # said ok and filed nothing
        ("<html>Login</html>", 200, ConfigError),
        ("Forbidden", 403, ConfigError),
    ],
)
def test_the_gates_words(far: FarSide, said: str, status: int, kind: type[Exception]) -> None:
    far.say("GET /REST/2.0/ticket/7", {"id": 7, "CustomFields": []})
    far.say("GET /REST/2.0/ticket/7/attachments", {"items": []})
    far.say("GET /REST/2.0/queue/Support", {"CorrespondAddress": "support@shop.example"})
    far.answers["POST /REST/1.0/NoAuth/mail-gateway"] = Answered(status, said.encode())
    desk = Desk(settings(url=far.address), lend())
    with pytest.raises(kind):
        desk.add_message(a_case(), a_message(), Effect("k", known={"case": "7"}))
    assert b"postmaster%40shop.example" in far.asked[-1].body or b"postmaster%40shop.example" in far.asked[-2].body


def test_a_case_number_that_rt_did_not_keep_makes_no_second_ticket(far: FarSide) -> None:
    """Rights that do not reach the field: the ticket exists, and is remembered although it cannot be found."""
    far.say("GET /REST/2.0/queue/Support", {"TicketCustomFields": [{"name": "Case"}]})
    far.say("GET /REST/2.0/tickets", {"items": []})
    far.answers["POST /REST/2.0/ticket"] = Answered(201, b"{}", {"Location": "/REST/2.0/ticket/9"})
    far.say("GET /REST/2.0/ticket/9", {"id": 9, "CustomFields": [{"name": "Case", "values": []}]})
    far.say("PUT /REST/2.0/ticket/9", ["Permission Denied"])
    desk = Desk(settings(url=far.address), lend())
    for _ in range(2):
        with pytest.raises(ConfigError, match="ModifyCustomField") as caught:
            desk.save_case(a_case(), Effect("k"))
        assert caught.value.path == "fields.case"
    assert len([r for r in far.asked if r.method == "POST"]) == 1
    far.say("GET /REST/2.0/ticket/9", {"id": 9, "CustomFields": [{"name": "Case", "values": ["TR-1"]}]})
    assert desk.save_case(a_case(), Effect("k")) == "9"


# --- settings


def test_what_settings_refuse() -> None:
    for wrong in (
        {"url": "rt.example"},
        {"fields": {}},
        {"fields": {"case": "a{b}"}},
        {"queue": ""},
        {"language": "de"},
    ):
        with pytest.raises(ValueError, match="validation error"):
            settings(**wrong)


def test_the_gate_follows_the_url() -> None:
    assert settings().gate == "http://rt.example/REST/1.0/NoAuth/mail-gateway"
    assert settings(mail_gate=False).gate == ""
    assert settings(mail_gate="http://inside/gate").gate == "http://inside/gate"
    assert settings(queues=["Noisy", "Support"]).all_queues == ("Support", "Noisy")


# --- text that must stay where it is put


@given(st.text())
def test_a_quoted_string_is_one_string(value: str) -> None:
    """As RT::SQL reads it: a quote ends the string unless a backslash stands before it."""
    written = quoted(value)
    found = re.fullmatch(r"'((?:\\.|[^\\'])*)'", written, re.DOTALL)
    assert found
    assert re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL) == value


@given(st.text())
def test_a_name_is_never_an_address(name: str) -> None:
    written = address(Identity("email", "eve@customer.example", name))
    assert written.count("@") == 1
    assert written.count("<") in (0, 1)


@given(st.text(), st.text(), st.text())
def test_a_mail_keeps_its_headers_apart(name: str, subject: str, message_id: str) -> None:
    said = a_message(sender=Identity("email", ALICE.value, name), subject=subject, message_id=message_id)
    head = as_mail(a_case(), said, "abc", "postmaster@shop.example").partition(b"\n\n")[0]
    names = [line.partition(b":")[0] for line in head.split(b"\n") if line[:1] not in (b" ", b"\t")]
    allowed = {b"Content-Type", b"MIME-Version", b"Content-Transfer-Encoding", b"From", b"Subject", b"Date"}
    assert set(names) <= allowed | {b"Message-ID", b"Errors-To", b"X-Tresse-Effect"}
    assert len(names) == len(set(names))


def test_equal_values_are_not_written_again() -> None:
    ticket = {"CustomFields": [{"name": "A", "values": ["x\r\ny\n"]}, {"name": "B", "values": ["old"]}]}
    assert differing({"A": "x\ny", "B": "", "C": "unknown"}, ticket) == {"B": None}
    assert one_line("a\r\n b\tc\0") == "a b c"


# --- changes


class FakeRT:
    """What `Changes` asks of a client, answered from lists."""

    def __init__(self) -> None:
        self.clock: datetime | None = NOW
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
        self.transactions.append(made | {"Created": (NOW - age).isoformat(), **changes})

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
                    "Requestor": [{"EmailAddress": ALICE.value}],
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
        self.changes = Changes(settings(), self.rt)  # type: ignore[arg-type]
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


def a_case() -> Case:
    return Case(
        number="TR-1",
        subject="Où ?",
        language="fr",
        opened_at=NOW,
        state="open",
        brand="",
        channel="support",
        requester=ALICE,
        proof=Proof.CLAIMED,
        customer=Customer("Alice Martin", (ALICE,)),
        first_text="Bonjour",
    )


def a_message(**changes: Any) -> Message:
    values: dict[str, Any] = {
        "direction": Direction.IN,
        "sender": ALICE,
        "customer": ALICE,
        "at": NOW,
        "text": "encore",
    }
    return Message(**(values | changes))
