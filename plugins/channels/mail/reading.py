"""From a stored mail to a message: the same for IMAP and Maildir, pure, again years later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hub.mail.read import Unreadable, read_mail
from hub.sdk import Direction, Event, Identity, Message, Raw, Rejected


def read_stored(raw: Raw, address: str, trusted: Sequence[str]) -> list[Message | Event]:
    """The message in a raw. What was not fetched with it becomes one of its problems.

    Raises Rejected for a mail beyond the caps of hub.mail: it is kept unread.
    """
    message = _read(raw, trusted, [address])
    problems = []
    if "oversized" in raw.facts:
        problems.append(f"larger than max_size ({raw.facts['oversized']} bytes): headers only, read it in the mailbox")
    if "unfetched" in raw.facts:
        problems.append(f"the mail server would not hand it over ({raw.facts['unfetched']}): read it in the mailbox")
    return [replace(message, problems=(*message.problems, *problems)) if problems else message]


def read_sent(raw: Raw, trusted: Sequence[str]) -> list[Message | Event]:
    """What an agent sent with a mail client, read in the folder where that client files it.

    The customer is the first addressee; a mail to nobody says nothing to anybody.
    """
    message = _read(raw, trusted, [])
    to = message.facts.get("to", "").split(", ")[0]
    if not to:
        return []
    return [
        replace(
            message,
            direction=Direction.OUT,
            customer=Identity("email", to),
            may_acknowledge=False,
            acknowledge_reason="",
            account=message.sender.value,
            account_name=message.sender.name,
            account_email=message.sender.value,
            bounced=(),
        )
    ]


def _read(raw: Raw, trusted: Sequence[str], own: Sequence[str]) -> Message:
    try:
        return read_mail(raw.data, trusted_authservs=trusted, own_addresses=own, facts=raw.facts)
    except Unreadable as error:
        raise Rejected(str(error)) from error
