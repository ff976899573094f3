"""What the hub itself writes to customers: the acknowledgement, and nothing else.

An acknowledgement goes to an address somebody wrote in a From line, and that line is a claim. So of
the customer's own words it repeats only the subject and the name, on one line, capped, and not at
all when they hold a link or an address: nobody shall send advertisements to a stranger through us.
"""

from __future__ import annotations

import re

from hub.locale import text
from hub.rules.identities import clean_name

_READ_LENGTH = 1_000
_SUBJECT_LENGTH = 120
_NAME_LENGTH = 60
_PREFIX = re.compile(r"^(?:(?:re|fwd?|tr|rv|aw|wg|sv|antw|ref|réf)\s*(?:\[\d{1,3}\])?\s?:\s*)+", re.IGNORECASE)
_ADVERTISEMENT = re.compile(
    r"://|www\.|@|\b[\w-]{2,}\.(?:[a-z]{2,24})/|\b[\w-]{2,}\.(?:com|net|org|info|biz|io|ru|cn|top|xyz|shop|site|online)\b",
    re.IGNORECASE,
)
_NOT_A_NAME = re.compile(r"[\d<>\[\]{}|\\/:;!?$€£%*=#\"“”]|@")


def acknowledgement(
    language: str, *, number: str, subject: str, name: str, brand: str, signature: str = "", promise: str = ""
) -> tuple[str, str]:
    """The subject and the plain text of an acknowledgement.

    `promise` is the company's own sentence (opening hours, a delay), `signature` its own closing
    lines; without one, the brand's name stands there. Other languages than ours get English.
    """
    line = plain_subject(subject, number) or text(language, "customers.acknowledgement.no_subject")
    person = plain_name(name)
    greeting = "greeting_name" if person else "greeting"
    parts = [
        text(language, f"customers.acknowledgement.{greeting}", name=person),
        text(language, "customers.acknowledgement.received", number=number),
        promise.strip() or text(language, "customers.acknowledgement.next"),
        text(language, "customers.acknowledgement.closing") + "\n" + (signature.strip() or clean_name(brand)),
        text(language, "customers.acknowledgement.automatic"),
    ]
    headline = text(language, "customers.acknowledgement.subject", subject=line, number=number)
    return headline, "\n\n".join(parts) + "\n"


def bare_subject(subject: str) -> str:
    """`subject` on one line, without "Re:", "TR:" and their kin."""
    return _PREFIX.sub("", " ".join(_printable(subject[:_READ_LENGTH]).split()))


def plain_subject(subject: str, number: str) -> str:
    """What may be repeated of a customer's subject; empty when it advertises something."""
    line = bare_subject(subject).replace(f"[{number}]", "").strip()
    if _ADVERTISEMENT.search(line):
        return ""
    return line if len(line) <= _SUBJECT_LENGTH else line[: _SUBJECT_LENGTH - 1].rstrip() + "…"


def plain_name(name: str) -> str:
    """What may be repeated of a display name: something that looks like a person's or a company's name."""
    line = clean_name(name).strip("'\" ")
    if len(line) > _NAME_LENGTH or _NOT_A_NAME.search(line) or _ADVERTISEMENT.search(line):
        return ""
    return line


def _printable(line: str) -> str:
    """Control and direction marks can hide what a subject says, or start a header of their own."""
    return line if line.isprintable() else "".join(c if c.isprintable() else " " for c in line)
