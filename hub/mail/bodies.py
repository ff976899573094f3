"""Which parts are the letter, and which are attachments."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from hub.mail import content
from hub.mail.headers import Unreadable
from hub.mail.structure import Part, cut
from hub.mail.visible import visible_text
from hub.sdk import Attachment

_LETTER = frozenset({"text/plain", "text/html"})
_RENDITIONS = frozenset({"text/enriched", "text/richtext", "text/x-amp-html", "text/watch-html", "text/rtf"})
_REPORTS = frozenset(
    {
        "message/delivery-status",
        "message/global-delivery-status",
        "message/disposition-notification",
        "text/rfc822-headers",
        "message/global-headers",
    }
)


@dataclass(slots=True)
class Bodies:
    """The letter as text and as HTML, the attachments, and a hash over all contents."""

    text: str = ""
    html: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    digest: str = ""


@dataclass(slots=True)
class _Leaf:
    part: Part
    text: str
    alternative: Part | None  # the nearest multipart/alternative around it


def collect(parts: Sequence[Part]) -> Bodies:
    """Read all leaves of a mail, in order."""
    leaves: list[_Leaf] = []
    bodies = Bodies()
    total = sha256()
    for part in parts:
        if part.multipart:
            continue
        data = content.decoded(part)
        if _is_letter(part):
            leaf = _Leaf(part, content.text(part, data), _alternative(part))
            total.update(leaf.text.rstrip().encode())
            leaves.append(leaf)
        elif content.file_name(part) or not (_is_rendition(part) or not data.strip()):
            bodies.attachments.append(as_attachment(part, data))
            # One mailbox keeps CRLF, another LF: the content key must not see it.
            total.update(sha256(data.replace(b"\r\n", b"\n")).digest())
        total.update(b"\0")
    bodies.digest = total.hexdigest()
    if not any(leaf.text.strip() for leaf in leaves):
        leaves = _letters_among_attachments(parts)
    _lay_out(leaves, bodies)
    return bodies


def _is_letter(part: Part) -> bool:
    """A text part meant to be read in place."""
    if part.content_type.startswith("multipart/"):
        return True  # a multipart without boundaries: its text is all there is
    if part.content_type not in _LETTER or content.disposition(part) == "attachment":
        return False
    return not content.file_name(part)


def _is_rendition(part: Part) -> bool:
    """A part for machines or for other mail programs, which nobody would call an attachment."""
    above = part.parent.content_type if part.parent else ""
    if above == "multipart/alternative":
        return part.content_type in _RENDITIONS
    return above == "multipart/report" and part.content_type in _REPORTS


def _letters_among_attachments(parts: Sequence[Part]) -> list[_Leaf]:
    """A mail of attachments alone: a text to be shown in place, else the mail it forwards."""
    for part in parts:
        if part.content_type in _LETTER and content.file_name(part) and content.disposition(part) != "attachment":
            return _leaves([part])
    forwarded = [p for p in parts if p.content_type == "message/rfc822"]
    if not forwarded or parts[0].content_type == "multipart/report":
        return []
    try:
        return _leaves([p for p in cut(content.decoded(forwarded[0])) if not p.multipart and _is_letter(p)])
    except Unreadable:
        return []  # the mail around it is readable


def _leaves(parts: Sequence[Part]) -> list[_Leaf]:
    return [_Leaf(p, content.text(p, content.decoded(p)), _alternative(p)) for p in parts]


def as_attachment(part: Part, data: bytes) -> Attachment:
    """What is known of a part with these decoded bytes."""
    inline = content.disposition(part) == "inline" or (
        part.parent is not None
        and part.parent.content_type == "multipart/related"
        and bool(part.headers.raw("content-id"))
    )
    return Attachment(
        name=content.file_name(part),
        content_type=part.content_type,
        size=len(data),
        sha256=sha256(data).hexdigest(),
        inline=inline,
        part=part.number,
    )


def _alternative(part: Part) -> Part | None:
    above = part.parent
    while above and above.content_type != "multipart/alternative":
        above = above.parent
    return above


def _lay_out(leaves: Sequence[_Leaf], bodies: Bodies) -> None:
    """Of alternatives the plain one is the text; what is no alternative is read one after the other."""
    plain_of = {id(a.alternative) for a in leaves if a.alternative and _plain(a) and a.text.strip()}
    html_of = {id(a.alternative) for a in leaves if a.alternative and not _plain(a) and a.text.strip()}
    has_html = any(not _plain(a) for a in leaves)
    texts: list[str] = []
    pages: list[str] = []
    for leaf in leaves:
        if not leaf.text.strip():
            continue
        plain = _plain(leaf)
        if plain or not leaf.alternative or id(leaf.alternative) not in plain_of:
            texts.append(leaf.text if plain else visible_text(leaf.text))
        if has_html and not (plain and leaf.alternative and id(leaf.alternative) in html_of):
            pages.append(f"<pre>{html.escape(leaf.text)}</pre>" if plain else leaf.text)
    bodies.text = "\n\n".join(t.strip("\n") for t in texts).strip()
    bodies.html = "\n".join(pages)


def _plain(leaf: _Leaf) -> bool:
    return leaf.part.content_type != "text/html"
