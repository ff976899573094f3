"""The invented shop's post: from `data/mails.toml` to the bytes a mail server would have put into its Maildir."""

from __future__ import annotations

import csv
import html
import re
import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache
from importlib.resources import files
from typing import Any

SHOP = "contact@maison-lavande.example"
SERVER = "mx.maison-lavande.example"
"""Whose `Authentication-Results` the demo's configuration trusts."""

Entry = Mapping[str, Any]
"""One table of `mails.toml`."""

_AGO = re.compile(r"(\d+)d(\d+)h")
_TOO_MANY_PARTS = 2000


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail of the shop. `at` is None for those that arrive while you watch; `sent` is an agent's answer."""

    id: str
    sent: bool
    at: datetime | None
    data: bytes


def table(name: str) -> dict[str, Any]:
    """A TOML file of the shop."""
    return tomllib.loads((files("hub.demo") / "data" / name).read_text("utf-8"))


def rows(name: str) -> list[dict[str, str]]:
    """A CSV file of the shop."""
    return list(csv.DictReader((files("hub.demo") / "data" / name).read_text("utf-8").splitlines()))


def before(now: datetime, ago: str) -> datetime:
    """A moment as old as "9d5h" says: so many days before `now`, and the earlier on that day the more hours.

    Twenty-four of these hours are a working day, from eight in the morning to nine in the evening.
    """
    found = _AGO.fullmatch(ago)
    assert found, f'{ago}: write an age as "9d5h"'
    midnight = (now - timedelta(days=int(found[1]))).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(hours=21 - int(found[2]) * 13 / 24)


def letters(now: datetime) -> list[Letter]:
    """The whole post, oldest first; what arrives later comes last. The same `now` gives the same bytes."""
    entries = {e["id"]: e for e in table("mails.toml")["mail"]}
    made = [_letter(entry, entries, now) for entry in entries.values()]
    return sorted(made, key=lambda letter: (letter.at is None, letter.at or now))


def _letter(entry: Entry, entries: Mapping[str, Entry], now: datetime) -> Letter:
    at = _written(entry, now)
    if entry.get("broken"):
        data = _broken(entry, at or now)
    elif "bounce" in entry:
        data = _bounce(entry, at or now)
    else:
        data = _mail(entry, entries, now).as_bytes()
    return Letter(entry["id"], "agent" in entry, at, _stamped(entry, data))


def _written(entry: Entry, now: datetime) -> datetime | None:
    if "ago" not in entry:
        return None
    # Nobody writes on the hour: the id scatters the minutes.
    return before(now, entry["ago"]) - timedelta(seconds=zlib.crc32(entry["id"].encode()) % 1500)


@cache
def _names() -> dict[str, str]:
    """Customers' names by address."""
    return {address: row["name"] for row in rows("customers.csv") for address in row["email"].split()}


@cache
def agents() -> dict[str, dict[str, str]]:
    """The people who answer, by key."""
    return {agent["key"]: agent for agent in table("other.toml")["agent"]}


def sender(entry: Entry) -> Address:
    """Who wrote it, with a display name."""
    if "agent" in entry:
        agent = agents()[entry["agent"]]
        return Address(agent["name"], addr_spec=agent["email"])
    address = entry["from"]
    name = entry.get("name") or _names().get(address) or address.split("@")[0].replace(".", " ").title()
    return Address(name, addr_spec=address)


def message_id(entry: Entry) -> str:
    """The Message-ID, made by the sender's own system."""
    return f"<{entry['id']}.2f71@{sender(entry).domain}>"


def _mail(entry: Entry, entries: Mapping[str, Entry], now: datetime) -> EmailMessage:
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = sender(entry)
    mail["To"] = entry.get("to", SHOP)
    mail["Subject"] = entry["subject"]
    mail["Date"] = format_datetime(_written(entry, now) or now)
    mail["Message-ID"] = message_id(entry)
    for name, value in entry.get("headers", {}).items():
        mail[name] = value
    ancestors = _ancestors(entry, entries)
    if ancestors:
        mail["In-Reply-To"] = message_id(ancestors[-1])
        mail["References"] = " ".join(message_id(a) for a in ancestors)
    _fill(mail, entry, _cited(ancestors[-1], entry["quote"], now) if "quote" in entry else ("", ""))
    if "attach" in entry:
        _attach(mail, entry["attach"])
    for n, part in enumerate(p for p in mail.walk() if p.is_multipart()):
        part.set_boundary(f"=-{entry['id']}-{n}")  # the library's own are random
    return mail


