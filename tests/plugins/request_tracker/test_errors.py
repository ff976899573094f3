"""Errors in four words, without a Request Tracker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from hub.sdk import AuthError, ConfigError, Effect, Rejected, Unavailable
from hub.testing import Answered, FarSide, values
from plugins.crm.request_tracker.client import Client
from plugins.crm.request_tracker.crm import RequestTracker as Desk
from plugins.crm.request_tracker.settings import RequestTrackerSettings
from tests.plugins.lent import lend


def settings(**changes: Any) -> RequestTrackerSettings:
    given = {"url": "http://rt.example/", "token": "1-2-3", "queue": "Support", "fields": {"case": "Case"}}
    return RequestTrackerSettings.model_validate(given | changes)


@pytest.fixture
def far() -> Iterator[FarSide]:
    with FarSide() as far:
        yield far


def client(far: FarSide, timeout: float = 5.0) -> Client:
    return Client(far.address, "1-2-canary", requests.Session(), timeout)


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
        desk.add_message(values.case(), values.message(), Effect("k", known={"case": "7"}))
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
            desk.save_case(values.case(), Effect("k"))
        assert caught.value.path == "fields.case"
    assert len([r for r in far.asked if r.method == "POST"]) == 1
    far.say("GET /REST/2.0/ticket/9", {"id": 9, "CustomFields": [{"name": "Case", "values": [values.case().number]}]})
    assert desk.save_case(values.case(), Effect("k")) == "9"


def test_a_dead_rt_gives_no_sign_of_life(far: FarSide) -> None:
    """The hub asks `find` before it repeats: an answer without a question would close the circuit."""
    far.otherwise = Answered(502, b"")
    desk = Desk(settings(url=far.address), lend())
    for ability in ("save_case", "add_message", "show"):
        with pytest.raises(Unavailable):
            desk.find(ability, Effect("k", known={"number": "TR-2026-000001"}))


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
