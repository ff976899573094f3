"""Cut a mail into its parts, by offsets into the bytes.

The standard library's parser reads line by line and recurses: 100,000 parts cost it 9 s and a
multipart nested 1,000 deep a RecursionError. This one looks for boundaries only, keeps its own
stack and counts as it goes, so a mail bomb costs no more than its bytes.
tests/unit/test_mail_structure.py holds it to the standard library's tree on well-formed mails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hub.mail import headers, parameters
from hub.mail.headers import Headers, Unreadable

PARTS = 1000
"""Parts a mail may have."""
DEPTH = 50
"""How deep multiparts may be nested."""

_LIKELY_DELIMITER = re.compile(rb"^--(\S[^\r\n]{0,200})\r?\n(?=content-)", re.IGNORECASE | re.MULTILINE)


@dataclass(slots=True)
class Part:
    """One part. `number` is its place in the mail, depth first, the whole mail being 0."""

    data: bytes
    number: int
    depth: int
    headers: Headers
    content_type: str
    parameters: dict[str, str]
    start: int  # of the body, in `data`
    end: int
    parent: Part | None
    multipart: bool = False  # a container that holds parts

    @property
    def body(self) -> bytes:
        """The body as it stands in the mail, still encoded."""
        return self.data[self.start : self.end]


def cut(data: bytes) -> list[Part]:
    """All parts of a mail, depth first. Raises Unreadable above the caps."""
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    parts: list[Part] = []
    waiting: list[tuple[int, int, Part | None]] = [(headers.begin(data), len(data), None)]
    while waiting:
        start, end, parent = waiting.pop()
        part = _part(data, start, end, parent, len(parts))
        parts.append(part)
        if part.content_type.startswith("multipart/"):
            ranges = _ranges(part)
            if len(parts) + len(waiting) + len(ranges) > PARTS:
                raise Unreadable(f"more than {PARTS} parts")
            if part.depth >= DEPTH and ranges:
                raise Unreadable(f"multiparts nested more than {DEPTH} deep")
            part.multipart = bool(ranges)
            waiting.extend((a, b, part) for a, b in reversed(ranges))
    return parts


def _part(data: bytes, start: int, end: int, parent: Part | None, number: int) -> Part:
    fields, body = headers.find(data, start, end)
    content_type, values = parameters.parse(fields.plain("content-type"))
    if "/" not in content_type:
        # RFC 2045, section 5.2; inside a digest RFC 2046, section 5.1.5.
        digest = parent is not None and parent.content_type == "multipart/digest"
        content_type = "message/rfc822" if digest else "text/plain"
    depth = parent.depth + 1 if parent else 0
    return Part(data, number, depth, fields, content_type, values, body, end, parent)


def _ranges(part: Part) -> list[tuple[int, int]]:
    """Where the parts of a multipart begin and end. Empty where no boundary is found."""
    declared = part.parameters.get("boundary", "").rstrip().encode()
    found = list(_between(part, declared)) if declared else []
    if not found and (guess := _LIKELY_DELIMITER.search(part.data, part.start, part.end)):
        found = list(_between(part, guess[1].rstrip()))
    return found


def _between(part: Part, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Ranges between delimiter lines. Parts behind a closing delimiter count: mails are glued together."""
    begun = -1
    for line_start, line_end, closing in _delimiters(part, boundary):
        if begun >= 0:
            yield begun, max(begun, _before_line_end(part.data, line_start))
        begun = -1 if closing else line_end
    if begun >= 0:  # the closing delimiter is missing: a truncated mail
        yield begun, part.end


def _delimiters(part: Part, boundary: bytes) -> Iterator[tuple[int, int, bool]]:
    data, end, mark = part.data, part.end, b"--" + boundary
    seen = 0
    position = data.find(mark, part.start, end)
    while position >= 0:
        after = position + len(mark)
        if position == part.start or data[position - 1 : position] == b"\n":
            closing = data[after : after + 2] == b"--"
            line_end = data.find(b"\n", after, end)
            line_end = end if line_end < 0 else line_end + 1
            if line_end - after <= 1000 and not data[after + 2 * closing : line_end].strip():
                yield position, line_end, closing
                seen += 1
                if seen > PARTS:
                    raise Unreadable(f"more than {PARTS} parts")
                after = line_end
        position = data.find(mark, after, end)


def _before_line_end(data: bytes, position: int) -> int:
    """The line end before a delimiter belongs to the delimiter (RFC 2046, section 5.1.1)."""
    position -= data[position - 1 : position] == b"\n"
    return position - (data[position - 1 : position] == b"\r")
