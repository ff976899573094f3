"""The new words of a mail, apart from what it quotes and from its signature.

Linear in the length of the text: every pattern runs once on a line of bounded length (published
reply parsers burn more than 20 s on ``"On " * 60000``). Two promises guide the doubtful cases:
words that may be new stay in the reply, so an answer between or below quoted lines is kept; and a
mail that only forwards something keeps it. The whole text is stored in any case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from hub.rules.quotewords import (
    AFTERTHOUGHT,
    BEGINS,
    CLOSING_COMPANY,
    CLOSING_WORDS,
    DEVICE,
    FIELD,
    FORWARDED,
    GADGET,
    LIST_FOOTER,
    ORIGINAL,
    PARTICLES,
    WROTE,
)

_LENGTH = 200_000
"""Characters of a text taken apart: a hundred pages."""
_LONG = 400
"""Characters above which a line is prose, whatever it begins with."""
_ATTRIBUTION_LINES = 5
_SIGNATURE_LINES = 10
_DELIMITED_LINES = 20
_SIGNATURE_WIDTH = 90
_HEADER_LINES = 14
_CLOSING_WORDS = 6
_NAME_WORDS = 4

_SPACES = dict.fromkeys((0xA0, 0x202F, 0x2007), " ")  # French puts them before a colon
_DIGIT = re.compile(r"\d")
_ANGLE = re.compile(r"<[^<>]*+>?")
_RULE = re.compile(r"[-_=*~–—\s]{3,}")
_LONG_RULE = re.compile(r"[-_=]{10,}")
_NAME_LINE = re.compile(r"(?:[-~/]{1,2}|[–—] ?)([^\W\d_][\w.'’-]*(?: [^\W\d_][\w.'’-]*){0,3})")
_RULES = frozenset({"--", "__", "=="})
_MARKS = (">", "＞")
_ENDS = (":", "：")
_ADDRESS_ENDS = (">:", ">：")
_NEW, _QUOTED, _SIGNED = range(3)


class Parts(NamedTuple):
    """The text taken apart: every line that is not empty stands in exactly one of these."""

    reply: str
    quoted: str
    signature: str


def split(text: str) -> Parts:
    """Take a mail's plain text apart. Never raises."""
    if len(text) > _LENGTH:
        return _of_long(text)
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")
    lines = text.split("\n")
    bare = (
        [line.strip() for line in text.translate(_SPACES).split("\n")]
        if not text.isascii()
        else [*map(str.strip, lines)]
    )
    quotes = _Quotes(bare)
    labels = quotes.labels()
    for start, end in list(_runs(labels, _NEW)):
        _Signature(lines, bare, labels).label(start, end)
    reply, quoted, signature = (_joined(lines, labels, kind) for kind in (_NEW, _QUOTED, _SIGNED))
    if reply or quotes.introduced:
        return Parts(reply, quoted, signature)
    # Marked lines that nobody introduces, or a formula, and nothing else: then that is what is said.
    return Parts(quoted, "", signature) if quoted else Parts(signature, "", "")


def _of_long(text: str) -> Parts:
    """Only the beginning is taken apart. The rest is a log or a bomb; it stays with what it follows."""
    cut = text.rfind("\n", 0, _LENGTH) + 1 or _LENGTH
    reply, quoted, signature = split(text[:cut])
    if quoted and text[:cut].rstrip().endswith(quoted[-_LONG:]):
        return Parts(reply, quoted + "\n" + text[cut:].rstrip(), signature)
    return Parts(f"{reply}\n{text[cut:]}".strip(), quoted, signature)


def _runs(labels: list[int], kind: int) -> Iterator[tuple[int, int]]:
    """Stretches of lines with one label."""
    start = 0
    for label, group in groupby(labels):
        end = start + sum(1 for _ in group)
        if label == kind:
            yield start, end
        start = end


def _joined(lines: list[str], labels: list[int], kind: int) -> str:
    stretches = ("\n".join(lines[start:end]).strip("\n").rstrip() for start, end in _runs(labels, kind))
    return "\n\n".join(s for s in stretches if s).strip()


