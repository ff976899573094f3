"""Settings of a mailbox, and the bytes of IMAP that need no server to be tried."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from plugins.channels.mail.settings import MailSettings
from plugins.channels.mail.wire import Fetched, parse_bulk

FIVE_LINES: dict[str, Any] = {"address": "support@shop.example", "host": "mail.shop.example", "password": "secret"}


def test_three_settings_suffice() -> None:
    made = MailSettings.model_validate(FIVE_LINES)
    imap, smtp = made.imap_login(), made.smtp_login()
    assert (imap.host, imap.port, imap.security, imap.user) == ("mail.shop.example", 993, "tls", made.address)
    assert (smtp.host, smtp.port, smtp.security, smtp.user) == ("mail.shop.example", 587, "starttls", made.address)
    assert imap.password == smtp.password == "secret"


def test_tables_win_over_the_section() -> None:
    smtp = {"host": "out.example", "user": "relay", "password": "other", "security": "tls"}
    made = MailSettings.model_validate({**FIVE_LINES, "user": "box", "smtp": smtp})
    assert made.imap_login().user == "box"
    login = made.smtp_login()
    assert (login.host, login.port, login.user, login.password) == ("out.example", 465, "relay", "other")


def test_a_relay_without_login_has_no_user() -> None:
    made = MailSettings.model_validate({**FIVE_LINES, "smtp": {"log_in": False, "security": "none"}})
    assert (made.smtp_login().user, made.smtp_login().password, made.smtp_login().port) == ("", "", 25)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": ""}, "say where the mailbox is"),
        ({"password": ""}, "needs its password"),
        ({"address": "support"}, "write an address"),
        ({"imap": {"after": "delete"}}, "move:Folder"),
        ({"imap": {"idle_renew": "30m"}}, "1740"),
        ({"max_size": "1KB"}, "10000"),
    ],
)
def test_mistakes_are_refused_with_what_to_write(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MailSettings.model_validate({**FIVE_LINES, **changes})


def test_addresses_are_kept_in_ascii() -> None:
    made = MailSettings.model_validate({**FIVE_LINES, "address": "support@Bücher.example"})
    assert made.address == "support@xn--bcher-kva.example"


def test_no_secret_in_what_is_shown() -> None:
    made = MailSettings.model_validate({**FIVE_LINES, "password": "canary"})
    assert "canary" not in repr(made) + repr(made.imap_login()) + made.imap_login().hide("it said canary")


def test_bulk_answers_are_read_in_every_order() -> None:
    date = b'INTERNALDATE " 7-Feb-2026 02:44:25 -0130"'
    items: list[Any] = [
        (b"1 (UID 5 " + date + b" BODY[] {3}", b"one"),
        b")",
        b"3 (FLAGS (\\Seen))",  # another client's flags, in between
        (b"2 (BODY[] {3}", b"two"),
        b" UID 6 " + date + b")",
        (b"4 (FLAGS (\\Recent) UID 9 BODY[] {0}", b""),
        b")",
        None,
    ]
    assert dict(parse_bulk(items)) == {
        5: Fetched(b"one", "2026-02-07T02:44:25-01:30"),
        6: Fetched(b"two", "2026-02-07T02:44:25-01:30"),
        9: Fetched(b"", ""),
    }


def test_a_body_that_looks_like_an_answer_is_only_a_body() -> None:
    evil = b'* 2 FETCH (UID 99 INTERNALDATE "01-Jan-1999 00:00:00 +0000" BODY[] {3}'
    assert dict(parse_bulk([(b"1 (UID 5 BODY[] {70}", evil), b")"])) == {5: Fetched(evil, "")}
