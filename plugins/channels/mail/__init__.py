"""Mailboxes: IMAP in and SMTP out (`mail`), and a Maildir on this machine (`maildir`)."""

from __future__ import annotations

from typing import Any

from hub.sdk import Component, hookimpl


@hookimpl
def hub_components() -> list[type[Component[Any]]]:
    """The components `mail` and `maildir`."""
    # Only once somebody asks: the mail libraries are not for free.
    from .channel import MailChannel
    from .maildir import MaildirChannel

    return [MailChannel, MaildirChannel]
