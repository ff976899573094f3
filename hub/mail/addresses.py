"""Address lists (RFC 5322, section 3.4) as mail programs write them, in linear time.

The standard library's parser recurses on comments: 1 KB of ``From: ((((`` ends it. This one
splits into tokens once and forgives unquoted commas, missing brackets, groups and routes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hub.mail.headers import Unreadable
from hub.mail.words import decode_words

LIMIT = 500
"""Addresses a mail may name in one header."""

_PLAIN = re.compile(r"<?([^\s<>\"(),;:@]++@[^\s<>\"(),;:@]++)>?")
_NAMED = re.compile(r"(?:\"([^\"\\]*+)\"\s*+|([^\"\\<>(),;:@]*+))<\s*+([^\s<>\"(),;:@]++@[^\s<>\"(),;:@]++)\s*+>")
_PIECE = re.compile(
    r"=\?[^?\s]++\?[bBqQ]\?[^?]*+\?="  # an encoded word may hold a comma
    r"|\"(?:[^\"\\]|\\.)*+\"?|<[^<>]*+>?|[(),;:]|\\.|[^\"<>(),;:\\]++|.",
    re.DOTALL,
)

_COMMENT = re.compile(r"\([^()]*+\)")
_LOOSE_AT = re.compile(r"(?<!\s)\s++@\s*+|@\s++")
_LOOSE_DOT = re.compile(r"(?<=\S)\s++\.\s*+")


class Address(NamedTuple):
    """A display name and an address; either may be empty."""

    name: str
    email: str


def parse(value: str) -> list[Address]:
    """The addresses in an unfolded header value. Raises Unreadable above the cap."""
    if not value:
        return []
    if plain := _PLAIN.fullmatch(value):
        return [Address("", plain[1])]
    if named := _NAMED.fullmatch(value):
        return [Address(_clean_name(named[1] or named[2] or ""), named[3])]
    return _Reader(value).addresses()


class _Reader:
    """Walks the tokens of one value and collects what belongs to one address."""

    def __init__(self, value: str) -> None:
        self._value = value
        self._found: list[Address] = []
        self._words: list[str] = []
        self._late: list[str] = []  # words behind the address
        self._comments: list[str] = []
        self._angle = ""
        self._carried = ""  # words before an unquoted comma: "Doe, John <john@...>"
        self._depth = 0

    def addresses(self) -> list[Address]:
        last_semicolon = self._value.rfind(";")
        for piece in _PIECE.finditer(self._value):
            self._take(piece[0], in_group=piece.start() < last_semicolon)
        self._finish()
        if self._carried:
            self._found.append(Address(_clean_name(self._carried), ""))
        return self._found

    def _take(self, piece: str, *, in_group: bool) -> None:
        if self._depth or piece == "(":
            self._comment(piece)
        elif piece in {",", ";"}:
            self._finish()
        elif piece == ":" and in_group and not self._angle and "@" not in "".join(self._words):
            self._words.clear()  # the name of a group
        elif piece[0] == "<" and "@" in piece:
            if self._angle:  # a comma is missing: the words since then name the next
                late, self._late = self._late, []
                self._finish()
                self._words = late
            self._angle = piece.strip("<> \t")
        else:
            (self._late if self._angle else self._words).append(piece)

    def _comment(self, piece: str) -> None:
        self._depth += {"(": 1, ")": -1}.get(piece, 0)
        if self._depth and piece not in {"(", ")"}:
            self._comments.append(piece)

    def _finish(self) -> None:
        words = "".join(self._words).strip() or "".join(self._late).strip()
        email = _bare(self._angle) if self._angle else ""
        name = words
        if not email and "@" in words:
            email, name = _split_bare(words)
        if email:
            if self._carried and self._angle:
                name = f"{self._carried}, {name}" if name else self._carried
            self._found.append(Address(_clean_name(name or "".join(self._comments)), email))
            self._carried = ""
        elif words:
            self._carried = f"{self._carried}, {words}" if self._carried else words
        if len(self._found) > LIMIT:
            raise Unreadable(f"more than {LIMIT} addresses in one header")
        self._words.clear()
        self._late.clear()
        self._comments.clear()
        self._angle = ""


def _split_bare(words: str) -> tuple[str, str]:
    """Address and name out of words without brackets: ``John Doe john@shop.example``."""
    if words.startswith('"') and '"@' in words:  # a quoted local part
        return words, ""
    # RFC 5322, section 4.4, still allows white space around "@" and before "."
    pieces = _LOOSE_DOT.sub(".", _LOOSE_AT.sub("@", words)).split()
    at = next(i for i, piece in enumerate(pieces) if "@" in piece)
    return _bare(pieces[at]), " ".join(pieces[:at] + pieces[at + 1 :])


def _bare(address: str) -> str:
    """The address without a route (``@relay:john@...``), ``mailto:`` and stray marks."""
    if address.startswith('"'):
        return address
    address = "".join(_COMMENT.sub("", address).split())
    if ":" in address:
        address = address.rpartition(":")[2]
    return decode_words(address).strip("'\"<>[](),; ") if "=?" in address else address.strip("'<>[](),; ")


def _clean_name(name: str) -> str:
    if '"' in name:
        name = name.replace('\\"', "\x00").replace('"', "").replace("\x00", '"')
    if "\\" in name:
        name = name.replace("\\\\", "\\")
    name = decode_words(name)
    if len(name) > 1 and name[0] == name[-1] and name[0] in "'\"":
        name = name[1:-1].strip()
    return name
