"""What a mail asks, without what it is wrapped in.

Greeting, politeness, signature and quoted text halve every matcher; taking them off, and letting
the matcher look at single sentences too, restores all but about two points.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hub.rules.politeness import CLOSING, END, GREETING, HELLO, POLITE, THANKS_LINE
from hub.rules.templates import bare_subject

_LENGTH = 4_000
_SUBJECT_LENGTH = 300
_SENTENCES = 6
_SIGNATURE_LINES = 8

_ONLY_DIGITS = re.compile(r"[\d.,/:+()-]+")
_NUMBER_WORDS = "n° nº no numero numéro number num ref réf reference référence referencia # : nr"
_ANNOUNCES = frozenset(_NUMBER_WORDS.split())
_STOP = re.compile(r"(?<=[.?!…])(?<!\b[nN]o\.)(?<!\b[rR][eé]f\.)\s+|\s*[\n•]+\s*|\s*;\s+")
_EDGES = ' \t,;:.!…-–—*>"«»()'
_LETTERS = re.compile(r"[^\W\d_]")


def question(subject: str, reply: str) -> list[str]:
    """What `reply` (the new words alone) and its subject ask.

    The first entry is the whole question, one sentence a line: give that to a matcher. The others
    are its single sentences, at most six, questions first. Empty when nothing is asked.
    """
    sentences = _unique(_sentences(reply[:_LENGTH]))
    headline = _without_numbers(GREETING.sub("", bare_subject(subject[:_SUBJECT_LENGTH]), count=1))
    if _worth(headline) and headline.casefold() not in (s.casefold() for s in sentences):
        sentences.insert(0, headline)
    if not sentences:
        return []
    singles = sorted(sentences, key=lambda s: not s.endswith("?"))[:_SENTENCES]
    return ["\n".join(sentences), *(singles if len(sentences) > 1 else ())]


def _sentences(text: str) -> Iterator[str]:
    lines = list(_body([line.strip(" \t>*|") for line in text.splitlines()]))
    text = GREETING.sub("", "\n".join(lines).strip(), count=1)
    for part in _STOP.split(_joined(text)):
        sentence = _without_numbers(HELLO.sub("", GREETING.sub("", part.strip(), count=1), count=1))
        if _worth(sentence) and not POLITE.match(_bare(sentence)) and not CLOSING.match(_bare(sentence)):
            yield sentence


def _body(lines: list[str]) -> Iterator[str]:
    """The lines up to the signature or the small print."""
    for i, line in enumerate(lines):
        bare = _bare(line)
        if END.match(line):
            return
        if CLOSING.match(bare) or (THANKS_LINE.match(bare) and i):
            rest = [other for other in lines[i + 1 :] if other and not END.match(other)]
            if len(rest) <= _SIGNATURE_LINES and not any(other.endswith("?") for other in rest):
                return
            continue
        yield line


def _joined(text: str) -> str:
    """Lines that only wrap become one; a short line, or one that ends a sentence, stands alone."""
    joined: list[str] = []
    for line in text.split("\n"):
        previous = joined[-1] if joined else ""
        if line and len(previous) >= 50 and previous[-1] not in ".?!:;…":
            joined[-1] = f"{previous} {line}"
        else:
            joined.append(line)
    return "\n".join(joined)


def _without_numbers(sentence: str) -> str:
    """Order numbers, phones, dates, links and addresses find nothing, and drown what does.

    A word goes when it holds five digits or more, and three words of digits in a row go together.
    Small numbers stay: "in 3 instalments" and "error 404" are part of the question.
    """
    kept: list[str] = []
    run = 0
    for word in sentence.split():
        run = run + 1 if _ONLY_DIGITS.fullmatch(word) else 0
        if run == 3:
            del kept[-2:]
        if run >= 3:
            continue
        if _is_reference(word):
            if kept and kept[-1].strip(".:").casefold() in _ANNOUNCES:
                kept.pop()
            end = word[-1]
            if kept and end in "?!":
                kept[-1] += end
            continue
        kept.append(word)
    return " ".join(kept).lstrip(_EDGES + "?").rstrip(_EDGES)


def _is_reference(word: str) -> bool:
    return "@" in word or "://" in word or word.startswith("www.") or sum(c.isdigit() for c in word) >= 5


def _bare(line: str) -> str:
    return line.strip(_EDGES + "?")


def _worth(sentence: str) -> bool:
    return len(_LETTERS.findall(sentence)) >= 3


def _unique(sentences: Iterator[str]) -> list[str]:
    return list({sentence.casefold(): sentence for sentence in sentences}.values())
