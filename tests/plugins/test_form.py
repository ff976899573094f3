"""plugins/channels/form: the page, its JSON twin, and what becomes of an entry."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import plugins.channels.form as plugin
from hub.locale import catalogue
from hub.sdk import (
    Accepted,
    Direction,
    Identity,
    Message,
    Proof,
    Raw,
    Rejected,
    Reply,
    Request,
    Unavailable,
    Upload,
    abilities_of,
)
from hub.testing import AcceptsContract, ComponentContract, MemoryState, ReadsContract
from plugins.channels.form.channel import FormChannel
from plugins.channels.form.page import choose
from plugins.channels.form.settings import FormSettings
from tests.plugins.lent import clock, lend

SHOP = "https://shop.example"
KEY = "sixteen-or-more-characters"
TYPED = {
    "name": "Alice Martin",
    "email": "Alice@Customer.Example",
    "phone": "06 12 34 56 78",
    "order": "cmd-2026-0042",
    "subject": "Ma commande",
    "message": "Bonjour,\r\n\r\noù est ma commande ?",
}
PDF = Upload("facture.pdf", "application/octet-stream", b"%PDF-1.7 ...")


def make(state: MemoryState | None = None, **changes: Any) -> FormChannel:
    context = lend(id="contact", state=state or MemoryState(), address="https://hub.example/in/contact")
    return FormChannel(FormSettings(**changes), context)


def request(method: str, body: bytes = b"", **changes: Any) -> Request:
    values: dict[str, Any] = {
        "method": method,
        "path": "",
        "headers": {},
        "query": {},
        "body": body,
        "remote": "192.0.2.7",
    }
    return Request(**(values | changes))


def show(form: FormChannel, **changes: Any) -> str:
    reply = form.accept(request("GET", **changes)).reply
    assert reply.status == 200
    return reply.body.decode()


def hidden(page: str, name: str) -> str:
    found = re.search(rf'type="hidden" name="{name}" value="([^"]*)"', page)
    return unescape(found[1]) if found else ""


def post(form: FormChannel, typed: dict[str, str], *, after: float = 10, **changes: Any) -> Accepted:
    """Open the page, wait, send."""
    if "started" not in typed:
        typed = typed | {"started": hidden(show(form), "started")}
        clock(form).move(after)
    values: dict[str, Any] = {"headers": {"content-type": "multipart/form-data; boundary=x"}, "form": typed}
    return form.accept(request("POST", **(values | changes)))


def post_json(form: FormChannel, sent: object, **headers: str) -> Accepted:
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    return form.accept(request("POST", body, headers={"content-type": "application/json"} | headers))


def message(form: FormChannel, accepted: Accepted) -> Message:
    assert accepted.reply.status in (202, 303), accepted.reply.body.decode()
    (found,) = form.read(accepted.raws[0])
    assert isinstance(found, Message)
    return found


def errors(reply: Reply) -> dict[str, str]:
    return json.loads(reply.body)["errors"]


def test_offers_one_component() -> None:
    assert plugin.hub_components() == [FormChannel]
    assert abilities_of(FormChannel) == ["Reads", "Accepts"]


class TestContract(ComponentContract, ReadsContract, AcceptsContract):
    component = FormChannel

    def settings(self) -> dict[str, Any]:
        return {"signing_key": KEY, "minimum_fill": "0s"}

    def raws(self) -> list[Raw]:
        form = make(signing_key=KEY)
        taken = [
            post(form, TYPED, files=(PDF,)),
            post(form, TYPED | sign(form, "alice@customer.example")),
            post_json(form, TYPED | {"language": "en"}),
        ]
        return [raw for accepted in taken for raw in accepted.raws]

    def good_request(self) -> Request:
        return request("POST", json.dumps(TYPED).encode(), headers={"content-type": "application/json"})

    def forged_request(self) -> Request:
        evil = {"content-type": "application/json", "origin": "https://evil.example"}
        return replace(self.good_request(), headers=evil)


# -- the page ---------------------------------------------------------------------------------------


def test_page_needs_no_script_and_asks_nobody_else() -> None:
    reply = make().accept(request("GET")).reply
    page = reply.body.decode()
    assert "<script" not in page
    assert not re.search(r'(?:src|href|url)\s*[=(]\s*"?https?:', page)
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    css = re.search("<style>(.*?)</style>", page, re.DOTALL)
    assert css
    assert base64.b64encode(hashlib.sha256(css[1].encode()).digest()).decode() in policy
    assert reply.headers["Cache-Control"] == "no-store"


def test_every_field_has_a_label() -> None:
    page = show(make())
    fields = re.findall(r'<(?:input|textarea)[^>]* id="([a-z]+)"', page)
    assert set(TYPED) | {"files", "homepage"} == set(fields)
    assert all(f'<label for="{name}">' in page for name in fields)


@pytest.mark.parametrize(
    ("query", "header", "language"),
    [
        ({}, "", "fr"),
        ({}, "en-GB,en;q=0.9,fr;q=0.5", "en"),
        ({}, "de,es;q=0.3,fr;q=0.8", "fr"),
        ({}, "de", "fr"),
        ({}, "en;q=high,*;q=0,en;q=0", "fr"),
        ({"lang": "en"}, "fr", "en"),
        ({"lang": "xx"}, "en", "en"),
        ({"lang": "es"}, "fr", "fr"),  # the hub does not speak it
    ],
)
def test_language(query: dict[str, str], header: str, language: str) -> None:
    page = show(make(), query=query, headers={"accept-language": header})
    assert f'<html lang="{language}">' in page
    assert {"fr": "Écrire à Maison Tresse", "en": "Write to Maison Tresse"}[language] in page


def test_languages_can_be_set() -> None:
    assert "Escribir a Zapatos" in show(make(languages=["es", "fr"], name="Zapatos"))
    assert choose("", "", ("es", "fr")) == "es"


def test_a_link_fills_in_fields_and_is_carried_along() -> None:
    query = {"order": 'A"><b>1', "page": "https://shop.example/o/1", "utm_source": "news", "email": "a@b.example"}
    page = show(make(), query=query)
    assert 'value="A&#34;&gt;&lt;b&gt;1"' in page
    assert (hidden(page, "page"), hidden(page, "utm_source")) == ("https://shop.example/o/1", "news")
    assert "order=A%22" in page  # the other language keeps it


def test_the_page_that_led_here_is_kept_but_never_ourselves_or_a_script() -> None:
    assert hidden(show(make(), headers={"referer": SHOP + "/help"}), "page") == SHOP + "/help"
    assert hidden(show(make(), headers={"referer": "https://hub.example/in/contact?lang=en"}), "page") == ""
    assert hidden(show(make(), query={"page": "javascript:alert(1)"}), "page") == ""


def test_all_texts_exist_in_three_languages() -> None:
    texts = {key: text for key, text in catalogue().items() if key.startswith("form.")}
    assert texts
    for key, wordings in texts.items():
        assert wordings.keys() == {"fr", "en", "es"}, key
        fields = [sorted(re.findall(r"\{(\w+)\}", wording)) for wording in wordings.values()]
        assert fields[0] == fields[1] == fields[2], key


def test_other_requests() -> None:
    form = make()
    assert form.accept(request("GET", path="admin")).reply.status == 404
    assert form.accept(request("HEAD")).reply.status == 200
    deleted = form.accept(request("DELETE")).reply
    assert (deleted.status, "POST" in deleted.headers["Allow"]) == (405, True)
    assert form.accept(request("POST", b"x", headers={"content-type": "text/plain"})).reply.status == 415


# -- an entry becomes a message -----------------------------------------------------------------------


def test_an_entry_is_a_claimed_message_with_its_own_case() -> None:
    form = make()
    accepted = post(form, TYPED | {"page": SHOP + "/p", "utm_source": "news"}, files=(PDF, Upload("", "", b"")))
    assert accepted.reply.status == 303
    assert accepted.reply.headers["Location"] == "?sent=1&lang=fr"
    found = message(form, accepted)
    alice = Identity("email", "alice@customer.example", "Alice Martin")
    assert (found.direction, found.sender, found.customer) == (Direction.IN, alice, alice)
    assert (found.subject, found.text) == ("Ma commande", "Bonjour,\n\noù est ma commande ?")
    assert (found.proof, found.proof_reason) == (Proof.CLAIMED, "an open form is a claim")
    assert (found.opens_case, found.may_acknowledge) == (True, False)
    assert found.acknowledge_reason
    assert (found.language, found.order_numbers) == ("fr", ("CMD-2026-0042",))
    assert found.facts == {"page": SHOP + "/p", "utm_source": "news", "phone": "06 12 34 56 78"}
    assert found.at == clock(form)()
    (file,) = found.attachments
    assert (file.name, file.content_type, file.size) == ("facture.pdf", "application/pdf", len(PDF.data))
    assert form.attachment(accepted.raws[0], file.part) == (file, PDF.data)
    assert form.read(accepted.raws[0]) == [found]


def test_the_page_after_sending() -> None:
    page = show(make(), query={"sent": "1", "lang": "en"})
    assert "Thank you, your message has arrived" in page
    assert "<form" not in page


def test_an_own_page_after_sending() -> None:
    form = make(thanks_url="https://shop.example/thanks?x=1")
    assert post(form, TYPED).reply.headers["Location"] == "https://shop.example/thanks?x=1"
    policy = form.accept(request("GET")).reply.headers["Content-Security-Policy"]
    assert "form-action 'self' https://shop.example;" in policy


def test_a_field_of_one_line_stays_one() -> None:
    found = message(form := make(), post(form, TYPED | {"subject": "a\r\nBcc: x@y.example\x00", "name": "A\u202eb"}))
    assert (found.subject, found.sender.name) == ("a Bcc: x@y.example", "A b")


def test_nothing_is_read_from_other_bytes() -> None:
    form = make()
    for junk in (b"", b"junk", b"[]", b'{"version": 1}', b'{"version":1,"fields":[]}'):
        with pytest.raises(Rejected):
            form.read(Raw("k", junk))
    with pytest.raises(Rejected, match="no file 3"):
        form.attachment(post(form, TYPED).raws[0], 3)


# -- what is wrong is said beside its field -------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": " "}, "name", "Indiquez votre nom"),
        ({"email": ""}, "email", "Indiquez votre adresse"),
        ({"email": "alice@localhost"}, "email", "incomplète"),
        ({"email": "alice at home"}, "email", "incomplète"),
        ({"subject": "\t"}, "subject", "Indiquez un sujet"),
        ({"message": "\n"}, "message", "Écrivez votre message"),
        ({"message": "x" * 101}, "message", "100 caractères au plus, vous en avez 101"),
        ({"order": "x" * 81}, "order", "80 caractères"),
    ],
)
def test_problems_come_back_beside_their_field_with_the_text(changes: dict[str, str], field: str, words: str) -> None:
    typed = TYPED | {"message": "<b>Bonjour</b>"} | changes
    form = make(longest_message=100)
    accepted = post(form, typed, files=(PDF,))
    page = accepted.reply.body.decode()
    assert (accepted.reply.status, accepted.raws) == (422, ())
    beside = re.search(rf'id="wrong-{field}">([^<]*)<', page)
    assert beside
    assert words in unescape(beside[1])
    assert re.search(
        rf'<(?:input|textarea) id="{field}"[^>]*aria-invalid="true" aria-describedby="wrong-{field}"', page
    )
    assert f'<a href="#{field}">' in page
    assert "à joindre de nouveau" in page
    assert "<b>Bonjour" not in page
    if "message" not in changes:
        assert "&lt;b&gt;Bonjour&lt;/b&gt;</textarea>" in page
    mended = post(form, TYPED | {"message": "court", "started": hidden(page, "started")})
    assert mended.reply.status == 303  # the start time of the first page still counts


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((PDF,) * 3, "2 au plus"),
        ((Upload("a.pdf", "", b"%PDF" + b"x" * 2000),), "trop lourd : 1 Ko au plus"),
        ((Upload("a.exe", "", b"MZ"),), "« a.exe » n’est pas accepté"),
        ((Upload("noending", "", b"x"),), "n’est pas accepté"),
        ((Upload("a.pdf", "application/pdf", b"MZ\x90"),), "Le contenu de « a.pdf »"),
        ((Upload("a.png", "image/png", b"\xff\xd8\xff"),), "Le contenu de « a.png »"),
        ((Upload("a.txt", "", b"  <script>alert(1)</script>"),), "Le contenu de « a.txt »"),
        ((Upload("a.log", "", b"#!/bin/sh"),), "Le contenu de « a.log »"),
        ((Upload("a.txt", "", b"a" * 900), Upload("b.txt", "", b"b" * 900)), "trop lourds ensemble : 1 Ko"),
    ],
)
def test_files_that_are_not_taken(files: tuple[Upload, ...], words: str) -> None:
    types = ["pdf", "PNG", ".txt", "log"]
    form = make(max_files=2, max_file_size="1KB", max_total_size="1.5KB", file_types=types)
    accepted = post(form, TYPED, files=files)
    assert accepted.raws == ()
    assert words in unescape(accepted.reply.body.decode())


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.pdf", b"\n%PDF-1.4"),
        ("A.JPG", b"\xff\xd8\xff\xe0"),
        ("a.png", b"\x89PNG\r\n\x1a\n..."),
        ("a.heic", b"\0\0\0\x18ftypheic"),
        ("a.docx", b"PK\x03\x04"),
        ("C:\\fakepath\\note.txt", "déjà".encode()),
    ],
)
def test_files_that_are_taken(name: str, data: bytes) -> None:
    found = message(form := make(), post(form, TYPED, files=(Upload(name, "x/y", data),)))
    assert found.attachments[0].name == name.rpartition("\\")[2]


def test_a_request_too_large_is_413_with_the_text() -> None:
    form = make(max_total_size="1KB", max_file_size="1KB")
    accepted = post(form, TYPED, body=b"x" * 600_000)
    assert (accepted.reply.status, accepted.raws) == (413, ())
    assert "où est ma commande" in accepted.reply.body.decode()
    assert post_json(form, b"x" * 600_000).reply.status == 413


# -- robots -------------------------------------------------------------------------------------------


def test_what_fills_the_trap_looks_sent_and_is_kept_aside() -> None:
    form = make()
    accepted = post(form, TYPED | {"homepage": "http://spam.example"}, after=0)
    assert accepted.reply == post(form, TYPED).reply
    (raw,) = accepted.raws
    assert raw.facts["spam"]
    assert form.read(raw) == []
    rescued = FormChannel(FormSettings(honeypot=False), form.context).read(raw)
    assert isinstance(rescued[0], Message)
    assert rescued[0].subject == "Ma commande"


def test_without_a_honeypot_the_field_means_nothing() -> None:
    form = make(honeypot=False)
    assert post(form, TYPED | {"homepage": "x"}, after=0).reply.status == 422
    assert message(form, post(form, TYPED | {"homepage": "x"})).subject == "Ma commande"


def test_too_fast_asks_once_more_and_loses_nothing() -> None:
    form = make()
    accepted = post(form, TYPED, after=1)
    page = accepted.reply.body.decode()
    assert (accepted.reply.status, accepted.raws) == (422, ())
    assert "très rapide" in page
    assert "où est ma commande" in page
    clock(form).move(3)
    assert post(form, TYPED | {"started": hidden(page, "started")}).reply.status == 303


@pytest.mark.parametrize("token", ["", "forged", "1-2-3", "-", "0-00-é", "\udcff"])
def test_a_start_time_that_is_not_ours_asks_once_more(token: str) -> None:
    form = make()
    accepted = post(form, TYPED | {"started": token})
    page = accepted.reply.body.decode()
    assert (accepted.reply.status, accepted.raws) == (422, ())
    clock(form).move(4)
    assert post(form, TYPED | {"started": hidden(page, "started")}).reply.status == 303


def test_a_start_time_may_be_days_old_but_not_changed_nor_from_another_form() -> None:
    form = make()
    started = hidden(show(form), "started")
    clock(form).move(5 * 86_400)
    assert post(form, TYPED | {"started": started}).reply.status == 303
    assert post(form, TYPED | {"started": "1" + started}).reply.status == 422
    assert post(make(), TYPED | {"started": started}).reply.status == 422


def test_the_key_outlives_a_restart() -> None:
    state = MemoryState()
    started = hidden(show(make(state)), "started")
    again = make(state)
    clock(again).move(10)
    assert post(again, TYPED | {"started": started}).reply.status == 303


def test_a_websites_own_form_needs_no_start_time() -> None:
    form = make(origins=[SHOP + "/"])
    headers = {"content-type": "application/x-www-form-urlencoded", "origin": SHOP}
    assert post(form, TYPED | {"started": ""}, headers=headers).reply.status == 303
    other = headers | {"origin": "https://other.example"}
    assert post(form, TYPED | {"started": ""}, headers=other).reply.status == 422


def test_no_check_of_time_where_it_is_switched_off() -> None:
    assert post(make(minimum_fill="0s"), TYPED | {"started": ""}).reply.status == 303


def test_the_rate_is_counted_per_address_and_in_its_window() -> None:
    form = make(rate=2, rate_window="1h", languages=["en"])
    for n in range(2):
        assert post(form, TYPED | {"subject": str(n)}).raws
    limited = post(form, TYPED | {"subject": "3"})
    assert (limited.reply.status, limited.raws) == (429, ())
    assert 3500 < int(limited.reply.headers["Retry-After"]) <= 3601
    assert "try again in 60 min" in limited.reply.body.decode()
    assert "où est ma commande" in limited.reply.body.decode()
    assert post(form, TYPED, remote="192.0.2.8").raws
    clock(form).move(3600)
    assert post(form, TYPED | {"subject": "3"}).raws


def test_an_ipv6_network_counts_as_one_and_no_address_is_kept() -> None:
    state = MemoryState()
    form = make(state, rate=1)
    assert post(form, TYPED, remote="2001:db8:1:2::1").raws
    assert post(form, TYPED, remote="2001:db8:1:2:ffff::2").reply.status == 429
    assert post(form, TYPED, remote="2001:db8:1:3::1").raws
    assert post(form, TYPED, remote="::ffff:192.0.2.9").raws
    assert post(form, TYPED, remote="unix:").raws
    kept = json.dumps(state.values)
    assert "2001" not in kept
    assert "192.0.2" not in kept


def test_counts_do_not_grow_for_ever() -> None:
    state = MemoryState()
    form = make(state, minimum_fill="0s", rate_window="1m")
    for n in range(300):
        post(form, TYPED | {"started": "", "subject": str(n)}, remote=f"198.51.{n // 250}.{n % 250}")
        clock(form).move(1)
    rows = [json.loads(v) for k, v in state.values.items() if k.startswith("rate-")]
    clock(form).move(120)
    assert len(rows) <= 64
    assert sum(map(len, rows)) < 300


def test_a_count_that_cannot_be_written_keeps_nothing_and_says_so() -> None:
    class Busy(MemoryState):
        def swap(self, key: str, old: str | None, new: str) -> bool:
            return key == "key" and super().swap(key, old, new)

    with pytest.raises(Unavailable):
        post(make(Busy()), TYPED)


# -- sent twice -----------------------------------------------------------------------------------------


def test_a_double_click_is_one_entry_but_other_words_are_another() -> None:
    form = make()
    typed = TYPED | {"started": hidden(show(form), "started")}
    clock(form).move(50)
    first = post(form, typed).raws[0]
    clock(form).move(50)
    assert post(form, typed).raws[0].key == first.key
    assert post(form, typed | {"message": "other"}).raws[0].key != first.key
    assert post(form, typed, files=(PDF,)).raws[0].key != first.key
    assert post(form, TYPED).raws[0].key != first.key  # a page opened anew: meant again
    assert len(first.key) <= 300


def test_a_scripts_key_makes_its_retry_one() -> None:
    form = make()
    first = post_json(form, TYPED | {"key": "k1"}).raws[0]
    clock(form).move(600)
    assert post_json(form, TYPED | {"key": "k1"}).raws[0].key == first.key
    assert post_json(form, TYPED | {"key": "k2"}).raws[0].key != first.key
    assert post_json(form, TYPED | {"key": "k1", "message": "other"}).raws[0].key != first.key


def test_without_a_key_the_same_words_within_a_minute_are_one() -> None:
    form = make()
    keys = []
    for wait in (0, 20, 60):
        clock(form).move(wait)
        keys.append(post_json(form, TYPED).raws[0].key)
    assert keys[0] == keys[1] != keys[2]


# -- JSON ---------------------------------------------------------------------------------------------


def test_json_is_received() -> None:
    form = make()
    sent = TYPED | {"language": "DE-at", "files": [{"name": "f.pdf", "data": base64.b64encode(PDF.data).decode()}]}
    accepted = post_json(form, sent)
    assert (accepted.reply.status, json.loads(accepted.reply.body)) == (202, {"status": "received"})
    found = message(form, accepted)
    assert (found.language, found.attachments[0].size) == ("de", len(PDF.data))
    assert found.sender.value == "alice@customer.example"


def test_json_errors_are_named_by_field_in_the_right_language() -> None:
    sent = {"name": 7, "email": "x", "subject": ["a"], "message": "hello", "files": "f.pdf", "language": "en"}
    accepted = post_json(make(), sent)
    assert (accepted.reply.status, accepted.raws) == (422, ())
    assert errors(accepted.reply) == {
        "name": "This should be text.",
        "email": "This e-mail address is not complete. Example: name@example.com",
        "subject": "This should be text.",
        "files": "This should be text.",
    }


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_json_that_is_none(body: bytes) -> None:
    accepted = post_json(make(), body)
    assert (accepted.reply.status, accepted.raws) == (400, ())
    assert "JSON" in errors(accepted.reply)["form"]


@pytest.mark.parametrize("files", [[{"name": "a.pdf"}], [{"name": "a.pdf", "data": "§"}], ["a.pdf"], {}])
def test_json_files_that_are_none(files: object) -> None:
    assert "files" in errors(post_json(make(), TYPED | {"files": files}).reply)


def test_json_is_counted_and_trapped_like_the_page() -> None:
    form = make(rate=1)
    trapped = post_json(form, TYPED | {"homepage": "x"})
    assert (trapped.reply.status, form.read(trapped.raws[0])) == (202, [])
    limited = post_json(form, TYPED)
    assert limited.reply.status == 429
    assert int(limited.reply.headers["Retry-After"]) > 0


def test_cors_only_for_listed_origins() -> None:
    form = make(origins=[SHOP])

    def ask(origin: str) -> Reply:
        return form.accept(request("OPTIONS", headers={"origin": origin})).reply

    allowed = ask(SHOP)
    assert (allowed.status, allowed.headers["Access-Control-Allow-Origin"]) == (204, SHOP)
    assert allowed.headers["Vary"] == "Origin"
    for origin in ("https://evil.example", "null", "", SHOP + ".evil.example", "http://shop.example"):
        refused = ask(origin)
        assert refused.status == 403
        assert "Access-Control-Allow-Origin" not in refused.headers
    assert post_json(form, TYPED, origin=SHOP).reply.headers["Access-Control-Allow-Origin"] == SHOP
    assert post_json(form, {}, origin=SHOP).reply.headers["Access-Control-Allow-Origin"] == SHOP
    assert post_json(form, TYPED, origin="https://hub.example").reply.status == 202  # the hub's own pages
    evil = post_json(form, TYPED, origin="https://evil.example")
    assert (evil.reply.status, evil.raws) == (403, ())


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*TYPED, "files", "language", "key", "started", "page", "signed_at", "signature", "homepage"]),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=30), st.lists, max_leaves=3),
    )
)
def test_any_json_object_gets_an_answer(sent: dict[str, Any]) -> None:
    form = make(signing_key=KEY)
    accepted = post_json(form, TYPED | sent)
    assert accepted.reply.status in (202, 422)
    for raw in accepted.raws:
        raw.data.decode()
        assert form.read(raw) == form.read(raw)


# -- signed -------------------------------------------------------------------------------------------


def sign(form: FormChannel, email: str, age: float = 60, key: str = KEY) -> dict[str, str]:
    at = str(int(clock(form)().timestamp() - age))
    signature = hmac.new(key.encode(), f"{email}\n{at}".encode(), hashlib.sha256).hexdigest()
    return {"signed_at": at, "signature": signature}


def test_a_signed_address_is_verified_and_may_be_acknowledged() -> None:
    form = make(signing_key=KEY)
    found = message(form, post(form, TYPED | sign(form, "alice@customer.example")))
    assert (found.proof, found.may_acknowledge, found.acknowledge_reason) == (Proof.VERIFIED, True, "")
    number = sign(form, "alice@customer.example")
    as_number = TYPED | {"signature": number["signature"], "signed_at": int(number["signed_at"])}  # type: ignore[dict-item]
    assert message(form, post_json(form, as_number)).proof is Proof.VERIFIED
    without_key = make()
    assert message(without_key, post(without_key, TYPED | number)).proof is Proof.CLAIMED


@pytest.mark.parametrize(
    ("email", "age", "key", "reason"),
    [
        ("mallory@customer.example", 60, KEY, "does not fit"),
        ("alice@customer.example", 60, "another-key-of-16-characters", "does not fit"),
        ("alice@customer.example", 13 * 3600, KEY, "expired"),
        ("alice@customer.example", -3600, KEY, "expired"),
    ],
)
def test_a_signature_that_is_not_good_is_a_claim_and_says_why(email: str, age: float, key: str, reason: str) -> None:
    form = make(signing_key=KEY)
    found = message(form, post(form, TYPED | sign(form, email, age, key)))
    assert (found.proof, found.may_acknowledge) == (Proof.CLAIMED, False)
    assert reason in found.proof_reason


def test_the_page_carries_a_signed_link_and_the_raw_forgets_it() -> None:
    form = make(signing_key=KEY)
    link = sign(form, "alice@customer.example") | {"email": "alice@customer.example"}
    page = show(form, query=link)
    assert hidden(page, "signature") == link["signature"]
    accepted = post(form, TYPED | link)
    assert link["signature"].encode() not in accepted.raws[0].data
    assert message(form, accepted).proof is Proof.VERIFIED


# -- settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"origins": ["shop.example"]}, "https://shop.example"),
        ({"origins": ["*"]}, "no path"),
        ({"languages": ["de"]}, "languages"),
        ({"signing_key": "short"}, "too short"),
        ({"privacy_url": "shop.example/p"}, "https://"),
        ({"rate": 0}, "rate"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_settings_that_cannot_work(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        FormSettings(**changes)


def test_check_notices_what_does_not_fit() -> None:
    assert make().check() == []
    assert [n.path for n in make(max_total_size="1MB").check()] == ["max_total_size"]
    plain = FormChannel(FormSettings(), replace(lend(), address="http://hub.example/in/contact"))
    assert "https" in plain.check()[0].text


def test_the_signing_key_stays_secret() -> None:
    assert KEY not in repr(FormSettings(signing_key=KEY))
