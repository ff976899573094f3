"""A block of header lines: where it ends, and its fields by name."""

from __future__ import annotations

import re
from collections.abc import KeysView

from hub.mail.words import decode_words, raw_text

LIMIT = 64 * 1024
"""Bytes of headers a mail or one of its parts may have; the largest honest block seen is below 30 KB."""

_NAME = rb"[!-9;-~\x80-\xff]+[ \t]*:"
_BLOCK = re.compile(rb"(?>" + _NAME + rb"[^\n]*+(?:\n|\Z)(?>[ \t][^\n]*+(?:\n|\Z))*+)*+")
_FIELD = re.compile(rb"^([!-9;-~\x80-\xff]+)[ \t]*:[ \t]*([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.MULTILINE)
_EMPTY_LINE = re.compile(rb"^\r?\n", re.MULTILINE)
_WELL_KNOWN = re.compile(
    rb"^(?:from|to|cc|subject|date|message-id|mime-version|content-[a-z-]+|received|return-path|delivered-to)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
_ENVELOPE = re.compile(rb">?From [^\r\n]*\r?\n")


class Unreadable(ValueError):
    """The mail exceeds a cap. It is kept and shown with its bytes, but nobody reads it further."""


class Headers:
    """Header fields by lower-case name, each name's values in the order they stand (newest trace first)."""

    __slots__ = ("_plain", "_values")

    def __init__(self, block: bytes) -> None:
        values: dict[str, list[bytes]] = {}
        for name, value in _FIELD.findall(block):
            values.setdefault(name.decode("latin-1").lower(), []).append(value)
        self._values = values
        self._plain: dict[str, list[str]] = {}

    def names(self) -> KeysView[str]:
        """The lower-case names that occur."""
        return self._values.keys()

    def raw(self, name: str) -> bytes:
        """The first value as its bytes; empty where the field is missing."""
        values = self._values.get(name)
        return values[0] if values else b""

    def plain(self, name: str) -> str:
        """The first value unfolded, encoded words untouched: for structured fields."""
        return self.plains(name)[0] if name in self._values else ""

    def plains(self, name: str) -> list[str]:
        """Every value, unfolded."""
        if name not in self._values:
            return []
        found = self._plain.get(name)
        if found is None:
            found = self._plain[name] = [raw_text(v) for v in self._values[name]]
        return found

    def text(self, name: str) -> str:
        """The first value decoded for people: one line, no control characters."""
        return decode_words(self.plain(name))


def find(data: bytes, start: int, end: int) -> tuple[Headers, int]:
    """The header block at `start`, and where the body begins. Raises Unreadable above the cap."""
    limit = min(end, start + LIMIT + 1)
    match = _BLOCK.match(data, start, limit)
    stop = match.end() if match else start
    if stop < end and not _at_empty_line(data, stop):
        stop = _beyond_junk(data, stop, limit)
    if stop - start > LIMIT:
        raise Unreadable(f"the headers are larger than {LIMIT // 1024} KB")
    return Headers(data[start:stop]), _after_empty_line(data, stop)


def begin(data: bytes) -> int:
    """Where a mail's headers begin: behind a byte-order mark, an mbox line, stray empty lines."""
    start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    if data[start : start + 2].strip(b"\r\n") == b"":
        text = len(data) - len(data[start:].lstrip(b"\r\n"))
        if _WELL_KNOWN.match(data, text):
            start = text
    envelope = _ENVELOPE.match(data, start)
    return envelope.end() if envelope else start


def _at_empty_line(data: bytes, position: int) -> bool:
    return data[position : position + 1] == b"\n" or data[position : position + 2] == b"\r\n"


def _after_empty_line(data: bytes, position: int) -> int:
    if data[position : position + 1] == b"\n":
        return position + 1
    return position + 2 if data[position : position + 2] == b"\r\n" else position


def _beyond_junk(data: bytes, stop: int, limit: int) -> int:
    """A line that is no header: junk amid the headers if well-known ones follow, else the body."""
    empty = _EMPTY_LINE.search(data, stop, limit)
    until = empty.start() if empty else limit
    return until if _WELL_KNOWN.search(data, stop, until) else stop
