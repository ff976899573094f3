"""One mail to one Message."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.mail.read import Unreadable, attachment, read_mail
from hub.sdk import Message, Proof
from tests.cheap import cheap

PLAIN = b"""Return-Path: <alice@customer.example>\r
Received: from mx by shop; Mon, 3 Mar 2025 10:00:02 +0100\r
From: =?utf-8?Q?Al=C3=ADce?= <Alice@customer.example>\r
To: Support <support@shop.example>, b@shop.example\r
Cc: c@shop.example\r
Subject: =?iso-8859-1?Q?Colis_non_re=E7u?=\r
Date: Mon, 3 Mar 2025 10:00:00 +0100\r
Message-ID: <one@customer.example>\r
In-Reply-To: <two@shop.example>\r
References: <zero@shop.example> <two@shop.example>\r
Content-Type: text/plain; charset=windows-1252\r
Content-Transfer-Encoding: quoted-printable\r
\r
Bonjour, o=F9 est ma commande CMD-2026-0042 =3F=\r
=20\x80\r
\r
-- \r
Alice\r
"""


def built(**headers: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    for name, value in {"From": "a@x.example", "Date": "Mon, 3 Mar 2025 10:00:00 +0100", "Message-ID": "<1@x>"}.items():
        mail[name] = value
    for name, value in headers.items():
        del mail[name.replace("_", "-")]
        mail[name.replace("_", "-")] = value
    return mail


def test_a_plain_mail() -> None:
    mail = read_mail(PLAIN, facts={"mailbox": "INBOX"})
    assert (mail.sender.kind, mail.sender.value, mail.sender.name) == ("email", "Alice@customer.example", "Alíce")
    assert mail.customer == mail.sender
    assert mail.subject == "Colis non reçu"
    assert mail.at == datetime(2025, 3, 3, 9, tzinfo=UTC)
    assert mail.text == "Bonjour, où est ma commande CMD-2026-0042 ? €\n\n-- \nAlice"
    assert mail.reply == "Bonjour, où est ma commande CMD-2026-0042 ? €"
    assert mail.signature == "-- \nAlice"
    assert mail.message_id == "<one@customer.example>"
    assert mail.references == ("<zero@shop.example>", "<two@shop.example>")
    assert (mail.html, mail.attachments, mail.automatic, mail.problems) == ("", (), "", ())
    assert mail.may_acknowledge
    assert mail.proof is Proof.CLAIMED
    assert mail.facts == {"mailbox": "INBOX", "to": "support@shop.example, b@shop.example", "cc": "c@shop.example"}


def test_alternatives_plain_is_the_text_and_html_is_kept() -> None:
    mail = built()
    mail.set_content("plain words")
    mail.add_alternative("<p>page <b>words</b></p>", subtype="html")
    found = read_mail(mail.as_bytes())
    assert (found.text, found.html.strip()) == ("plain words", "<p>page <b>words</b></p>")


def test_an_empty_plain_part_does_not_hide_the_page() -> None:
    mail = built()
    mail.set_content(" \n")
    mail.add_alternative("<p>page</p>", subtype="html")
    assert read_mail(mail.as_bytes()).text == "page"


def test_parts_one_after_the_other_are_all_read() -> None:
    data = b"""From: a@x\nContent-Type: multipart/mixed; boundary=b\n
--b\nContent-Type: text/plain\n\nabove
--b\nContent-Type: image/png; name=a.png\n\nx
--b\nContent-Type: text/html\n\n<p>below &amp; last</p>
--b--"""
    mail = read_mail(data)
    assert mail.text == "above\n\nbelow & last"
    assert "<pre>above" in mail.html
    assert [a.name for a in mail.attachments] == ["a.png"]


def test_attachments_and_how_to_cut_one_out() -> None:
    contents = bytes(range(256)) * 10
    mail = built()
    mail.set_content("see attached")
    mail.add_attachment(contents, maintype="application", subtype="pdf", filename="reçu n°1.pdf")
    mail.add_attachment("a,b\n", subtype="csv", filename="b.csv", disposition="inline")
    data = mail.as_bytes()
    pdf, csv = read_mail(data).attachments
    assert (pdf.name, pdf.content_type, pdf.size, pdf.inline) == ("reçu n°1.pdf", "application/pdf", 2560, False)
    assert pdf.sha256 == hashlib.sha256(contents).hexdigest()
    assert (csv.name, csv.inline) == ("b.csv", True)
    assert attachment(data, pdf.part) == (pdf, contents)
    for part in (0, -1, 99):
        with pytest.raises(KeyError):
            attachment(data, part)


def test_a_picture_in_the_page_is_inline() -> None:
    data = b"""From: a@x\nContent-Type: multipart/related; boundary=b\n
