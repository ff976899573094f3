"""What is shown: every page, both languages, and strangers' words as nothing but words."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from hub.locale import bound, catalogue
from hub.store.alerts import close_alert
from hub.web.files import disposition, sanitised
from hub.web.kept import as_text
from hub.web.looks import value_type
from tests.unit.braid import NOON, Braid
from tests.unit.small_hub import SmallHub
from tests.unit.web.door import PAGES, csrf


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_page_in_both_languages(inside: FlaskClient, page: str, language: str) -> None:
    assert (
        inside.post("/language", data={"language": language, "csrf_token": csrf(inside, "/overview")}).status_code
        == 302
    )
    answer = inside.get(page)
    assert answer.status_code == 200
    assert "admin." not in answer.text
    if page != "/overview/live":
        assert f'<html lang="{language}">' in answer.text


@pytest.mark.parametrize(
    ("page", "french", "english"),
    [
        ("/overview", "refuse la connexion de ventes", "refuses the login of ventes"),
        ("/overview", "pas de réponse en 30 s", "no answer within 30 s"),
        ("/deliveries", "le hub s’est arrêté pendant l’envoi", "the hub ended while it was being sent"),
        ("/deliveries", "attend que le dossier existe là-bas\u00a0; rejouez", "waits until the case could be created"),
        ("/kept", "plus de 1000 parties", "more than 1000 parts"),
        ("/cases/TR-2026-000129", "un formulaire ouvert ne prouve rien", "an open form is a claim"),
        ("/plugins", "Reçoit par HTTP", "Accepts over HTTP"),
        ("/plugins", "nombre entier", "whole number"),
    ],
)
def test_stored_sentences_speak_the_readers_language(inside: FlaskClient, page: str, french: str, english: str) -> None:
    for language, there, gone in (("fr", french, english), ("en", english, french)):
        inside.post("/language", data={"language": language, "csrf_token": csrf(inside, "/overview")})
        told = inside.get(page).text
        assert there in told
        assert gone not in told


@pytest.mark.parametrize(
    ("key", "text", "shown"),
    [
        ("disk", "Less than 200 MB is free: nothing new is taken in.", ("plus rien de nouveau n’est", "Libérez de la place")),
        ("disk:host-2", "Less than 200 MB is free on the host host-2: nothing new is taken in there.",
         ("le disque de la machine host-2\u00a0:", "Libérez de la place")),
        ("readers", "No process can be started to read what comes in: it waits.", ("lire ce qui arrive", "Vérifiez la mémoire")),
        ("readers:host-2", "On the host host-2 no process can be started to read what comes in.",
         ("Sur la machine host-2, aucun", "Vérifiez la mémoire")),
        ("no-worker", "No worker has given a sign of life for a minute: what comes in is kept, and waits.",
         ("signe de vie depuis une minute", "Lancez un worker")),
    ],
)  # fmt: skip
def test_an_alert_says_what_to_do(
    hub: SmallHub, inside: FlaskClient, key: str, text: str, shown: tuple[str, ...]
) -> None:
    with hub.store.write() as connection:
        Braid(connection).alert(key, text)
    inside.post("/language", data={"language": "fr", "csrf_token": csrf(inside, "/overview")})
    page = inside.get("/overview/live").text
    with hub.store.write() as connection:
        close_alert(connection, key, NOON)
    assert all(words in page for words in shown)
    assert not any(words in inside.get("/overview/live").text for words in shown)


def test_an_alert_about_deliveries_leads_to_those_of_its_instance(hub: SmallHub, inside: FlaskClient) -> None:
    with hub.store.write() as connection:
        Braid(connection).alert("rejected:rt", "Some deliveries to rt were refused for good; they wait.", "rt")
    page = inside.get("/overview/live").text
    with hub.store.write() as connection:
        close_alert(connection, "rejected:rt", NOON)
    assert 'href="/deliveries?state=rejected&amp;instance=rt"' in page


@pytest.mark.parametrize(
    ("kind", "french"),
    [
        ("list of text", "liste\u00a0: texte"),
        ('list of one of "fr", "en"', 'liste\u00a0: "fr", "en" au choix'),
        ("true or false", "true ou false"),
        ("true or false or text", "true ou false ou texte"),
        ("something new", "something new"),
    ],
)
def test_types_of_settings_are_said_in_words(app: Flask, kind: str, french: str) -> None:
    with app.test_request_context(headers={"Accept-Language": "fr"}):
        assert value_type(kind) == french


def test_marks_stay_with_their_words_in_french() -> None:
    said = "attend ; « voir » : 48 % ? a:b ;c"
    assert bound("fr", said) == "attend\u00a0; «\u00a0voir\u00a0»\u00a0: 48\u00a0%\u00a0? a:b ;c"
    assert bound("en", said) == said


def test_headers_make_browsers_careful(inside: FlaskClient) -> None:
    answer = inside.get("/overview")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<[^>]+ (?:style|on\w+)=", answer.text)


def test_customers_words_are_text(hub: SmallHub, inside: FlaskClient) -> None:
    with hub.store.write() as connection:
        rows = Braid(connection)
        (who,) = rows.customer("<b>Eve</b>", ("email", "eve@customer.example"))
        rows.message(
            who, "<script>alert(1)</script>", subject="<i>x</i>", sender_name="<u>E</u>", proof_reason='"><svg>'
        )
        number = connection.scalar(sa.text("select customer_id from identity where id=:i"), {"i": who})
    page = inside.get(f"/customers/{number}").text
    assert "<script>alert" not in page
    assert "<b>Eve" not in page
    assert "<u>E" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("alice.martin@customer.example", "/customers/1"),
        ("TR-2026-000123", "/cases/TR-2026-000123"),
        ("cmd-2026-0042", "/orders/CMD-2026-0042"),
        ("alice martin", "/customers?search=alice+martin"),
        ("nobody@nowhere.example", "/customers?search=nobody@nowhere.example"),
    ],
)
def test_the_search_leads_there(inside: FlaskClient, key: str, place: str) -> None:
    assert inside.get("/search", query_string={"key": key}).location == place


def test_what_does_not_exist_is_said_so(inside: FlaskClient) -> None:
    for page in (
        "/customers/99999",
        "/cases/TR-1",
        "/orders/NO-1",
        "/kept/99999",
        "/messages/99999/html",
        "/answers/999",
        "/answers/9223372036854775808",
    ):
        assert inside.get(page).status_code == 404
    assert inside.get("/customers/1?before=junk").status_code == 404


def test_html_mail_is_tamed(inside: FlaskClient) -> None:
    page = inside.get("/customers/1").text
    found = re.search(r'src="(/messages/\d+/html)"', page)
    assert found
    answer = inside.get(found[1])
    assert "script" not in answer.text
    assert "tracker.example" not in answer.text
    assert "ma commande" in answer.text
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "body",
    ['<a href="javascript:alert(1)">x</a>', '<p style="x" onclick="y">x</p>', "<form><input></form>", "<svg onload=x>"],
)
def test_sanitised_leaves_nothing_that_acts(body: str) -> None:
    assert not re.search(r"javascript|onclick|style=|<form|<input|onload", sanitised(body))


def test_an_attachment_is_saved_and_never_shown(inside: FlaskClient) -> None:
    page = inside.get("/customers/1").text
    first, second = re.findall(r'href="(/attachments/\d+)"', page)
    answer = inside.get(first)
    assert answer.status_code == 200
    assert answer.data.startswith(b"\x89PNG")
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert inside.get(second).status_code == 404  # its bytes are not what was read: nothing beats a wrong file


@pytest.mark.parametrize("name", ['a"b.pdf', "../../etc/passwd", "x\r\nSet-Cookie: y", "prénom \u202egnp.exe", ""])
def test_names_of_strangers_stay_in_their_header(name: str) -> None:
    header = disposition(name)
    assert header.isascii()
    assert not set("\r\n/\\") & set(header)
    assert header.count('"') == 2


def test_raw_bytes_are_text() -> None:
    assert as_text(b"a\x00\xff\r\n\x1b[0m\xc3\xa9") == "a\\x00\\xff\n\\x1b[0mé"


def test_raw_bytes_as_a_file(inside: FlaskClient) -> None:
    answer = inside.get("/kept/1/bytes")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert "attachment" in answer.headers["Content-Disposition"]


def test_every_text_a_template_says_exists_and_every_text_is_said() -> None:
    folder = files("hub.web")
    sources = [
        f.read_text("utf-8")
        for part in (folder / "templates", folder)
        for f in part.iterdir()
        if f.name.endswith((".html", ".py"))
    ]
    everything = "\n".join(sources).replace("'", '"')
    known = {key.removeprefix("admin.") for key in catalogue() if key.startswith("admin.")}
    said = set(re.findall(r'(?:\bt|say)\(\s*"([a-z_]+\.[a-z_0-9]+)"\s*[,)]', everything))
    assert said - known == set()
    # Keys made of parts (`word("delivery", state)`) are held by the pages' own tests.
    composed = {
        "dates",
        "delivery",
        "ability",
        "band",
        "outcome",
        "proof",
        "identity",
        "language",
        "link",
        "health",
        "kind",
        "strand",
        "case",
        "event",
    }
    composed |= {
        "data",
        "alert",
        "alert_do",
        "can",
        "type",
        "error",
        "entry",
        "order",
        "sizes",
        "login",
        "nav",
        "overview",
        "deliveries",
        "answers",
    }
    unsaid = {k for k in known if f'"{k}"' not in everything and k.partition(".")[0] not in composed}
    assert unsaid == set()


def test_texts_have_both_languages_and_the_same_blanks() -> None:
    texts = tomllib.loads((files("hub.locale") / "admin.toml").read_text("utf-8"))
    for section, keys in texts.items():
        for key, wordings in keys.items():
            assert set(wordings) == {"fr", "en"}, f"{section}.{key}"
            blanks = [sorted(re.findall(r"\{\w+\}", w)) for w in wordings.values()]
            assert blanks[0] == blanks[1], f"{section}.{key}"