class _Quotes:
    """Labels the quoted lines, top to bottom. `bare` are the lines without outer white space."""

    def __init__(self, bare: list[str]) -> None:
        self._bare = bare
        self._labels = [_NEW] * len(bare)
        self._first_new = len(bare)  # the first line somebody wrote anew
        self.introduced = False

    def labels(self) -> list[int]:
        i = 0
        while i < len(self._bare):
            i = self._after(i)
        return self._labels

    def _after(self, i: int) -> int:
        """Label what begins or ends at line `i`; return the next line to look at."""
        line = self._bare[i]
        if not line:
            return i + 1
        if line.startswith(_MARKS):
            self._labels[i] = _QUOTED
            return i + 1
        if len(line) <= _LONG:
            if line.rstrip("*_ ").endswith(_ENDS) and (after := self._attribution(i)):
                return after
            if ":" in line[:40] and (after := self._header_block(i)):
                return after
            if FORWARDED.fullmatch(line):
                return len(self._bare)  # forwarded text is news to whoever gets it
            if ORIGINAL.fullmatch(line):
                return self._quote(i, i + 1, cuts=True) or i + 1
        if line[0].isalnum() or not _RULE.fullmatch(line):
            self._first_new = min(self._first_new, i)
        return i + 1

    def _quote(self, start: int, end: int, *, cuts: bool) -> int:
        """An introduction at start..end: with it goes what it introduces, marked lines or all the rest."""
        following = next((self._bare[i] for i in range(end, len(self._bare)) if self._bare[i]), "")
        marked = following.startswith(_MARKS)
        if not marked and (not cuts or self._first_new >= start):
            return 0
        if not marked:
            end = len(self._bare)
        self._labels[start:end] = [_QUOTED] * (end - start)
        self.introduced = True
        return end

    def _attribution(self, last: int) -> int:
        """The attribution that line `last` ends: "On Monday, Anna <anna@...> wrote:", often over several lines."""
        top = last
        while top > max(0, last - _ATTRIBUTION_LINES + 1) and self._continues(top - 1):
            top -= 1
        whole = self._text(top, last)
        if not (WROTE.search(whole) or whole.endswith(_ADDRESS_ENDS)):
            return 0
        start = next((i for i in range(last, top - 1, -1) if _attributes(self._text(i, last))), -1)
        if start < 0:
            return 0
        if not _DIGIT.search(_ANGLE.sub("", self._text(start, last))):  # the date stands further up
            dated = (i for i in range(start - 1, top - 1, -1) if BEGINS.match(self._bare[i]))
            start = next((i for i in dated if _DIGIT.search(self._bare[i])), start)
        joined = self._text(start, last)
        return self._quote(start, last + 1, cuts="@" in joined and _DIGIT.search(joined) is not None)

    def _continues(self, i: int) -> bool:
        return 0 < len(self._bare[i]) <= _LONG and self._labels[i] == _NEW

    def _text(self, first: int, last: int) -> str:
        return " ".join(self._bare[first : last + 1])

    def _header_block(self, first: int) -> int:
        """From, Sent, To and Subject, as Outlook puts them above the mail it quotes."""
        found = FIELD.match(self._bare[first])
        if not found or found.lastgroup == "other":
            return 0
        kinds: set[str | None] = set()
        address = False
        last = first
        for i in range(first, min(first + _HEADER_LINES, len(self._bare))):
            line = self._bare[i]
            field = FIELD.match(line) if len(line) <= _LONG else None
            if field:
                kinds.add(field.lastgroup)
                last = i
            elif i - last > 1:  # one folded or empty line between two fields is usual
                break
            address = address or "@" in line
        if "sender" not in kinds or not (kinds & {"subject", "sent"} or (address and len(kinds) > 1)):
            return 0
        start = first
        while start and (not self._bare[start - 1] or _RULE.fullmatch(self._bare[start - 1])):
            start -= 1
        return self._quote(start, last + 1, cuts=True)


def _attributes(text: str) -> bool:
    """A verb of writing; or date, name and address without one, as Gmail wrote for years."""
    return bool(WROTE.search(text)) or (text.endswith(_ADDRESS_ENDS) and _DIGIT.match(text) is not None)


class _Signature:
    """Labels the signature lines at the end of a stretch of new lines."""

    def __init__(self, lines: list[str], bare: list[str], labels: list[int]) -> None:
        self._lines = lines
        self._bare = bare
        self._labels = labels

    def label(self, start: int, end: int) -> None:
        end = self._cut(self._small_print(start, end), end)
        while end > start and self._device(end - 1):
            end = self._cut(end - 1, end)
        end = self._cut(self._closing(start, end), end)
        if end - start > 1 and not self._bare[end - 2] and _is_name(self._bare[end - 1]):
            self._cut(end - 1, end)

    def _cut(self, start: int, end: int) -> int:
        """Sign off the lines from `start`; return the end of what stays, empty lines left out."""
        self._labels[start:end] = [_SIGNED] * (end - start)
        while start and not self._bare[start - 1] and self._labels[start - 1] == _NEW:
            start -= 1
        return start

    def _small_print(self, start: int, end: int) -> int:
        """Where "-- " (RFC 3676, section 4.3) or a mailing list's footer begins."""
        for i in range(start, end):
            line = self._bare[i]
            if line[:2] not in _RULES:
                continue
            if line == "--" and (self._lines[i] == "-- " or end - i <= _DELIMITED_LINES):
                return i
            if _LONG_RULE.fullmatch(line) and LIST_FOOTER.search(" ".join(self._bare[i + 1 : i + 5])[:_LONG]):
                return i
        return end

    def _device(self, i: int) -> bool:
        """One line like "Sent from my iPhone", which is no sentence."""
        line = self._bare[i]
        if len(line) > _SIGNATURE_WIDTH or line.endswith((".", "!", "?")) or "," in line:
            return False
        return DEVICE.match(line) is not None and GADGET.search(line) is not None

    def _closing(self, start: int, end: int) -> int:
        """Where a closing formula begins that only a name, a job, numbers follow."""
        filled = 0
        for i in range(end - 1, start - 1, -1):
            line = self._bare[i]
            if not line:
                continue
            if _is_closing(line):
                return i
            filled += 1
            if (
                filled > _SIGNATURE_LINES
                or len(line) > _SIGNATURE_WIDTH
                or line.endswith("?")
                or AFTERTHOUGHT.match(line)
            ):
                break
        return end


def _is_closing(line: str) -> bool:
    """A formula's words alone, then at most a name: "Cordialement," or "Best regards, Anna"."""
    if len(line) > _SIGNATURE_WIDTH:
        return False
    formula, _, name = line.partition(",")
    words = formula.lower().strip(" .!…*_").split()
    if not 0 < len(words) <= _CLOSING_WORDS or CLOSING_WORDS.isdisjoint(words):
        return False
    return all(w in CLOSING_WORDS or w in CLOSING_COMPANY for w in words) and _are_names(name.split())


def _is_name(line: str) -> bool:
    """How some people sign: "-Anna Martin", "/Anna"."""
    found = _NAME_LINE.fullmatch(line) if len(line) <= _SIGNATURE_WIDTH else None
    return found is not None and _are_names(found[1].split())


def _are_names(words: list[str]) -> bool:
    return len(words) <= _NAME_WORDS and all(w[:1].isupper() or w in PARTICLES for w in words)
