"""plugins/cti/push: calls in, presence out."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from requests.adapters import BaseAdapter

import plugins.cti.push as plugin
from hub.rules import signing
from hub.rules.identities import canonical
from hub.sdk import (
    Accepted,
    Agent,
    AuthError,
    ConfigError,
    Direction,
    Event,
    Identity,
    Presence,
    Raw,
    Rejected,
    Request,
    Unavailable,
    abilities_of,
)
from hub.testing import (
    AcceptsContract,
    Answered,
    ComponentContract,
    CTIContract,
    FarSide,
    ReadsContract,
    closed_port,
)
from plugins.cti.push.cti import PushCTI
from plugins.cti.push.numbers import customer_of, e164, is_withheld
from plugins.cti.push.settings import PushSettings
from tests.plugins.lent import clock, lend, logged

TOKEN = "correct-horse-battery-staple"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RING = {"event": "newCall", "callId": "c-1", "direction": "in", "from": "33612345678", "to": "33140000000"}


def make(**settings: Any) -> PushCTI:
    return PushCTI(PushSettings(token=TOKEN, **settings), lend(id="phones"))


def push(cti: PushCTI, body: object, **changes: Any) -> Accepted:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    values: dict[str, Any] = {
        "method": "POST",
        "path": "/" + TOKEN,
        "headers": {"content-type": "application/json"},
        "query": {},
        "body": data,
        "remote": "192.0.2.7",
    }
    return cti.accept(Request(**(values | changes)))


def event(cti: PushCTI, body: object) -> Event:
    accepted = push(cti, body)
    assert accepted.reply.status == 200, accepted.reply.body
    (found,) = cti.read(accepted.raws[0])
    assert isinstance(found, Event)
    return found


def test_offers_one_component() -> None:
    assert plugin.hub_components() == [PushCTI]
    assert abilities_of(PushCTI) == ["Reads", "Accepts"]


class KnockedAt(FarSide):
    """A far side that knows OPTIONS, too."""

    def _asker(self) -> Any:
        asker: Any = super()._asker()
        asker.do_OPTIONS = asker._answer
        return asker


class TestContract(ComponentContract, ReadsContract, AcceptsContract, CTIContract):
    component = PushCTI

    def begin(self) -> None:
        self.far = KnockedAt()
        self.far.__enter__()

    def end(self) -> None:
        self.far.__exit__()

    def settings(self) -> dict[str, Any]:
        return {"token": TOKEN, "presence_url": self.far.address + "/presence", "presence_secret": SECRET}

    def outage(self) -> dict[str, Any]:
        return self.settings() | {"presence_url": f"http://127.0.0.1:{closed_port()}"}

    def refused(self) -> dict[str, Any]:
        self.far.answers["OPTIONS /presence"] = Answered(401)
        return self.settings()

    def raws(self) -> list[Raw]:
        pushes = [RING, RING | {"event": "answer", "user": ["Emma"]}, RING | {"event": "hangup", "from": "anonymous"}]
        return [raw for body in pushes for raw in push(make(), body).raws]

    def good_request(self) -> Request:
        headers = {"content-type": "application/json"}
        return Request("POST", TOKEN, headers, {}, json.dumps(RING).encode(), "192.0.2.7")

    def forged_request(self) -> Request:
        return replace(self.good_request(), path="wrong")

    def busy(self, agent: Agent, at: datetime) -> bool:
        leases = [json.loads(asked.body)["data"] for asked in self.far.asked if asked.method == "POST"]
        last = [lease for lease in leases if lease["account"] == agent.account][-1]
        return bool(last["presence"] == "writing" and at < datetime.fromisoformat(last["until"]))


# -- calls ----------------------------------------------------------------------------------------


def test_a_ringing_call() -> None:
    found = event(make(), RING | {"user": ["Emma", "Chris"], "queue": "Support"})
    assert (found.kind, found.key, found.direction) == ("call", "c-1", Direction.IN)
    assert found.customer == Identity("phone", "+33612345678")
    assert (found.account, found.account_name) == ("", "")  # it rings at two desks: nobody has it
    assert found.at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert found.data == {
        "stage": "ringing",
        "ringing_at": "2026-03-01T12:00:00+00:00",
        "from": "+33612345678",
        "to": "+33140000000",
        "users": ["Emma", "Chris"],
        "queue": "Support",
    }


def test_stages_merge_into_one_story() -> None:
    cti = make()
    story: dict[str, Any] = {}
    stages = [
        RING | {"queue": "Support"},
        RING | {"event": "answer", "answeringNumber": "emma@shop.example", "user": "Emma"},
        RING | {"event": "hangup", "cause": "normalClearing", "duration": "62"},
    ]
    for stage in stages:
        found = event(cti, stage)
        assert found.key == "c-1"
        story |= found.data
        clock(cti).move(10)
    assert story == {
        "stage": "ended",
        "ringing_at": "2026-03-01T12:00:00+00:00",
        "answered_at": "2026-03-01T12:00:10+00:00",
        "ended_at": "2026-03-01T12:00:20+00:00",
        "from": "+33612345678",
        "to": "+33140000000",
        "users": ["Emma"],
        "queue": "Support",
        "answered_by": "emma@shop.example",
        "cause": "normalClearing",
        "duration": 62,
    }


def test_whoever_answers_is_the_account() -> None:
    found = event(make(), RING | {"event": "answer", "answeringNumber": "emma@shop.example", "user": ["Emma"]})
    assert (found.account, found.account_name) == ("emma@shop.example", "Emma")


def test_a_call_out_is_with_whom_we_called() -> None:
    found = event(make(), RING | {"direction": "out", "from": "33140000000", "to": "33612345678", "user": "Emma"})
    assert found.direction is Direction.OUT
    assert found.customer == Identity("phone", "+33612345678")
    assert found.account == "Emma"


def test_forms_are_the_same_as_json() -> None:
    cti = make()
    body = b"event=newCall&callId=c-1&direction=in&from=%2B33612345678&to=33140000000&user[]=Emma&user[]=Chris"
    form = push(cti, body, headers={"content-type": "application/x-www-form-urlencoded"})
    (found,) = cti.read(form.raws[0])
    assert isinstance(found, Event)
    assert found.customer == Identity("phone", "+33612345678")
    assert found.data["users"] == ["Emma", "Chris"]
    assert json.loads(form.raws[0].data)["callId"] == "c-1"
    parsed = push(cti, b"", form=RING | {"user[]": "Emma"}, headers={"content-type": "multipart/form-data"})
    assert cti.read(parsed.raws[0])[0].data["users"] == ["Emma"]  # type: ignore[union-attr]


def test_json_under_curls_own_content_type() -> None:
    assert push(make(), RING, headers={"content-type": "application/x-www-form-urlencoded"}).reply.status == 200


def test_a_repeated_push_is_one_and_another_stage_is_another() -> None:
    cti = make()
    first = push(cti, RING).raws[0]
    clock(cti).move(5)
    again = push(cti, json.dumps(dict(reversed(RING.items())), indent=1).encode()).raws[0]
    assert first.key == again.key
    others = [RING | {"event": "hangup"}, RING | {"callId": "c-2"}, RING | {"queue": "Other"}]
    assert len({first.key} | {push(cti, other).raws[0].key for other in others}) == 4


def test_long_call_ids_fit_the_key() -> None:
    raw = push(make(), RING | {"callId": "x" * 190}).raws[0]
    assert len(raw.key) < 200
    other = push(make(), RING | {"callId": "x" * 189 + "y"}).raws[0]
    assert raw.key != other.key


def test_the_reply_lets_the_call_go_on() -> None:
    reply = push(make(), RING).reply
    assert (reply.status, reply.body, reply.content_type) == (200, b"{}", "application/json")


# -- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b"[1]", "not an object"),
        (b"{" + b'"a":[' * 100_000, "not JSON"),
        ({}, "event"),
        (RING | {"event": "ring"}, "newCall, answer or hangup"),
        (RING | {"event": ["newCall", {}], "callId": None}, "callId"),
        (RING | {"callId": ""}, "callId"),
        (RING | {"callId": {"a": 1}}, "callId"),
        (RING | {"direction": "sideways"}, "in or out"),
        ({k: v for k, v in RING.items() if k not in ("from", "to")}, "missing"),
        (b"&".join(b"a=1" for _ in range(300)), "200 fields"),
    ],
)
def test_bad_pushes_get_a_sentence(body: object, words: str) -> None:
    accepted = push(make(largest="10MB"), body)
    assert accepted.raws == ()
    assert accepted.reply.status == 400
    assert words in json.loads(accepted.reply.body)["error"]


@given(st.dictionaries(st.sampled_from([*RING, "user", "queue"]), st.recursive(st.text() | st.integers(), st.lists)))
def test_any_json_is_taken_or_refused(body: dict[str, Any]) -> None:
    cti = make()
    accepted = push(cti, RING | body)
    assert accepted.reply.status in (200, 400)
    for raw in accepted.raws:
        (found,) = cti.read(raw)
        assert found == cti.read(raw)[0]
        assert isinstance(found, Event)
        assert found.customer.value
        json.dumps(found.data).encode()
        assert len(raw.key) <= 300


@pytest.mark.parametrize("path", ["", "/", "/wrong", "/" + TOKEN[:-1], "/é", "/\udcff"])
def test_a_wrong_token_is_403_and_warned_of_once_a_minute(path: str) -> None:
    cti = make()
    for _ in range(3):
        accepted = push(cti, RING, path=path)
        assert (accepted.raws, accepted.reply.status) == ((), 403)
        clock(cti).move(1)
    assert len(logged(cti, "warning")) == 1
    clock(cti).move(60)
    push(cti, RING, path=path)
    assert len(logged(cti, "warning")) == 2
    assert TOKEN not in repr(cti.context.log.lines)  # type: ignore[attr-defined]


@pytest.mark.parametrize("headers", [{"x-token": TOKEN}, {"authorization": f"Bearer {TOKEN}"}])
def test_the_token_may_come_in_a_header(headers: dict[str, str]) -> None:
    assert push(make(), RING, path="", headers=headers).reply.status == 200


def test_other_methods_and_large_bodies() -> None:
    got = push(make(), b"", method="GET").reply
    assert (got.status, got.headers["Allow"]) == (405, "POST")
    assert push(make(largest="1KB"), RING | {"queue": "x" * 2000}).reply.status == 413


def test_read_refuses_junk_in_words() -> None:
    for data, facts in ((b"junk", {"received": "2026-03-01T12:00:00+00:00"}), (json.dumps(RING).encode(), {})):
        with pytest.raises(Rejected, match="not a push"):
            make().read(Raw("k", data, facts))


# -- numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "number_format", "country", "expected"),
    [
        ("493023125741", "auto", "FR", "+493023125741"),
        ("493023125741", "auto", "DE", "+493023125741"),
        ("493023125741", "international", "", "+493023125741"),
        ("+33 6 12 34 56 78", "national", "", "+33612345678"),
        ("0033612345678", "auto", "FR", "+33612345678"),
        ("0612345678", "auto", "FR", "+33612345678"),
        ("0612345678", "international", "FR", "+33612345678"),
        ("612345678", "auto", "FR", "+33612345678"),
        ("612345678", "national", "FR", "+33612345678"),
        ("33612345678", "auto", "FR", "+33612345678"),
        ("sip:33612345678@pbx.example", "auto", "FR", "+33612345678"),
        ("33639980042", "auto", "FR", "+33639980042"),  # set aside for examples: no plan knows it
        ("447700900043", "auto", "FR", "+447700900043"),
        ("0612345678", "auto", "", ""),
        ("101", "auto", "FR", ""),
        ("2014578", "auto", "FR", ""),
        ("101", "national", "FR", ""),
        ("emma@shop.example", "auto", "FR", ""),
        ("bob12@33612345678", "auto", "FR", ""),
    ],
)
def test_numbers(written: str, number_format: str, country: str, expected: str) -> None:
    assert e164(written, number_format, country) == expected


def test_the_call_of_the_how_to_is_the_example_customers() -> None:
    """docs/how-to/phones.md and config/customers.csv: who follows them finds the call on her timeline."""
    root = Path(__file__).parents[2]
    (caller,) = set(re.findall(r'"from": "(\w+)"', (root / "docs/how-to/phones.md").read_text("utf-8")))
    with (root / "config/customers.csv").open(encoding="utf-8") as file:
        known = {canonical(Identity("phone", row["phone"]), "FR") for row in csv.DictReader(file) if row["phone"]}
    assert customer_of(caller, "auto", "FR", "phones", "c-1") in known


@pytest.mark.parametrize("written", ["", "anonymous", "Anonymous", "anonymous@anonymous.invalid", "unknown", "-", "+"])
def test_withheld_callers_are_kept_apart(written: str) -> None:
    assert is_withheld(written)
    one, other = (event(make(), RING | {"from": written, "callId": call}) for call in ("c-1", "c-2"))
    assert one.customer == Identity("handle", "withheld:phones:c-1")
    assert one.customer != other.customer


def test_extensions_belong_to_their_phone_system() -> None:
    assert customer_of("101", "auto", "FR", "phones", "c-1") == Identity("handle", "phones:101")
    assert customer_of("Hall 3", "auto", "FR", "phones", "c-1") == Identity("handle", "withheld:phones:c-1")


def _vendor_samples() -> Iterator[Path]:
    shared = Path(os.environ.get("TRESSE_SHARED") or Path(__file__).parents[2].parent / "shared")
    yield from sorted((shared / "contracts" / "zammad" / "doc_samples").glob("*-event*.json"))


def test_the_vendors_own_samples() -> None:
    """A second oracle beside our own payloads: the samples of the format's documentation."""
    samples = [s for path in _vendor_samples() if (s := json.loads(path.read_text("utf-8"))).get("event")]
    if not samples:
        pytest.skip("the vendor's samples are not here (TRESSE_SHARED)")
    for sample in samples:
        found = event(make(), sample)
        far = sample["from"] if sample["direction"] == "in" else sample["to"]
        assert found.customer == Identity("phone", "+" + far)
        assert found.key == sample["callId"]
        assert found.data["users" if "user" in sample or "caller" in sample else "cause"]


