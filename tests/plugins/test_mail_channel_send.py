"""A mailbox sends: through Dovecot's submission service and Postfix, into a real mailbox."""

from __future__ import annotations

import email
import email.policy
import smtplib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any, cast

import pytest

from hub.sdk import AuthError, ConfigError, Identity, Rejected, Unavailable
from hub.testing import closed_port, values
from plugins.channels.mail import smtp
from tests.plugins.mailroom import channel
from tests.servers.dovecot import Dovecot
from tests.servers.ports import wait_for
from tests.servers.postfix import Postfix


@pytest.fixture
def user(dovecot: Dovecot) -> str:
    return dovecot.new_mailbox()


@pytest.fixture
def customer(dovecot: Dovecot) -> str:
    return dovecot.new_mailbox("customer.example")


def received(dovecot: Dovecot, customer: str) -> EmailMessage:
    """The one mail that arrived."""
    wait_for(lambda: dovecot.messages(customer), 10, f"a mail to {customer}")
    (data,) = dovecot.messages(customer)
    return cast("EmailMessage", email.message_from_bytes(data, policy=email.policy.default))


def test_a_mail_arrives_with_the_right_headers(dovecot: Dovecot, postfix: Postfix, user: str, customer: str) -> None:
    made = channel(dovecot, user, name="Atelier Ronce")
    outgoing = values.outgoing(to=Identity("email", customer, "Élodie Brûlé"), subject="Reçu : [TR-2026-000123]")
    message_id = made.send(outgoing, values.effect("key of the effect"))
    mail = received(dovecot, customer)
    assert mail["Message-ID"] == message_id
    assert message_id.startswith("<tresse.")
    assert message_id.endswith("@shop.example>")
    assert mail["From"].addresses[0].addr_spec == user
    assert mail["From"].addresses[0].display_name == "Atelier Ronce"
    assert mail["To"].addresses[0].addr_spec == customer
    assert mail["Subject"] == "Reçu : [TR-2026-000123]"
    assert mail["In-Reply-To"] == "<first@customer.example>"
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["X-Loop"] == user
    local = user.partition("@")[0]
    assert mail["Return-Path"].startswith(f"<{local}+ack-")
    body = mail.get_body(("plain",))
    assert body is not None
    assert "votre message est bien arrivé" in body.get_content()


def test_the_message_id_follows_from_the_effect(dovecot: Dovecot, postfix: Postfix, user: str, customer: str) -> None:
    outgoing = values.outgoing(to=Identity("email", customer))
    one = channel(dovecot, user).send(outgoing, values.effect("one"))
    again = channel(dovecot, user).send(outgoing, values.effect("one"))
    other = channel(dovecot, user).send(outgoing, values.effect("two"))
    assert one == again != other
    assert channel(dovecot, user).blind, "SMTP takes no key"


def test_a_bounce_comes_home_to_the_tagged_address(dovecot: Dovecot, postfix: Postfix, user: str) -> None:
    channel(dovecot, user).send(values.outgoing(to=Identity("email", "gone@customer.example")), values.effect())
    bounce = received(dovecot, user)
    assert bounce.get_content_type() == "multipart/report"
    assert "+ack-" in bounce["To"]


def test_without_a_tag_the_envelope_is_the_address(
    dovecot: Dovecot, postfix: Postfix, user: str, customer: str
) -> None:
    made = channel(dovecot, user, smtp={"bounce_tag": False})
    made.send(values.outgoing(to=Identity("email", customer)), values.effect())
    assert received(dovecot, customer)["Return-Path"] == f"<{user}>"


def test_dots_and_bare_line_ends_survive(dovecot: Dovecot, postfix: Postfix, user: str, customer: str) -> None:
    data = f"From: {user}\nTo: {customer}\nSubject: dots\n\n.one\n..two\n.\nafter the dot".encode()
    smtp.hand_over(channel(dovecot, user).settings.smtp_login(), data, user, customer)
    body = received(dovecot, customer).get_content()
    assert body.replace("\r\n", "\n").strip() == ".one\n..two\n.\nafter the dot"


