"""The customer's further words, filed under the customer's own name through RT's mail gate.

The gate takes a mail as an MTA would hand it over (`rt-mailgate`). It removes no duplicates, and
files machines' mail as correspondence: both are guarded before it is called (crm.py).
"""

from __future__ import annotations

import re
from email.header import Header
from email.mime.text import MIMEText
from email.utils import format_datetime, formataddr

from hub.sdk import Case, ConfigError, Message, Rejected, Unavailable

from .client import Client
from .fields import clean, one_line

EFFECT = "X-Tresse-Effect"
"""The header by which an effect is found again in Request Tracker."""

_MESSAGE_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{3,900}>")


def can_file(message: Message) -> bool:
    """Whether the sender has an address that a From line of plain RFC 5322 can carry."""
    address = message.sender.value
    return (
        message.sender.kind == "email"
        and address.isascii()
        and bool(re.fullmatch(r"[^\s<>,;\"()]+@[^\s<>,;\"()]+", address))
    )


def as_mail(case: Case, message: Message, effect: str, errors_to: str) -> bytes:
    """The message as a mail from the customer, with its original Message-ID.

    Header values are cut to one line: a subject cannot smuggle in headers of its own.
    """
    mail = MIMEText(clean(message.text), "plain", "utf-8")
    mail["From"] = formataddr((one_line(message.sender.name), message.sender.value))
    mail["Subject"] = Header(one_line(message.subject) or one_line(case.subject) or case.number, "utf-8").encode()
    mail["Date"] = format_datetime(message.at)
    if _MESSAGE_ID.fullmatch(message.message_id):
        mail["Message-ID"] = message.message_id
    references = [r for r in message.references if _MESSAGE_ID.fullmatch(r)]
    if references:
        mail["In-Reply-To"] = references[-1]
        mail["References"] = " ".join(references)
    # RT sends its refusals to Errors-To before anybody else (RT::Interface::Email,
    # ParseErrorsToAddressFromHead): a right we lack is no business of the customer's.
    if errors_to:
        mail["Errors-To"] = errors_to
    mail[EFFECT] = effect
    return mail.as_bytes()


def file_mail(client: Client, gate: str, queue: str, ticket: str, mail: bytes) -> None:
    """Hand `mail` to the gate for `ticket`. The ticket goes beside the mail, so no subject tag is needed.

    Raises ConfigError when the gate is not there, Rejected when it refuses this mail.
    """
    form: dict[str, str | bytes] = {"queue": queue, "ticket": ticket, "message": mail}
    form |= {"SessionType": "REST", "action": "correspond"}
    answer = client.form(gate, form)
    said = answer.text.strip()
    if answer.status_code != 200 or not said.startswith(("ok", "not ok", "temporary failure")):
        raise ConfigError(
            f"RT's mail gate at {gate} answers {answer.status_code}: give its address in mail_gate, allow this "
            "machine to reach it, or set mail_gate = false",
            path="mail_gate",
        )
    if said.startswith("temporary failure"):
        raise Unavailable("RT's mail gate asks to try again later")
    if not said.startswith("ok"):
        raise Rejected(
            f"RT's mail gate refuses the customer's words for ticket {ticket}: grant Everyone ReplyToTicket "
            f"on queue {queue}, then replay"
        )
