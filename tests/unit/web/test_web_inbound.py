"""What other systems push, and what supervisors ask."""

from __future__ import annotations

from io import BytesIO

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from hub.log import configure
from hub.sdk import Rejected, Reply, Request, Unavailable
from hub.store import access
from hub.store.health import note
from hub.store.intake import step
from hub.store.leases import take_lease
from hub.web import inbound
from tests.unit.braid import NOON, Braid
from tests.unit.small_hub import SmallHub


def test_what_is_pushed_arrives_as_it_was_sent(hub: SmallHub, client: FlaskClient) -> None:
    seen: list[Request] = []

    def answering(_instance: str, request: Request) -> Reply:
        seen.append(request)
        return Reply(202, b"taken", "text/x-own", {"X-Own": "1"})

    hub.answering = answering
    answer = client.put(
        "/in/contact/a/b?c=d", data=b"\x00raw\xff", content_type="application/x", headers={"X-Sign": "s"}
    )
    assert (answer.status_code, answer.data, answer.headers["X-Own"]) == (202, b"taken", "1")
    assert answer.headers["Content-Type"] == "text/x-own"
    (request,) = seen
    assert (request.method, request.path, dict(request.query), request.body) == (
        "PUT",
        "a/b",
        {"c": "d"},
        b"\x00raw\xff",
    )
    assert request.headers["x-sign"] == "s"
    assert request.remote == "127.0.0.1"


def test_a_form_is_parsed_and_its_raw_body_kept(hub: SmallHub, client: FlaskClient) -> None:
    seen: list[Request] = []
    hub.answering = lambda _i, r: seen.append(r) or Reply()  # type: ignore[func-returns-value]
    client.post("/in/contact", data={"email": "a@customer.example", "photo": (BytesIO(b"picture"), "p.png")})
    client.post("/in/contact", data={"email": "é"})
    multipart, plain = seen
    assert multipart.form == {"email": "a@customer.example"}
    assert [(f.name, f.data[:3]) for f in multipart.files] == [("p.png", b"pic")]
    assert b"form-data" in multipart.body
    assert (plain.form, plain.body) == ({"email": "é"}, b"email=%C3%A9")


def test_the_method_options_reaches_the_instance(hub: SmallHub, client: FlaskClient) -> None:
    hub.answering = lambda _i, r: Reply(204, headers={"Access-Control-Allow-Origin": r.method})
    assert client.options("/in/contact").headers["Access-Control-Allow-Origin"] == "OPTIONS"