def test_starttls_and_a_relay_without_login(dovecot: Dovecot, postfix: Postfix, user: str, customer: str) -> None:
    table = {"security": "starttls", "ca_file": str(dovecot.certificate)}
    channel(dovecot, user, smtp=table).send(values.outgoing(to=Identity("email", customer)), values.effect())
    relay = {"port": postfix.smtp, "log_in": False}
    channel(dovecot, user, smtp=relay).send(values.outgoing(to=Identity("email", customer)), values.effect("two"))
    wait_for(lambda: len(dovecot.messages(customer)) == 2, 10, "both mails")
    with pytest.raises(ConfigError, match="certificate"):
        channel(dovecot, user, smtp={"security": "starttls"}).check()


def test_5xx_is_rejected_and_4xx_is_not(dovecot: Dovecot, postfix: Postfix, user: str, customer: str) -> None:
    made = channel(dovecot, user)
    with pytest.raises(Rejected, match="RCPT TO: 550"):
        made.send(values.outgoing(to=Identity("email", "nobody@customer.example")), values.effect())
    refused = values.outgoing(to=Identity("email", customer), subject="REFUSE THIS")
    with pytest.raises(Rejected, match="the mail: 550"):
        made.send(refused, values.effect())
    with pytest.raises(Unavailable, match="450") as caught:
        made.send(values.outgoing(to=Identity("email", "later@customer.example")), values.effect())
    assert not caught.value.maybe_done
    with pytest.raises(Rejected, match="phone"):
        made.send(values.outgoing(to=Identity("phone", "+33199000000")), values.effect())
    with pytest.raises(Rejected, match="no mail can be made"):
        made.send(values.outgoing(to=Identity("email", customer + "\r\nBcc: eve@evil.example")), values.effect())
    assert dovecot.messages(customer) == []


def test_a_wrong_password_is_an_auth_error(dovecot: Dovecot, postfix: Postfix, user: str) -> None:
    with pytest.raises(AuthError) as caught:
        channel(dovecot, user, smtp={"password": "not-the-password"}).check()
    assert caught.value.path == "smtp.password"
    assert "not-the-password" not in str(caught.value)


def test_an_outage_is_unavailable_and_nothing_left(dovecot: Dovecot, user: str) -> None:
    with pytest.raises(Unavailable) as caught:
        channel(dovecot, user, smtp={"port": closed_port()}).send(values.outgoing(), values.effect())
    assert not caught.value.maybe_done


def test_check_sends_nothing_and_warns(dovecot: Dovecot, postfix: Postfix, user: str) -> None:
    before = len(dovecot.messages(user))
    notices = channel(dovecot, user).check()
    assert {n.path for n in notices} == {"imap.security", "smtp.security"}
    assert len(dovecot.messages(user)) == before
    tls = {"ca_file": str(dovecot.certificate)}
    secure = channel(
        dovecot,
        user,
        imap={"security": "tls", "port": dovecot.imaps, **tls},
        smtp={"security": "starttls", **tls},
    )
    assert secure.check() == []


# -- the moment nobody can know ----------------------------------------------------------------


@contextmanager
def torn_server(breaks_at: bytes) -> Iterator[int]:
    """An SMTP server that hangs up when it has heard `breaks_at`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, breaks_at), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(5)


def _serve(listening: socket.socket, breaks_at: bytes) -> None:
    connection, _ = listening.accept()
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"220 here\r\n")
        for line in lines:
            if line == breaks_at:
                connection.shutdown(socket.SHUT_RDWR)
                return
            if line[:4].upper() in (b"EHLO", b"MAIL", b"RCPT"):
                connection.sendall(b"250 fine\r\n")
            elif line == b"DATA\r\n":
                connection.sendall(b"354 go on\r\n")


@pytest.mark.parametrize(("breaks_at", "maybe"), [(b"DATA\r\n", False), (b".\r\n", True)])
def test_an_answer_lost_after_the_last_dot_may_be_done(
    dovecot: Dovecot, user: str, breaks_at: bytes, maybe: bool
) -> None:
    with torn_server(breaks_at) as port:
        made = channel(dovecot, user, smtp={"port": port, "log_in": False})
        with pytest.raises(Unavailable) as caught:
            made.send(values.outgoing(), values.effect())
    assert caught.value.maybe_done is maybe


def test_a_torn_goodbye_does_not_undo_a_sent_mail(
    dovecot: Dovecot, postfix: Postfix, user: str, customer: str, monkeypatch: Any
) -> None:
    def torn(_: Any) -> None:
        raise smtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr(smtplib.SMTP, "quit", torn)
    assert channel(dovecot, user).send(values.outgoing(to=Identity("email", customer)), values.effect())
    received(dovecot, customer)
