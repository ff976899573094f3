"""The component `mail`: a mailbox that is read over IMAP and sends over SMTP."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from hub.mail.compose import compose
from hub.sdk import Channel, Context, Effect, Event, Message, Notice, Outgoing, Page, Raw, Rejected

from . import smtp
from .imap import Mailbox
from .reading import read_stored
from .settings import MailSettings

ALIVE = 10.0
"""Seconds between two signs of life while the server has nothing to say."""


class MailChannel(Channel[MailSettings]):
    """One mailbox. Blind when it sends: SMTP takes no key, and what it took cannot be looked up."""

    name = "mail"
    summary = "A mailbox: IMAP in (woken by IDLE), SMTP out."
    settings_model = MailSettings
    blind: ClassVar[bool] = True

    def __init__(self, settings: MailSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.interval = settings.imap.poll

    # -- in --------------------------------------------------------------------------------

    def poll(self, cursor: Mapping[str, Any]) -> Iterator[Page]:
        """What has come since `cursor`, on a connection of its own."""
        with Mailbox(self.settings) as mailbox:
            yield from mailbox.pages(cursor)

    def listen(self, cursor: Mapping[str, Any]) -> Iterator[Page]:
        """The same, and then as the server calls. Ends at once where it offers no IDLE: polls remain."""
        if not self.settings.imap.idle:
            return
        with Mailbox(self.settings) as mailbox:
            if not mailbox.can_idle():
                return
            while not self.context.stop.is_set():
                for page in mailbox.pages(cursor):
                    cursor = page.cursor
                    yield page
                for _ in self._quiet(mailbox):
                    yield Page((), cursor)

    def _quiet(self, mailbox: Mailbox) -> Iterator[None]:
        """In IDLE until mail comes, the renewal is due, or the hub ends; yields now and then."""
        begun = spoke = time.monotonic()  # not the hub's clock: the far side's patience is real
        mailbox.start_idle()
        while not mailbox.changed(1.0):
            now = time.monotonic()
            if self.context.stop.is_set():
                return  # hang up without DONE: its answer may not come
            if now - begun >= self.settings.imap.idle_renew:
                break
            if now - spoke >= ALIVE:
                spoke = now
                yield
        mailbox.stop_idle()

    def read(self, raw: Raw) -> list[Message | Event]:
        """The mail in the bytes."""
        return read_stored(raw, self.settings.address, self.settings.trusted_authservs)

    # -- out -------------------------------------------------------------------------------

    def send(self, outgoing: Outgoing, effect: Effect) -> str:
        """Send one mail; returns its Message-ID, which follows from the effect's key.

        Raises Rejected for a refused recipient or content, AuthError, and Unavailable
        (`maybe_done` when the server's answer to the whole mail was lost).
        """
        if outgoing.to.kind != "email":
            raise Rejected(f"a mailbox sends to addresses, not to a {outgoing.to.kind}")
        digest = hashlib.sha256(effect.key.encode()).hexdigest()
        local, _, domain = self.settings.address.rpartition("@")
        message_id = f"<tresse.{digest[:32]}@{domain}>"
        try:
            mail = compose(
                outgoing,
                sender=self.settings.address,
                sender_name=self.settings.name or (self.context.hub or {}).get("name", ""),
                message_id=message_id,
                date=self.context.now(),
                automatic=True,  # in the hub nobody types: agents answer where they work
                extra={"X-Loop": self.settings.address},
            )
        except ValueError as error:
            raise Rejected(f"no mail can be made of this: {error}") from error
        # A null sender would hide bounces, and submission servers may refuse it.
        envelope = f"{local}+ack-{digest[:12]}@{domain}" if self.settings.smtp.bounce_tag else self.settings.address
        smtp.hand_over(self.settings.smtp_login(), mail, envelope, outgoing.to.value)
        return message_id

    # -- both ------------------------------------------------------------------------------

    def check(self) -> list[Notice]:
        """Log in on both sides, look at the folder, send nothing."""
        notices = []
        with Mailbox(self.settings) as mailbox:
            mailbox.check_after()
            if self.settings.imap.idle and not mailbox.can_idle():
                every = f"{self.settings.imap.poll:g} s"
                text = f"the server does not call when mail comes (no IDLE): the hub looks every {every}"
                notices.append(Notice(text, "imap.idle"))
        outgoing = self.settings.smtp_login()
        with smtp.connected(outgoing, self.settings.address.rpartition("@")[2]):
            pass
        for login in (self.settings.imap_login(), outgoing):
            if login.security == "none" and login.user:
                text = f'the password travels to {login.place} in clear; "tls" or "starttls" protect it'
                notices.append(Notice(text, f"{login.table}.security"))
        return notices