def test_a_bug_of_ours_is_one_line_without_words_and_without_the_token_in_the_address(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> Reply:
        raise KeyError("a customer's words")

    monkeypatch.setattr(inbound, "as_request", broken)
    configure("INFO")
    answer = client.post("/in/contact/t0ps3cret")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")  # the sender keeps what we lost
    (line,) = capsys.readouterr().err.splitlines()
    assert "error=KeyError" in line
    assert "test_web_inbound.py" in line
    assert "t0ps3cret" not in line
    assert "words" not in line


def test_no_session_and_no_page_stands_around_what_is_pushed(
    hub: SmallHub, inside: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.answering = lambda _i, _r: Reply(200, b"ok", headers={"Referrer-Policy": "no-referrer"})
    monkeypatch.setattr(SmallHub, "store", property(lambda _s: pytest.fail("a push needs no login")), raising=False)
    answer = inside.post("/in/contact", data=b"x")
    assert "Set-Cookie" not in answer.headers
    assert "Content-Security-Policy" not in answer.headers
    assert (answer.headers["X-Content-Type-Options"], answer.headers["Referrer-Policy"]) == ("nosniff", "no-referrer")


def test_what_cannot_be_a_push_is_refused_in_a_line(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.open("/in/contact", method="TRACE").status_code == 405
    assert client.head("/in/contact").data == b""
    monkeypatch.setattr(inbound, "LONGEST", 10)
    answer = client.post("/in/contact", data=b"more than ten bytes")
    assert (answer.status_code, answer.mimetype) == (413, "text/plain")


def test_a_reply_cannot_smuggle_a_header(hub: SmallHub, client: FlaskClient) -> None:
    hub.answering = lambda _i, _r: Reply(200, headers={"X-Own": "a\r\nSet-Cookie: b=c"})
    answer = client.post("/in/contact")
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (503, False)


def test_an_unknown_instance_is_404(client: FlaskClient) -> None:
    assert client.post("/in/nobody").status_code == 404
    assert client.post("/in/support").status_code == 404  # configured, but it does not accept


@pytest.mark.parametrize("error", [Unavailable("disk"), RuntimeError("boom: customer text")])
def test_what_cannot_be_kept_is_asked_for_again(
    hub: SmallHub, client: FlaskClient, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def answering(_instance: str, _request: Request) -> Reply:
        raise error

    hub.answering = answering
    answer = client.post("/in/contact")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "customer text" not in caplog.text + answer.text


def test_what_will_never_be_accepted_is_refused(hub: SmallHub, client: FlaskClient) -> None:
    def answering(_instance: str, _request: Request) -> Reply:
        raise Rejected("no such event")

    hub.answering = answering
    assert client.post("/in/contact").status_code == 400


def test_alive_and_ready(hub: SmallHub, client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok", "checks": {"database": "ok", "engine": "ok"}})
    with hub.store.read() as connection:
        assert connection.scalar(sa.select(note.c.value).where(note.c.key == "web.ready"))


def test_an_engine_that_stopped_is_unready(hub: SmallHub, client: FlaskClient) -> None:
    hub.engine = type("Stopped", (), {"alive": lambda self: False})()  # type: ignore[attr-defined]
    answer = client.get("/readyz")
    del hub.engine  # type: ignore[attr-defined]
    assert answer.status_code == 503
    assert answer.json is not None
    assert "restart" in answer.json["checks"]["engine"]


def test_figures_for_this_machine_or_a_token(hub: SmallHub, client: FlaskClient) -> None:
    text = client.get("/metrics").text
    assert "tresse_messages " in text
    assert 'tresse_instance_health{instance="rt"} 1.0' in text
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 403
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403
    with hub.store.write() as connection:
        token = access.add_token(connection, "prometheus", ["read"], NOON)
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "192.0.2.1"}, headers=headers).status_code == 200


def test_figures_say_how_far_behind_and_what_fails(hub: SmallHub, client: FlaskClient) -> None:
    """One scrape answers: is it healthy, how far behind, what is failing."""
    with hub.store.write() as connection:
        rows = Braid(connection)
        rows.health("archive", "amber", "connection refused", failures=3)
        who = rows.customer("Alice", ("email", "alice@x.example"))[0]
        case_id = rows.case("T-1", who)
        rows.delivery("archive", "send", "waiting", case_id=case_id, at=rows.ago(10))
        rows.delivery("archive", "send", "rejected", case_id=case_id)
        rows.insert(step, raw_id=rows.raw(), stage="plan", state="waiting", instance="archive", due_at=rows.ago(2))
        rows.alert("drill", "x")
        take_lease(connection, "archive", "poll", "host/1", NOON)
    text = client.get("/metrics").text
    for line in (
        'tresse_instance_failures{instance="archive"} 3.0',
        'tresse_instance_paused{instance="archive"} 0.0',
        'tresse_deliveries_open{instance="archive",state="rejected"} 1.0',
        'tresse_delivery_due_seconds{instance="archive"} 600.0',
        'tresse_step_due_seconds{stage="plan"} 120.0',
        'tresse_alerts_open{kind="drill"} 1.0',
        'tresse_source_owned{instance="archive",source="poll"} 1.0',
    ):
        assert line in text, line
    assert "tresse_disk_free_bytes " in text
