"""Bounces: whom they say we cannot reach, and whom they do not."""

from __future__ import annotations

import pytest

from hub.mail.read import read_mail
from tests.cheap import cheap

DSN = b"""Return-Path: <>
From: MAILER-DAEMON@mx.shop.example
To: support+ack-9f3@shop.example
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.shop.example

%s
--b
Content-Type: message/rfc822

To: someone@else.example
Subject: Re: hello

x
--b--
"""


@pytest.mark.parametrize(
    ("group", "bounced"),
    [
        (b"Final-Recipient: rfc822; al@c.example\nAction: failed\nStatus: 5.1.1", ("al@c.example",)),
        (b"Final-Recipient: RFC822;<al@c.example>\nAction: Failed (bad)\nStatus: 5.0.0", ("al@c.example",)),
        (
            b"Original-Recipient: rfc822;al@c.example\nFinal-Recipient: rfc822;b@d.example\nAction: failed",
            ("al@c.example",),
        ),
        (
            b"Final-Recipient: rfc822;b@d.example\nOriginal-Recipient: rfc822;al@c.example\nAction: failed",
            ("al@c.example",),
        ),
        (b"Final-Recipient: rfc822; al@c.example\nStatus: 5.1.1", ("al@c.example",)),
        (b"Final-Recipient: rfc822; al@c.example\nAction: delayed\nStatus: 4.4.1", ()),
        (b"Final-Recipient: rfc822; al@c.example\nAction: delivered\nStatus: 2.0.0", ()),
        (b"Final-Recipient: rfc822; al@c.example\nStatus: 4.2.2", ()),
        (b"Final-Recipient: rfc822; al@c.example\nAction: relayed", ()),
        (
            (
                b"Final-Recipient: rfc822; a@c.example\nAction: failed\n\nFinal-Recipient: rfc822; b@c.example\nAction: failed\n\n"
                b"Final-Recipient: rfc822; c@c.example\nAction: delayed\n\nFinal-Recipient: rfc822; a@c.example\nAction: failed"
            ),
            ("a@c.example", "b@c.example"),
        ),
        (b"Final-Recipient: x400; /S=al/\nAction: failed", ()),
    ],
)
def test_delivery_status(group: bytes, bounced: tuple[str, ...]) -> None:
    mail = read_mail(DSN % group)
    assert mail.bounced == bounced
    assert mail.automatic
    assert not mail.may_acknowledge


def notice(text: bytes, headers: bytes = b"From: mailer-daemon@mx.example\nTo: us@shop.example\n") -> tuple[str, ...]:
    return read_mail(headers + b"Subject: failure notice\n\n" + text).bounced


@pytest.mark.parametrize(
    ("text", "bounced"),
    [
        (b"I wasn't able to deliver, I've given up.\n\n<al@c.example>:\nno such user\n", ("al@c.example",)),
        (b"could not be delivered. Failed:\n\n  al@c.example\n\n550 unknown\n", ("al@c.example",)),
        (b"Failed.\n<al@c.example>: host mx said: 550 5.1.1 User unknown\n", ("al@c.example",)),
        (b"Your mail could not be delivered to al@c.example.\n\n> To: Al <al@c.example>\n> Subject: x\n", ()),
        (
            b"It could not be delivered to al@c.example, we regret.\n\nFrom: us@shop.example\nTo: al@c.example\n",
            ("al@c.example",),
        ),
        (b"It failed. For help write to help@mx.example or see us@shop.example.\n", ()),
        (b"Warning: message still undelivered, will keep trying.\n\n<al@c.example>: unknown\n", ()),
    ],
)
def test_prose(text: bytes, bounced: tuple[str, ...]) -> None:
    assert notice(text) == bounced


def test_a_mail_system_that_reports_no_failure() -> None:
    assert read_mail(b"From: postmaster@mx.example\nSubject: hello\n\nOur list:\n\nal@c.example\n").bounced == ()


def test_exim_says_it_in_a_header() -> None:
    headers = b"From: Mailer-Daemon@mx.example\nX-Failed-Recipients: al@c.example,\n bo@c.example\n"
    assert notice(b"text", headers) == ("al@c.example", "bo@c.example")


def test_a_person_bounces_nobody() -> None:
    person = b"From: bo@c.example\nTo: us@shop.example\n"
    mail = read_mail(person + b"Subject: delivery failed\n\nYour parcel failed.\n<al@c.example>:\nunknown\n")
    assert (mail.bounced, mail.automatic) == ((), "")


@pytest.mark.parametrize("seed", [b"a@", b"<a@b>:", b"a", b"To: ", b"x@y unknown ", b"\n", b"Final-Recipient: rfc822;"])
def test_hostile_bounces_are_cheap(seed: bytes) -> None:
    with cheap(2):
        notice(b"failed\n" + seed * (400_000 // len(seed)))
        read_mail(DSN % (seed * (400_000 // len(seed))))


@pytest.mark.parametrize("kind", [b"message/rfc822", b"text/rfc822-headers"])
def test_a_bounce_names_the_mail_that_came_back(kind: bytes) -> None:
    """By it the bounce of an acknowledgement stands in its case; a forwarded mail names nothing."""
    failed = b"Final-Recipient: rfc822; al@c.example\nAction: failed"
    copy = b"To: someone@else.example\nMessage-ID:\n <tresse.1@shop.example>"
    dsn = (DSN % failed).replace(b"message/rfc822", kind).replace(b"To: someone@else.example", copy)
    assert read_mail(dsn).references == ("<tresse.1@shop.example>",)
    assert read_mail(dsn.replace(b"Action: failed", b"Action: delayed")).references == ()
    assert read_mail(DSN % failed).references == ()
    words = dsn.replace(b"\nx\n", b"\nMessage-ID: <words@c.example>\n")
    assert read_mail(words).references == ("<tresse.1@shop.example>",)