def _cited(entry: Entry, introduction: str, now: datetime) -> tuple[str, str]:
    """The line above a quotation, and the words quoted."""
    return introduction.format(date=f"{_written(entry, now) or now:%d/%m/%Y}"), entry["text"].strip()


def _ancestors(entry: Entry, entries: Mapping[str, Entry]) -> list[Entry]:
    """The mails this one answers, oldest first."""
    chain: list[Entry] = []
    while "re" in entry:
        entry = entries[entry["re"]]
        chain.insert(0, entry)
    return chain


def _fill(mail: EmailMessage, entry: Entry, cited: tuple[str, str]) -> None:
    """The words, as text, HTML or both, with the quoted mail below them."""
    words, charset = entry["text"].lstrip("\n"), entry.get("charset", "utf-8")
    introduction, old = cited
    below = "\n".join(["", introduction, "", *(f"> {line}".rstrip() for line in old.split("\n")), ""]) if old else ""
    paragraphs = "".join(f"<p>{html.escape(p).replace(chr(10), '<br>')}</p>" for p in words.strip().split("\n\n"))
    if old:
        inside = html.escape(old).replace("\n", "<br>")
        paragraphs += f'<div class="gmail_quote">{html.escape(introduction)}<blockquote>{inside}</blockquote></div>'
    page = f'<html><body style="font-family: Georgia, serif; color: #333">{paragraphs}</body></html>'
    if entry.get("html") == "only":
        mail.set_content(page, subtype="html", charset=charset, cte="quoted-printable")
        return
    mail.set_content(words + below, charset=charset, cte="quoted-printable")
    if entry.get("html"):
        mail.add_alternative(page, subtype="html", charset=charset, cte="quoted-printable")


def _attach(mail: EmailMessage, name: str) -> None:
    data = (files("hub.demo") / "data" / name).read_bytes()
    kind = ("image", "svg+xml") if name.endswith(".svg") else ("text", "csv")
    mail.add_attachment(data, *kind, filename=name)


def _stamped(entry: Entry, data: bytes) -> bytes:
    """What the shop's own mail server writes above a mail it accepts: whom it believes."""
    if "agent" in entry:
        return data  # filed by a mail client, never received
    domain, found = sender(entry).domain, entry.get("auth", "pass")
    results = {
        "pass": f"dmarc=pass header.from={domain}; spf=pass smtp.mailfrom={domain}",
        "fail": f"dmarc=fail header.from={domain}; spf=fail smtp.mailfrom={domain}",
        "none": "none",
    }[found]
    back = "<>" if "bounce" in entry else f"<{sender(entry).addr_spec}>"
    top = f"Return-Path: {back}\r\nDelivered-To: {SHOP}\r\nAuthentication-Results: {SERVER}; {results}\r\n"
    return top.encode() + data


def _bounce(entry: Entry, at: datetime) -> bytes:
    """A delivery status notification (RFC 3464) about a letter of the shop to `entry["bounce"]`."""
    status = (
        f"Reporting-MTA: dns; {SERVER}\r\n\r\n"
        f"Final-Recipient: rfc822; {entry['bounce']}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user here\r\n"
    )
    original = (
        f"From: {SHOP}\r\nTo: {entry['bounce']}\r\nSubject: Votre commande\r\n"
        f"Message-ID: <expedition.{zlib.crc32(entry['bounce'].encode()):x}@maison-lavande.example>\r\n"
    )
    parts = (
        ("text/plain; charset=utf-8", entry["text"].strip().replace("\n", "\r\n")),
        ("message/delivery-status", status),
        ("text/rfc822-headers", original),
    )
    head = _head(entry, at) + (
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="=-bounce"\r\n\r\n'
    )
    body = "".join(f"--=-bounce\r\nContent-Type: {kind}\r\n\r\n{text}\r\n" for kind, text in parts)
    return (head + body + "--=-bounce--\r\n").encode()


def _broken(entry: Entry, at: datetime) -> bytes:
    """More parts than any person sends: beyond the reader's limit, so it is kept unread and never lost."""
    head = _head(entry, at) + 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=-part"\r\n\r\n'
    body = f"--=-part\r\nContent-Type: text/plain\r\n\r\n{entry['text'].strip()}\r\n" * _TOO_MANY_PARTS
    return (head + body + "--=-part--\r\n").encode()


def _head(entry: Entry, at: datetime) -> str:
    return (
        f"From: {sender(entry)}\r\nTo: {SHOP}\r\nSubject: {entry['subject']}\r\n"
        f"Date: {format_datetime(at)}\r\nMessage-ID: {message_id(entry)}\r\n"
    )