--b\nContent-Type: text/html\n\n<img src="cid:1">hello
--b\nContent-Type: image/png\nContent-ID: <1>\nContent-Transfer-Encoding: base64\n\nAAAA
--b--"""
    (picture,) = read_mail(data).attachments
    assert (picture.inline, picture.size) == (True, 3)


def test_names_cannot_turn_the_direction_of_writing() -> None:
    data = 'From: a@x\nContent-Type: application/x; name="a\u202efdp.exe\n"\n\nx'.encode()
    assert read_mail(data).attachments[0].name == "afdp.exe"


def test_a_forwarded_mail_is_an_attachment_and_its_words_are_read_where_there_are_no_others() -> None:
    inner = b"From: z@y\nSubject: inner\nContent-Type: text/plain; charset=utf-8\n\nthe forwarded w\xc3\xb6rds"
    head = b"From: a@x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n%s\n--b\nContent-Type: message/rfc822\n\n"
    for own, text in ((b"", "the forwarded wörds"), (b"see below", "see below")):
        mail = read_mail(head % own + inner + b"\n--b--")
        assert mail.text == text
        assert mail.sender.value == "a@x"
        assert [a.content_type for a in mail.attachments] == ["message/rfc822"]


def test_base64_with_junk_and_a_wrong_charset() -> None:
    text = base64.encodebytes("où est ma commande ?".encode("latin-1")).replace(b"\n", b"!\n ")
    data = b"From: a@x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: BASE64\n\n" + text
    assert read_mail(data).text == "où est ma commande ?"


def test_a_charset_named_only_in_the_page() -> None:
    data = "From: a@x\nContent-Type: text/html\n\n<meta charset=windows-1251>Привет".encode("cp1251")
    assert read_mail(data).text == "Привет"


def test_uuencoded_contents() -> None:
    data = b"From: a@x\nContent-Type: application/x; name=f\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 f\n%:&5L;&\\\n`\nend\n"
    assert attachment(data, 0)[1] == b"hello"


# SCENARIOS: M04, M05, M06


def test_a_mail_without_message_id_has_a_stable_one() -> None:
    data = PLAIN.replace(b"Message-ID: <one@customer.example>\r\n", b"")
    first, again = read_mail(data), read_mail(data)
    assert first.message_id == again.message_id
    assert first.message_id.endswith("@message-id.invalid>")
    assert read_mail(data.replace(b"CMD", b"XYZ")).message_id != first.message_id
    assert read_mail(PLAIN.replace(b"<one@customer.example>", b"")).message_id == first.message_id


def test_one_mail_in_two_mailboxes_has_one_content_key() -> None:
    other = b"Delivered-To: other@shop.example\r\nX-Spam: no\r\n" + PLAIN.replace(b"10:00:02", b"10:00:09")
    unix = PLAIN.replace(b"\r\n", b"\n")
    eight_bit = PLAIN.replace(b"quoted-printable", b"8bit").replace(b"o=F9", b"o\xf9").replace(b"=3F=\r\n=20", b"? ")
    keys = {read_mail(d).content_key for d in (PLAIN, other, unix, eight_bit)}
    assert len(keys) == 1


def test_the_same_message_id_with_another_body_is_another_mail() -> None:
    keys = {
        read_mail(d).content_key
        for d in (
            PLAIN,
            PLAIN.replace(b"0042", b"0043"),
            PLAIN.replace(b"<one@", b"<two@"),
            PLAIN.replace(b"From: =?utf", b"From: x =?utf"),
            PLAIN.replace(b"3 Mar 2025 10:00:00", b"3 Mar 2025 10:00:01"),
        )
    }
    assert len(keys) == 5


def test_an_attachment_is_part_of_the_content_key() -> None:
    keys = set()
    for contents in (b"a\r\n", b"a\n", b"b\n"):
        keys.add(
            read_mail(
                b"From: a@x\nDate: x\nMessage-ID: <1@x>\nContent-Type: text/csv; name=f\n\n" + contents
            ).content_key
        )
    assert len(keys) == 2


def test_without_message_id_and_date_only_the_bytes_name_a_mail() -> None:
    data = b"From: a@x\nX-Trace: %d\n\nok"
    assert read_mail(data % 1).content_key != read_mail(data % 2).content_key
    assert read_mail(data % 1).content_key == read_mail(data % 1).content_key


# A01: strangers do not steer the hub


def test_control_headers_of_strangers_are_ignored() -> None:
    control = b"X-Hub-Case: TR-2026-000001\r\nX-Tresse-Proof: verified\r\nX-Hub-Customer: bob@x\r\nX-Tresse: skip\r\n"
    assert read_mail(control + PLAIN) == read_mail(PLAIN)


# time


def test_the_time_of_a_mail() -> None:
    received = {"received": "2025-03-04T00:00:00+00:00"}
    assert read_mail(PLAIN, facts=received).at == datetime(2025, 3, 3, 9, tzinfo=UTC)
    future = PLAIN.replace(b"Date: Mon, 3 Mar 2025", b"Date: Mon, 3 Mar 2035")
    assert read_mail(future, facts=received).at == datetime(2025, 3, 4, tzinfo=UTC)
    assert read_mail(future, facts=received).problems == ("Date: Mon, 3 Mar 2035 10:00:00 +0100",)
    junk = PLAIN.replace(b"Date: Mon, 3 Mar 2025 10:00:00 +0100", b"Date: soon")
    assert read_mail(junk, facts=received).at == datetime(2025, 3, 4, tzinfo=UTC)
    assert read_mail(junk).at == datetime(2025, 3, 3, 9, 0, 2, tzinfo=UTC)  # the Received field
    assert read_mail(b"Subject: bare\n\nx").at == datetime(1970, 1, 1, tzinfo=UTC)


# who wrote


def test_the_sender_where_from_is_missing_or_strange() -> None:
    assert read_mail(b"Sender: S <s@x>\n\nx").sender.value == "s@x"
    assert read_mail(b"Return-Path: <r@x>\n\nx").sender.value == "r@x"
    assert read_mail(b"Reply-To: r@x\n\nx").sender.value == "r@x"
    nobody = read_mail(b"Subject: x\n\nx")
    assert (nobody.sender.value, nobody.proof, nobody.may_acknowledge) == ("", Proof.NONE, False)
    assert read_mail(b"just text, no header at all\n").text == "just text, no header at all"


def test_an_acknowledgement_needs_envelope_and_from_to_agree() -> None:
    assert read_mail(PLAIN).may_acknowledge
    other = read_mail(PLAIN.replace(b"Return-Path: <alice@", b"Return-Path: <mallory@"))
    assert not other.may_acknowledge
    assert other.acknowledge_reason == "Return-Path: mallory@customer.example; From: Alice@customer.example"
    absent = read_mail(PLAIN.replace(b"Return-Path: <alice@customer.example>\r\n", b""))
    assert (absent.may_acknowledge, absent.automatic) == (False, "")
    both = read_mail(PLAIN.replace(b"Return-Path:", b"Return-Path: <mallory@x>\r\nReturn-Path:"))
    assert not both.may_acknowledge


def test_a_proven_sender_is_acknowledged_whatever_the_envelope() -> None:
    data = b"Authentication-Results: mx.shop.example; dmarc=pass header.from=customer.example\r\n" + PLAIN
    data = data.replace(b"Return-Path: <alice@", b"Return-Path: <bounces+1@")
    mail = read_mail(data, trusted_authservs=["mx.shop.example"])
    assert (mail.proof, mail.may_acknowledge) == (Proof.VERIFIED, True)
    assert not read_mail(data, trusted_authservs=["other.example"]).may_acknowledge


def test_a_machine_is_never_acknowledged_even_proven() -> None:
    data = b"Auto-Submitted: auto-replied\r\nAuthentication-Results: mx; dmarc=pass\r\n" + PLAIN
    mail = read_mail(data, trusted_authservs=["mx"])
    assert mail.proof is Proof.VERIFIED
    assert (mail.automatic, mail.may_acknowledge) == ("Auto-Submitted: auto-replied", False)


# caps and hostile bytes


def test_caps_are_refused() -> None:
    for data in (
        b"Subject: " + b"=?utf-8?Q?a?= " * 10_000 + b"\n\nx",
        b"To: " + b"a@x, " * 600 + b"\n\nx",
        b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 100_000,
    ):
        with cheap(1), pytest.raises(Unreadable):
            read_mail(data)


def only_unreadable(data: bytes) -> Message | None:
    try:
        return read_mail(data, trusted_authservs=["mx"], own_domains=["x"], own_addresses=["a@x"])
    except Unreadable:
        return None


@given(st.binary(max_size=400))
def test_no_bytes_fail(data: bytes) -> None:
    found = only_unreadable(data)
    assert found == only_unreadable(data)


NAMES = st.sampled_from(
    [
        b"From",
        b"To",
        b"Subject",
        b"Date",
        b"Message-ID",
        b"References",
        b"Content-Type",
        b"Content-Transfer-Encoding",
        b"Content-Disposition",
        b"Return-Path",
        b"Authentication-Results",
        b"Auto-Submitted",
        b"List-Id",
        b"X-Loop",
    ]
)
VALUES = st.lists(
    st.sampled_from(
        [
            b"a@x",
            b"<",
            b">",
            b"=?utf-8?Q?",
            b"=C3",
            b"?=",
            b"multipart/mixed",
            b"; boundary=b",
            b"; charset=utf-7",
            b"\xe9",
            b'"',
            b"base64",
            b"quoted-printable",
            b"message/rfc822",
            b"multipart/report",
            b"attachment; filename*0*=",
            b"mx; dkim=pass",
        ]
    ),
    max_size=4,
).map(b"".join)
BODIES = st.lists(
    st.sampled_from(
        [
            b"--b\n",
            b"--b--\n",
            b"Content-Type: text/html\n",
            b"\n",
            b"<p>",
            b"=C3=",
            b"w6k=",
            b"> x\n",
            b"\xff",
            b"On 1 a@x wrote:\n",
        ]
    ),
    max_size=15,
).map(b"".join)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), BODIES)
def test_no_mail_fails(fields: list[tuple[bytes, bytes]], body: bytes) -> None:
    data = b"".join(name + b": " + value + b"\n" for name, value in fields) + b"\n" + body
    found = only_unreadable(data)
    assert found == only_unreadable(data)
    if found:
        for file in found.attachments:
            assert attachment(data, file.part)[0] == file
        f"{found}".encode()  # nothing in it that a database would refuse
