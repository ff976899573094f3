"""Mails and mail channels for tests against real servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

from hub.sdk import Page, Raw
from hub.testing import fake_context
from plugins.channels.mail.channel import MailChannel
from plugins.channels.mail.settings import MailSettings
from tests.servers.dovecot import Dovecot


def mail(subject: str, **headers: str | None) -> bytes:
    """A small mail of Alice's; a header given as None is left out."""
    made = EmailMessage(policy=SMTP)
    name = subject.encode("ascii", "ignore").decode().replace(" ", ".")
    values: dict[str, str | None] = {
        "From": "Alice Durand <alice@customer.example>",
        "To": "support@shop.example",
        "Subject": subject,
        "Date": "Mon, 02 Mar 2026 09:30:00 +0000",
        "Message-ID": f"<{name}@customer.example>",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in values.items():
        if value is not None:
            made[name] = value
    made.set_content(f"Bonjour, {subject} ?\n")
    return bytes(made)


def settings(dovecot: Dovecot, user: str, **values: Any) -> dict[str, Any]:
    """Settings of a mailbox on the private servers, as in TOML; tables are merged."""
    base: dict[str, Any] = {
        "address": user,
        "host": "127.0.0.1",
        "password": dovecot.password,
        "imap": {"port": dovecot.imap, "security": "none", "timeout": 5.0},
        "smtp": {"port": dovecot.submission, "security": "none", "timeout": 5.0},
    }
    for name, value in values.items():
        base[name] = {**base[name], **value} if isinstance(value, Mapping) else value
    return base


def channel(dovecot: Dovecot, user: str, **values: Any) -> MailChannel:
    """A component as the hub makes it; `stop` goes to its context."""
    lent = {"stop": values.pop("stop")} if "stop" in values else {}
    made = MailSettings.model_validate(settings(dovecot, user, **values))
    return MailChannel(made, fake_context(Path(), **lent))


class Inbox:
    """What the hub does with pages, in memory: `UNIQUE(source_key)`, and hashes at a re-scan."""

    def __init__(self) -> None:
        self.cursor: Mapping[str, Any] = {}
        self.raws: dict[str, Raw] = {}

    def take(self, pages: Iterator[Page]) -> list[Raw]:
        """Store every page; returns what was new."""
        fresh: list[Raw] = []
        for page in pages:
            had = {r.data for r in self.raws.values()} if page.rescan else set()
            new = [r for r in page.raws if r.key not in self.raws and r.data not in had]
            self.raws |= {r.key: r for r in new}
            fresh += new
            self.cursor = page.cursor
        return fresh


def subjects(raws: list[Raw]) -> list[str]:
    """The Subject lines, in order."""
    return [
        line.partition(b": ")[2].decode()
        for raw in raws
        for line in raw.data.split(b"\r\n")
        if line.startswith(b"Subject: ")
    ]
