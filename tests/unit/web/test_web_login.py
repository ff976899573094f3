"""Who may come in, and how one leaves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from hub.store import access
from hub.web import create_app
from hub.web.login import local
from tests.browser.seed import PASSWORD
from tests.unit.braid import NOON
from tests.unit.small_hub import CONFIG, SmallHub, small_hub
from tests.unit.web.door import PAGES, come_in, csrf


@pytest.mark.parametrize("page", PAGES)
def test_no_page_is_shown_to_strangers(client: FlaskClient, page: str) -> None:
    answer = client.get(page)
    assert answer.status_code == 302
    assert answer.location.startswith("/login?next=")


def test_a_part_asked_for_by_script_sends_the_whole_page_to_the_login(client: FlaskClient) -> None:
    answer = client.get("/overview/live", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/login")


def test_the_session_cookie_is_careful(client: FlaskClient) -> None:
    cookie = come_in(client).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie  # the hub's address is http


def test_the_session_cookie_is_secure_where_the_address_is_https(tmp_path: Path) -> None:
    hub = small_hub(tmp_path, config=CONFIG.replace("http://127.0.0.1:8080", "https://hub.example"))
    app = create_app(hub)  # type: ignore[arg-type]
    assert app.config["SESSION_COOKIE_SECURE"] is True
    hub.store.close()


def test_after_the_login_one_goes_where_one_wanted(client: FlaskClient) -> None:
    values = {"name": "camille", "password": PASSWORD, "csrf_token": csrf(client), "next": "/customers/1"}
    assert client.post("/login", data=values).location == "/customers/1"


@pytest.mark.parametrize(
    "address", ["https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nX: y", "evil", ""]
)
def test_a_login_never_leads_elsewhere(address: str) -> None:
    assert local(address) == ""


@pytest.mark.parametrize(("name", "password"), [("camille", "wrong"), ("nobody", PASSWORD), ("", "")])
def test_wrong_names_and_passwords_look_the_same(client: FlaskClient, name: str, password: str) -> None:
    answer = come_in(client, name, password)
    assert answer.status_code == 401
    assert "inconnu" in answer.text or "Unknown" in answer.text


def test_attempts_are_throttled_and_forgiven(hub: SmallHub, app: Flask) -> None:
    client = app.test_client()
    hub.clock.at = NOON + timedelta(hours=1)
    statuses = [come_in(client, "lecture", "wrong").status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert come_in(client, "lecture").status_code == 429  # the right password does not help any more
    hub.clock.at += timedelta(minutes=16)
    assert come_in(client, "lecture").status_code == 302
    hub.clock.at = NOON


def test_forms_need_their_token(client: FlaskClient, inside: FlaskClient) -> None:
    assert client.post("/login", data={"name": "camille", "password": PASSWORD}).status_code == 400
    assert inside.post("/deliveries/1/replay").status_code == 400
    assert inside.post("/logout").status_code == 400


def test_sessions_can_be_ended_from_afar(hub: SmallHub, inside: FlaskClient) -> None:
    assert inside.get("/overview").status_code == 200
    with hub.store.write() as connection:
        access.end_sessions(connection, 1)
    assert inside.get("/overview").status_code == 302


def test_leaving(inside: FlaskClient) -> None:
    assert inside.post("/logout", data={"csrf_token": csrf(inside, "/overview")}).location == "/login"
    assert inside.get("/overview").status_code == 302


def test_editors_decide_nothing_about_deliveries(client: FlaskClient) -> None:
    come_in(client, "lecture")
    token = csrf(client, "/overview")
    assert client.post("/deliveries/1/replay", data={"csrf_token": token}).status_code == 403
    assert client.post("/kept/1/replay", data={"csrf_token": token}).status_code == 403
    assert "Rejouer" not in client.get("/deliveries?state=rejected").text