# -- presence ---------------------------------------------------------------------------------------


class Far(BaseAdapter):
    """Answers with one status and remembers what it was sent."""

    def __init__(self, status: int = 204, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self.status, self.headers = status, headers or {}
        self.requests: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        self.requests.append(request)
        if self.status == 0:
            raise requests.ConnectionError(f"no route to {request.url}")
        response = requests.Response()
        response.status_code, response.url, response.request = self.status, request.url or "", request
        response.headers.update(self.headers)
        response._content = b""
        return response

    def close(self) -> None:
        pass


def speaking(far: Far) -> PushCTI:
    http = requests.Session()
    http.mount("https://", far)
    settings = PushSettings(token=TOKEN, presence_url="https://pbx.example/p?key=hush", presence_secret=SECRET)
    return PushCTI(settings, lend(id="phones", http=http))


def tell(cti: PushCTI) -> None:
    emma = Agent("Emma", "emma@shop.example", "101")
    cti.set_presence(emma, Presence.WRITING, datetime(2026, 3, 1, 12, 5, tzinfo=UTC))


def test_golden_signature() -> None:
    """The vector of the Standard Webhooks reference libraries."""
    found = signing.signed_headers(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_presence_is_a_signed_lease() -> None:
    far = Far()
    cti = speaking(far)
    tell(cti)
    clock(cti).move(30)
    tell(cti)
    sent, again = far.requests
    assert isinstance(sent.body, bytes)
    assert json.loads(sent.body) == {
        "type": "presence.changed",
        "timestamp": "2026-03-01T12:00:00+00:00",
        "data": {
            "agent": "Emma",
            "email": "emma@shop.example",
            "account": "101",
            "presence": "writing",
            "until": "2026-03-01T12:05:00+00:00",
        },
    }
    stamp = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())
    expected = signing.signed_headers(SECRET, sent.headers["webhook-id"], stamp, sent.body)
    assert {name: sent.headers[name] for name in expected} == expected
    assert again.headers["webhook-id"] == sent.headers["webhook-id"]
    assert again.headers["webhook-timestamp"] == str(stamp + 30)


def test_without_an_address_nobody_is_told() -> None:
    cti = make()
    tell(cti)
    assert logged(cti, "debug")
    assert not logged(cti, "warning")


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (0, {}, Unavailable),
        (401, {}, AuthError),
        (403, {}, AuthError),
        (301, {"Location": "https://elsewhere.example"}, ConfigError),
        (410, {}, ConfigError),
        (429, {"Retry-After": "17"}, Unavailable),
        (503, {"Retry-After": "Sun, 01 Mar 2026 12:00:17 GMT"}, Unavailable),
        (500, {"Retry-After": "soon"}, Unavailable),
        (422, {}, Rejected),
    ],
)
def test_statuses_become_the_four_words(status: int, headers: dict[str, str], error: type[Exception]) -> None:
    far = Far(status, headers)
    with pytest.raises(error) as raised:
        tell(speaking(far))
    assert type(raised.value) is error
    assert "hush" not in str(raised.value)
    if isinstance(raised.value, Unavailable):
        assert raised.value.retry_after == (17 if status in (429, 503) else None)
    assert len(far.requests) == 1


