"""A mail we send, as RFC 5322 bytes.

Written line by line rather than with `email.message.EmailMessage`: Python 3.11 folds a long
References header into encoded words, which breaks the thread at the other end. A line break in
any value is refused, so nobody can slip a header of their own into our mail.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from hashlib import sha256

import idna

from hub.sdk import Outgoing

_WIDTH = 76
_REFERENCES = 20
"""Message-IDs sent along: the first, which names the thread, and the newest."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TOKEN = re.compile(r"[A-Za-z0-9-]{1,60}")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]+>")
_EVERY_LINE_END = re.compile(r"\r\n|\r|\n")
_OURS = """from to cc bcc reply-to subject date message-id in-reply-to references mime-version
content-type content-transfer-encoding auto-submitted x-auto-response-suppress"""


def compose(
    outgoing: Outgoing,
    *,
    sender: str,
    sender_name: str,
    message_id: str,
    date: datetime,
    reply_to: str = "",
    automatic: bool,
    extra: Mapping[str, str] | None = None,
) -> bytes:
    """The mail for `outgoing`, CRLF line ends included; the same input gives the same bytes.

    `sender`, `reply_to`: addresses; `message_id` with its angle brackets; `date` aware.
    `automatic` marks it so that no machine answers it (RFC 3834, section 5). `extra` are further
    headers, ASCII names, none of which this function writes itself. Raises ValueError where a
    value holds a line break or another control character, or cannot stand in its header.
    """
    if date.tzinfo is None:
        raise ValueError("give the date of a mail with its time zone")
    headers = [
        ("From", _mailbox(sender_name, sender)),
        ("To", _mailbox(outgoing.to.name, outgoing.to.value)),
        ("Subject", _text("Subject", outgoing.subject)),
        ("Date", format_datetime(date)),
        ("Message-ID", _identifier(message_id)),
    ]
    if reply_to:
        headers.append(("Reply-To", _mailbox("", reply_to)))
    headers += _thread(outgoing.in_reply_to, outgoing.references)
    if automatic:
        headers += [("Auto-Submitted", "auto-replied"), ("X-Auto-Response-Suppress", "All")]
    headers += _further(extra or {})
    headers.append(("MIME-Version", "1.0"))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers).encode("ascii")
    return head + _body(outgoing, message_id)


def _thread(in_reply_to: str, references: Sequence[str]) -> list[tuple[str, str]]:
    """RFC 5322, section 3.6.4: References is the parent's references and the parent itself."""
    if not in_reply_to and not references:
        return []
    parent = in_reply_to or references[-1]
    chain = [r for r in dict.fromkeys(references) if r != parent] + [parent]
    if len(chain) > _REFERENCES:
        chain = [chain[0], *chain[1 - _REFERENCES :]]
    return [("In-Reply-To", _identifier(parent)), ("References", "\r\n ".join(_identifier(r) for r in chain))]


def _further(extra: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for name, value in extra.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _OURS.split():
            raise ValueError(f"{name!r} cannot be a further header: it is no header name, or compose writes it itself")
        yield name, _text(name, value)


def _body(outgoing: Outgoing, message_id: str) -> bytes:
    if not outgoing.html:
        return _part("plain", outgoing.text)
    # "=" never stands unencoded in quoted-printable text, so no line of a part can be this boundary.
    boundary = b"=_" + sha256(message_id.encode()).hexdigest()[:32].encode()
    parts = (_part("plain", outgoing.text), _part("html", outgoing.html))
    head = b'Content-Type: multipart/alternative; boundary="' + boundary + b'"\r\n\r\n'
    return head + b"".join(b"--" + boundary + b"\r\n" + p + b"\r\n" for p in parts) + b"--" + boundary + b"--\r\n"


def _part(subtype: str, text: str) -> bytes:
    lines = _EVERY_LINE_END.sub("\n", text).rstrip("\n").encode("utf-8", "replace") + b"\n"
    encoded = binascii.b2a_qp(lines, istext=True, header=False).replace(b"\n", b"\r\n")
    head = f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
    return head.encode("ascii") + encoded


def _mailbox(name: str, address: str) -> str:
    found = _address(address)
    name = _clean("a name", name).strip()
    if not name:
        return found
    if not name.isascii() or "=?" in name:
        shown = Header(name, "utf-8", maxlinelen=_WIDTH, header_name="Reply-To").encode(linesep="\r\n")
    elif _ATOMS.fullmatch(name):
        shown = name
    else:
        shown = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{shown}\r\n <{found}>" if len(shown) + len(found) > _WIDTH - 12 else f"{shown} <{found}>"


def _address(address: str) -> str:
    """The address, its domain in ASCII. Beyond ASCII before the "@" few servers would take it (RFC 6531)."""
    local, _, domain = _clean("an address", address).strip().rpartition("@")
    quoted = len(local) > 2 and local[0] == local[-1] == '"' and '"' not in local[1:-1] and "\\" not in local
    if not domain or not (_LOCAL.fullmatch(local) or (quoted and local.isascii())):
        raise ValueError(f"{address!r} is no address a mail can be sent to")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(f"{address!r} has no domain a mail can be sent to") from error
    if not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Za-z.:]+\]", domain):
        raise ValueError(f"{address!r} has no domain a mail can be sent to")
    return f"{local}@{domain}"


def _identifier(value: str) -> str:
    if not _MESSAGE_ID.fullmatch(value) or len(value) > 900:
        raise ValueError(f"{value[:80]!r} is no Message-ID")
    return value


def _text(name: str, value: str) -> str:
    """A header's text, encoded where it is not ASCII, folded where it is long (RFC 5322, section 2.1.1)."""
    value = _clean(name, value).strip()
    plain = value.isascii() and "=?" not in value
    if plain and len(name) + len(value) < _WIDTH:
        return value
    if plain and max(map(len, value.split()), default=0) < _WIDTH - len(name):
        return Header(value, "us-ascii", maxlinelen=_WIDTH, header_name=name).encode(linesep="\r\n")
    return Header(value, "utf-8", maxlinelen=_WIDTH, header_name=name).encode(linesep="\r\n")


def _clean(what: str, value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError(f"{what} holds a line break or a control character")
    return value
