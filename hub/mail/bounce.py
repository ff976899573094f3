"""Which addresses does a bounce say cannot be reached, for good?

Delivery status notifications (RFC 3464) say it in fields, Exim in a header. Older servers say it
in prose: there an address counts only when the returned mail was addressed to it, when its line
says why ("user unknown"), or when it stands alone or begins its line as qmail and Postfix write it
(``<address>:``). A wrong guess would mark a customer's address as dead, so delays and warnings,
and addresses merely mentioned, say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from hub.mail import content
from hub.mail.references import message_id
from hub.mail.structure import Part

_ADDRESS = r"(?<![^\s<>\"'(),;:=@\[\]])([^\s<>\"'(),;:=@\[\]]++@[^\s<>\"'(),;:@\[\]]++)"
_EMPTY_LINE = re.compile(r"\n[ \t]*\n")
_RECIPIENT = re.compile(
    r"^(?:original|final)-recipient[ \t]*:[ \t]*(?:[a-z0-9-]+[ \t]*;)?[ \t]*<?" + _ADDRESS, re.IGNORECASE | re.MULTILINE
)
_ACTION = re.compile(r"^action[ \t]*:[ \t]*([a-z]+)", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(r"^status[ \t]*:[ \t]*(\d)\.", re.IGNORECASE | re.MULTILINE)
_ANY_ADDRESS = re.compile(_ADDRESS)
_MARKED = re.compile(r"[ \t]{0,4}<" + _ADDRESS + r">:|[ \t>*-]{0,16}<?" + _ADDRESS + r">?[ \t.]{0,4}$")
_RETURNED = re.compile(
    r"^[ \t>|]{0,8}(?:received|return-path|message-id|from|date|x-[a-z-]+)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_ADDRESSEES = re.compile(
    r"^[ \t>|]{0,8}(?:to|cc|delivered-to|x-original-to)[ \t]*:([^\n]*+(?:\n[ \t]+[^\n]*+)*+)",
    re.IGNORECASE | re.MULTILINE,
)
_FAILURE = re.compile(
    r"undeliver|not (?:be )?deliver|delivery (?:has )?fail|fail(?:ed|ure)|returned|unknown|no such|doesn't have"
    r"|does not exist|invalid|rejected|could not|couldn't|unable to|permanent|non remis|échec|unzustellbar"
    r"|no se (?:ha )?pud",
    re.IGNORECASE,
)
_SAYS_WHY = re.compile(
    r"unknown|invalid|no such|not found|reject|(?:does not|doesn't) exist|doesn't have|\b55\d\b|\b5\.\d\.\d",
    re.IGNORECASE,
)
_DELAY = re.compile(
    r"(?:has been|is|was|been) delayed|delay(?:ed)? (?:delivery|notification|mail)|warning: (?:could|message)"
    r"|still trying|will (?:continue|keep) (?:to try|trying)|not yet been delivered"
    r"|do(?:es)? not need to re-?send|transient|retried until",
    re.IGNORECASE,
)
_OWN_ID = re.compile(r"^message-id[ \t]*:[ \t]*(?:\n[ \t]+)?([^\n]{1,1000})", re.IGNORECASE | re.MULTILINE)
_REPORTS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_COPIES = frozenset({"message/rfc822", "text/rfc822-headers", "message/global-headers"})
_LINE = 1000
_LIMIT = 100_000
"""Characters of a bounce looked at."""


def failed_recipients(parts: Sequence[Part], text: str, *, bounce: bool) -> tuple[str, ...]:
    """Addresses that failed for good, unique, in order. `bounce`: the headers say a mail system wrote it."""
    reports = [content.text(p, content.decoded(p)) for p in parts if p.content_type in _REPORTS]
    found = [a for report in reports for a in _of_report(report)]
    headers = parts[0].headers
    if not found and "x-failed-recipients" in headers.names():
        found = _ANY_ADDRESS.findall(", ".join(headers.plains("x-failed-recipients")))
    if not found and bounce and not any(_RECIPIENT.search(r) for r in reports):
        found = list(_of_prose(text[:_LIMIT], parts))
    return tuple(dict.fromkeys(found))


def returned_ids(parts: Sequence[Part]) -> tuple[str, ...]:
    """Message-IDs of the mails that came back, so that a bounce stands in the case of what bounced.

    Mail systems seldom name it in References; the returned copy is the only link.
    """
    found = []
    for part in parts:
        if part.content_type in _COPIES:
            head = _EMPTY_LINE.split(content.text(part, content.decoded(part))[:_LIMIT].lstrip("\n"), 1)[0]
            found += [message_id(value) for value in _OWN_ID.findall(head)[:1]]
    return tuple(dict.fromkeys(i for i in found if i))


def _of_report(report: str) -> Iterator[str]:
    """One group of fields for each recipient, separated by empty lines (RFC 3464, section 2.1)."""
    for group in _EMPTY_LINE.split(report[:_LIMIT]):
        recipients = _RECIPIENT.findall(group)
        action, status = _ACTION.search(group), _STATUS.search(group)
        failed = action[1].lower() == "failed" if action else status is not None and status[1] == "5"
        if recipients and failed:
            # The original recipient, where given, is whom we wrote to; the final one may be a forward.
            original = [r for r in _RECIPIENT.finditer(group) if r[0][0] in "oO"]
            yield original[0][1] if original else recipients[0]


def _of_prose(text: str, parts: Sequence[Part]) -> Iterator[str]:
    returned = _RETURNED.search(text)
    notice = text[: returned.start()] if returned else text
    if _DELAY.search(notice) or not _FAILURE.search(notice + parts[0].headers.text("subject")):
        return
    headers = parts[0].headers
    no_customer = f"{headers.plain('from')} {headers.plain('to')}".lower()  # the mail system, and we
    addressed = {a.lower() for a in _addressees(text[len(notice) :], parts)}
    for line in notice.split("\n"):
        stands_out = _MARKED.match(line[:_LINE]) or _SAYS_WHY.search(line[:_LINE])
        for found in _ANY_ADDRESS.findall(line[:_LINE]):
            address = found.rstrip(".")
            if (stands_out or address.lower() in addressed) and address.lower() not in no_customer:
                yield address


def _addressees(copy: str, parts: Sequence[Part]) -> Iterable[str]:
    """Whom the returned mail was addressed to, from its copy in the text or in a part of its own."""
    returned = [content.text(p, content.decoded(p))[:_LIMIT] for p in parts if p.content_type in _COPIES]
    return [a for c in (copy, *returned) for value in _ADDRESSEES.findall(c) for a in _ANY_ADDRESS.findall(value)]