@pytest.mark.parametrize("status", [200, 204, 404, 405, 501])
def test_check_knocks_and_tells_nothing(status: int) -> None:
    far = Far(status)
    assert speaking(far).check() == []
    assert (far.requests[0].method, far.requests[0].body) == ("OPTIONS", None)


@pytest.mark.parametrize(("status", "error"), [(0, Unavailable), (401, AuthError), (500, Unavailable)])
def test_check_says_what_is_wrong(status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        speaking(Far(status)).check()


def test_check_notices_a_short_token_and_a_missing_country() -> None:
    cti = PushCTI(PushSettings(token="abc"), lend(hub={"name": "x"}))
    assert [n.path for n in cti.check()] == ["token", "country"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"token": " "}, "anybody could push"),
        ({"presence_url": "ftp://x"}, "https://"),
        ({"presence_url": "https://x.example"}, "presence_secret"),
        ({"presence_secret": "whsec_hush"}, "base64|24 to 64"),
        ({"presence_secret": "whsec_aHVzaA=="}, "24 to 64"),
        ({"number_format": "roman"}, "number_format"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PushSettings(**({"token": TOKEN} | settings))


def test_secrets_stay_secret() -> None:
    settings = PushSettings(token=TOKEN, presence_secret=SECRET)
    assert TOKEN not in repr(settings)
    assert SECRET not in repr(settings)
