"""A Maildir's Sent folder: what agents sent with a mail client is an outgoing message to its first addressee."""

from __future__ import annotations

from pathlib import Path

from hub.sdk import Direction, Message, Raw
from hub.testing.fakes import fake_context
from plugins.channels.mail.maildir import MaildirChannel
from plugins.channels.mail.settings import MaildirSettings

ANSWER = (
    b"From: =?utf-8?q?L=C3=A9a?= Garnier <lea@shop.example>\r\nTo: Alice <alice@customer.example>, bob@customer.example\r\n"
    b"Subject: Re: Colis\r\nMessage-ID: <2@shop.example>\r\nIn-Reply-To: <1@customer.example>\r\n"
    b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\nIl arrive demain.\r\n"
)


def read(data: bytes, tmp_path: Path, *, sent: bool) -> list[Message]:
    settings = MaildirSettings(path=tmp_path, address="support@shop.example", folder="Sent", sent=sent)
    found = MaildirChannel(settings, fake_context(tmp_path)).read(
        Raw("1", data, {"received": "2026-11-23T12:00:05+00:00"})
    )
    return [one for one in found if isinstance(one, Message)]


def test_an_agents_answer_is_outgoing(tmp_path: Path) -> None:
    (said,) = read(ANSWER, tmp_path, sent=True)
    assert said.direction is Direction.OUT
    assert said.customer.value == "alice@customer.example"
    assert (said.account, said.account_name) == ("lea@shop.example", "Léa Garnier")
    assert said.references == ("<1@customer.example>",)
    assert not said.may_acknowledge
    assert not said.automatic


def test_the_same_mail_in_an_inbox_comes_in(tmp_path: Path) -> None:
    (said,) = read(ANSWER, tmp_path, sent=False)
    assert said.direction is Direction.IN


def test_a_mail_to_nobody_says_nothing(tmp_path: Path) -> None:
    assert read(ANSWER.replace(b"To: Alice", b"X-To: Alice"), tmp_path, sent=True) == []
