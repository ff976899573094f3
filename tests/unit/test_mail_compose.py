"""Mails we send: read back by us and by the standard library, and nobody injects a header."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.mail.compose import compose
from hub.mail.read import read_mail
from hub.sdk import Identity, Outgoing

TO = Identity("email", "zoe@customer.example", "Zoé, « la » Pêche")
ANSWER = Outgoing("answer", TO, "Votre colis", "Bonjour,\n\nil arrive.", in_reply_to="<b@x>", references=("<a@x>",))
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def written(outgoing: Outgoing = ANSWER, **given: Any) -> bytes:
    values: dict[str, Any] = {
        "sender": "support@shop.example",
        "sender_name": "Service client",
        "message_id": "<new@shop.example>",
        "date": WHEN,
        "automatic": False,
    }
    return compose(outgoing, **values | given)


def fields(data: bytes) -> list[str]:
    return [name for name, _ in email.message_from_bytes(data).raw_items()]


def test_what_we_write_reads_back() -> None:
    data = written(replace(ANSWER, subject="Votre colis est arrivé : « TR-2026-000123 »" * 3, html="<p>été</p>"))
    mail = read_mail(data)
    assert (mail.sender.value, mail.sender.name) == ("support@shop.example", "Service client")
    assert mail.facts["to"] == "zoe@customer.example"
    assert mail.subject == "Votre colis est arrivé : « TR-2026-000123 »" * 3
    assert mail.at == WHEN
    assert mail.text == "Bonjour,\n\nil arrive."
    assert mail.html == "<p>été</p>\n"
    assert mail.references == ("<a@x>", "<b@x>")
    assert mail.message_id == "<new@shop.example>"
    theirs = email.message_from_bytes(data, policy=email.policy.default)
    assert str(theirs["Subject"]) == mail.subject
    assert str(theirs["To"].addresses[0].display_name) == TO.name  # type: ignore[attr-defined]
    assert theirs.get_body(("plain",)).get_content().split() == ["Bonjour,", "il", "arrive."]  # type: ignore[attr-defined]


def test_the_thread() -> None:
    data = written(replace(ANSWER, references=tuple(f"<{i}@{'x' * 60}>" for i in range(50))))
    mail = email.message_from_bytes(data)
    assert mail["In-Reply-To"] == "<b@x>"
    chain = read_mail(data).references
    assert (chain[0], chain[-1], len(chain)) == (f"<0@{'x' * 60}>", "<b@x>", 20)
    assert b"=?" not in data.split(b"\r\n\r\n")[0].partition(b"References:")[2]
    assert "In-Reply-To" not in fields(written(Outgoing("answer", TO, "s", "t")))
    assert email.message_from_bytes(written(replace(ANSWER, in_reply_to="")))["In-Reply-To"] == "<a@x>"


def test_an_automatic_mail_says_so() -> None:
    automatic = email.message_from_bytes(written(automatic=True, extra={"X-Loop": "support@shop.example"}))
    assert automatic["Auto-Submitted"] == "auto-replied"
    assert automatic["X-Auto-Response-Suppress"] == "All"
    assert automatic["X-Loop"] == "support@shop.example"
    assert {"Auto-Submitted", "X-Auto-Response-Suppress"}.isdisjoint(fields(written()))


def test_reply_to() -> None:
    assert email.message_from_bytes(written(reply_to="cases@shop.example"))["Reply-To"] == "cases@shop.example"


LINE_BREAKS = ["\r\nBcc: x@evil.example", "\nBcc: x", "\rBcc: x", "\x00", "\x0b", "\x1b[0m"]


@pytest.mark.parametrize("evil", LINE_BREAKS)
def test_no_header_can_be_injected(evil: str) -> None:
    for data in (
        {"outgoing": replace(ANSWER, subject="s" + evil)},
        {"outgoing": replace(ANSWER, to=Identity("email", "a@x.example" + evil))},
        {"outgoing": replace(ANSWER, to=Identity("email", "a@x.example", "A" + evil))},
        {"outgoing": replace(ANSWER, in_reply_to="<a@x>" + evil)},
        {"outgoing": replace(ANSWER, references=("<a@x>" + evil,))},
        {"sender": "s@shop.example" + evil},
        {"sender_name": "S" + evil},
        {"message_id": "<a@x>" + evil},
        {"reply_to": "r@shop.example" + evil},
        {"extra": {"X-A": "v" + evil}},
        {"extra": {"X-A" + evil: "v"}},
    ):
        with pytest.raises(ValueError, match=r"."):
            written(**data)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        {"sender": "no-address"},
        {"sender": "a b@x.example"},
        {"sender": "a@x.example, b@y.example"},
        {"sender": "a@x.example> <b@y.example"},
        {"sender": "é@x.example"},
        {"sender": "a@"},
        {"sender": "a@é..é"},
        {"message_id": "new@shop.example"},
        {"message_id": "<a b@x>"},
        {"date": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"extra": {"Subject": "again"}},
        {"extra": {"auto-submitted": "no"}},
        {"extra": {"X A": "v"}},
        {"extra": {"": "v"}},
    ],
)
def test_what_cannot_be_sent_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        written(**given)


def test_names_and_domains() -> None:
    data = written(replace(ANSWER, to=Identity("email", "jo@bücher.example", 'Jo "the" O\'Neil, Esq.')))
    assert b"xn--bcher-kva.example" in data
    assert read_mail(data).facts["to"] == "jo@xn--bcher-kva.example"
    theirs = email.message_from_bytes(data, policy=email.policy.default)
    assert theirs["To"].addresses[0].display_name == 'Jo "the" O\'Neil, Esq.'  # type: ignore[attr-defined]


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=400),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=1000),
)
def test_every_line_is_short_ascii_and_every_text_comes_back(subject: str, name: str, text: str) -> None:
    data = written(replace(ANSWER, subject=subject, text=text), sender_name=name)
    assert data.isascii()
    for line in data.split(b"\r\n"):
        assert len(line) <= 998
        assert b"\n" not in line
        assert b"\r" not in line
    head = [n for n in fields(data) if n != "Content-Transfer-Encoding"]
    assert head == [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "In-Reply-To",
        "References",
        "MIME-Version",
        "Content-Type",
    ]
    mail = read_mail(data)
    assert mail.sender.value == "support@shop.example"
    assert "".join(mail.text.split()) == "".join(text.replace("\x00", "").removeprefix("\ufeff").split())
    if subject.isprintable():
        assert "".join(mail.subject.split()) == "".join(subject.split())


def test_the_same_input_gives_the_same_bytes() -> None:
    assert written(replace(ANSWER, html="<p>x</p>")) == written(replace(ANSWER, html="<p>x</p>"))
