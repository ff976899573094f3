"""Both mail components keep the contract of hub.testing."""

from __future__ import annotations

from typing import Any

import pytest

from hub.sdk import Raw
from hub.testing import ComponentContract, PollsContract, ReadsContract, SendsContract, closed_port
from plugins.channels.mail.channel import MailChannel
from plugins.channels.mail.maildir import MaildirChannel
from tests.plugins.mailroom import mail, settings
from tests.servers.dovecot import Dovecot
from tests.servers.postfix import Postfix

RAWS = [
    Raw("INBOX/1/1", mail("Où est ma commande"), {"mailbox": "support@shop.example", "folder": "INBOX"}),
    Raw("INBOX/1/2", mail("no id", Message_ID=None), {"received": "2026-03-02T09:30:00+00:00"}),
    Raw("INBOX/1/3", mail("headers alone").partition(b"\r\n\r\n")[0] + b"\r\n\r\n", {"oversized": "10000"}),
    Raw("INBOX/1/4", b"", {"unfetched": "NO [SERVERBUG]"}),
]


@pytest.fixture
def servers(request: pytest.FixtureRequest, dovecot: Dovecot, postfix: Postfix) -> None:
    request.instance.dovecot = dovecot
    request.instance.postfix = postfix
    request.instance.user = dovecot.new_mailbox()
    postfix.settle()
    dovecot.empty("alice@customer.example")


@pytest.mark.usefixtures("servers")
class TestMailbox(ComponentContract, ReadsContract, PollsContract, SendsContract):
    """`mail` before a real Dovecot and Postfix."""

    component = MailChannel
    dovecot: Dovecot
    postfix: Postfix
    user: str
    count = 0

    def settings(self) -> dict[str, Any]:
        return settings(self.dovecot, self.user)

    def outage(self) -> dict[str, Any]:
        return settings(self.dovecot, self.user, imap={"port": closed_port()})

    def refused(self) -> dict[str, Any]:
        return settings(self.dovecot, self.user, password="another")

    def raws(self) -> list[Raw]:
        return RAWS

    def arrive(self, count: int) -> None:
        for _ in range(count):
            self.count += 1
            self.dovecot.append(self.user, mail(f"mail {self.count}"))

    def sent(self) -> list[Any]:
        self.postfix.settle()
        return self.dovecot.messages("alice@customer.example")


class TestMaildir(ComponentContract, ReadsContract, PollsContract):
    """`maildir` on a directory."""

    component = MaildirChannel
    count = 0

    def begin(self) -> None:
        for part in ("cur", "new", "tmp"):
            (self.folder / "Maildir" / part).mkdir(parents=True)

    def settings(self) -> dict[str, Any]:
        return {"path": str(self.folder / "Maildir"), "address": "support@shop.example"}

    def raws(self) -> list[Raw]:
        return RAWS

    def arrive(self, count: int) -> None:
        for _ in range(count):
            self.count += 1
            (self.folder / "Maildir" / "new" / f"{self.count}.host").write_bytes(mail(f"mail {self.count}"))
