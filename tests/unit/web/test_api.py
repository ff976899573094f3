"""The API: scopes, errors with what to do next, paging, and a document that is true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from hub.store import access
from hub.web import create_app
from hub.web.openapi import PREFIX, template
from tests.browser.seed import seed
from tests.unit.braid import NOON, Braid
from tests.unit.small_hub import SmallHub, small_hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, kind_of_database: str) -> Iterator[SmallHub]:
    hub = small_hub(Path(tmp_path_factory.mktemp("api")))
    seed(hub.store, NOON)
    yield hub
    hub.store.close()


@pytest.fixture(scope="module")
def app(hub: SmallHub) -> Flask:
    return create_app(hub)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tokens(hub: SmallHub) -> dict[str, str]:
    with hub.store.write() as connection:
        return {scope: access.add_token(connection, scope, [scope], NOON) for scope in access.SCOPES}


class Api:
    def __init__(self, client: FlaskClient, token: str) -> None:
        self.client, self.headers = client, {"Authorization": f"Bearer {token}"}

    def get(self, address: str, **query: Any) -> Any:
        return self.client.get(PREFIX + address, query_string=query or None, headers=self.headers)

    def post(self, address: str, **body: Any) -> Any:
        return self.client.post(PREFIX + address, json=body or None, headers=self.headers)


@pytest.fixture
def api(app: Flask, tokens: dict[str, str]) -> Api:
    return Api(app.test_client(), tokens["write"])


GETS = (
    ("timeline?key=alice.martin@customer.example", "/api/v1/timeline"),
    ("customers", "/api/v1/customers"),
    ("customers/1", "/api/v1/customers/{customer_id}"),
    ("cases/TR-2026-000123", "/api/v1/cases/{number}"),
    ("deliveries", "/api/v1/deliveries"),
    ("kept", "/api/v1/kept"),
    ("plugins", "/api/v1/plugins"),
    ("instances", "/api/v1/instances"),
    ("answers", "/api/v1/answers"),
    ("figures", "/api/v1/figures"),
    ("alerts", "/api/v1/alerts"),
)


@pytest.fixture(scope="module")
def document(app: Flask) -> Any:
    answer = app.test_client().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    return answer.json


def test_the_document_is_valid_openapi(document: Any) -> None:
    validate(document)


def test_the_document_and_the_routes_say_the_same(app: Flask, document: Any) -> None:
    routes = {
        (template(rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(PREFIX) and rule.endpoint != "openapi.document_view"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    written = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert routes == written


@pytest.mark.parametrize(("address", "path"), GETS)
def test_what_is_answered_is_what_the_document_says(api: Api, document: Any, address: str, path: str) -> None:
    answer = api.get(address)
    assert answer.status_code == 200, answer.text
    described = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    schema = {**described, "components": document["components"]}
    Draft202012Validator(schema).validate(answer.json)
    assert set(answer.json) == set(described["properties"])


def test_every_get_of_the_document_is_tried(document: Any) -> None:
    assert {path for path, methods in document["paths"].items() if "get" in methods} == {path for _, path in GETS}


@pytest.mark.parametrize(("address", "_path"), GETS)
def test_nothing_without_a_token(app: Flask, address: str, _path: str) -> None:
    answer = app.test_client().get(PREFIX + address)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json is not None
    assert answer.json["error"]["hint"]
    assert app.test_client().get(PREFIX + address, headers={"Authorization": "Bearer tresse_x"}).status_code == 401


def test_a_reader_changes_nothing(app: Flask, tokens: dict[str, str]) -> None:
    reader = Api(app.test_client(), tokens["read"])
    for address in ("deliveries/1/replay", "deliveries/1/settle", "deliveries/settle", "kept/1/replay"):
        answer = reader.post(address)
        assert (answer.status_code, answer.json["error"]["code"]) == (403, "forbidden")


def test_the_timeline_pages_through_everything_once(api: Api) -> None:
    seen, before = [], None
    while True:
        query = {"key": "alice.martin@customer.example", "limit": 3} | ({"before": before} if before else {})
        page = api.get("timeline", **query).json
        seen += [(e["kind"], e["id"]) for e in page["entries"]]
        before = page["next"]
        if before is None:
            break
    whole = api.get("timeline", key="alice.martin@customer.example", limit=200).json["entries"]
    assert seen == [(e["kind"], e["id"]) for e in whole]
    assert len(seen) == len(set(seen)) > 6


def test_a_name_lists_candidates(api: Api) -> None:
    answer = api.get("timeline", key="Alice Martin").json
    assert answer["entries"] == []
    assert answer["subject"]["candidates"][0]["key"] == "customer:1"


def test_lists_go_on_with_next(api: Api) -> None:
    first = api.get("customers", limit=4).json
    second = api.get("customers", limit=4, before=first["next"]).json
    assert len({c["id"] for c in first["customers"] + second["customers"]}) == 8


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("timeline", 400, "bad_request"),
        ("timeline?key=alice.martin@customer.example&before=junk", 400, "bad_request"),
        ("timeline?key=nobody@customer.example", 404, "not_found"),
        ("customers?limit=x", 400, "bad_request"),
        ("customers?before=-1", 400, "bad_request"),
        ("customers/999", 404, "not_found"),
        ("customers/9223372036854775808", 404, "not_found"),  # more than a column holds
        ("cases/NO", 404, "not_found"),
        ("deliveries?state=flying", 400, "bad_request"),
        ("nothing", 404, "not_found"),
    ],
)
def test_errors_have_one_shape_and_say_what_to_do(api: Api, address: str, status: int, code: str) -> None:
    answer = api.get(address)
    assert answer.status_code == status
    assert answer.json["error"]["code"] == code
    assert answer.json["error"]["message"]
    assert answer.json["error"]["hint"]


def test_deliveries_are_filtered_and_decided(api: Api) -> None:
    (unsure,) = api.get("deliveries", state="unsure").json["deliveries"]
    number = unsure["id"]
    assert api.post(f"deliveries/{number}/replay").status_code == 409  # an unsure one is not repeated
    assert api.post(f"deliveries/{number}/settle").status_code == 400
    assert api.post(f"deliveries/{number}/settle", sent="yes").status_code == 400
    assert api.post(f"deliveries/{number}/settle", sent=True).json == {"settled": True}
    assert api.get("deliveries", state="unsure").json["deliveries"] == []
    (rejected,) = api.get("deliveries", state="rejected", instance="rt").json["deliveries"]
    assert api.post(f"deliveries/{rejected['id']}/replay").json == {"replayed": 1}


def test_all_unsure_ones_are_decided_as_long_as_they_are_those_that_were_looked_at(hub: SmallHub, api: Api) -> None:
    with hub.store.write() as connection:
        for _ in range(2):
            Braid(connection).delivery("many", "send", "unsure")
    looked = {"sent": False, "count": 2, "instance": "many"}
    for wrong in ({"count": 2}, looked | {"count": True}, looked | {"sent": "no"}, {"sent": True, "count": 2}):
        assert api.post("deliveries/settle", **wrong).status_code == 400
    for other in ({"count": 1}, {"instance": "elsewhere"}):
        assert api.post("deliveries/settle", **looked | other).json["error"]["code"] == "not_as_many"
    assert len(api.get("deliveries", state="unsure", instance="many").json["deliveries"]) == 2
    assert api.post("deliveries/settle", **looked).json == {"settled": 2}
    assert api.get("deliveries", state="unsure", instance="many").json["deliveries"] == []


def test_kept_messages_are_read_again(api: Api) -> None:
    rows = api.get("kept").json["kept"]
    assert api.post(f"kept/{rows[0]['id']}/replay").json == {"replayed": 1}
    assert api.post(f"kept/{rows[0]['id']}/replay").status_code == 409
    assert len(api.get("kept").json["kept"]) == len(rows) - 1


def test_no_secret_is_told(api: Api) -> None:
    told = "".join(json.dumps(api.get(address).json) for address, _ in GETS)
    assert "canary-secret" not in told
    assert "$argon2" not in told
    assert "password_hash" not in told


def test_a_session_is_no_token(app: Flask) -> None:
    with app.test_client() as client:
        with client.session_transaction() as session:
            session["login"], session["epoch"] = 1, 0
        assert client.get(PREFIX + "customers").status_code == 401
