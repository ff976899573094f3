"""From text to terms, one analyser per language: words, without accents and stop words, as stems.

Accents go before the stemmer looks, because customers leave them out: "colis recu" must meet
"colis reçu". A change here makes every index stale: raise `VERSION`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from .library import Token, has_stemmer, has_stopwords, stemmer_for_language, stopwords_for_language

VERSION = 1

_WORD = re.compile(r"\w{1,60}")
_KNOWN_WORDS = 50_000

# What elision leaves before the apostrophe; single letters (l', d', j') are dropped as such.
_ELIDED = {"fr": ("qu", "jusqu", "lorsqu", "puisqu", "quelqu", "aujourd", "presqu", "quoiqu")}


def fold(text: str) -> str:
    """`text` in lower case and without accents. The result may be longer or shorter (ß, ligatures)."""
    text = text.lower()
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


class Words:
    """Whoosh's analyser for one language: a callable from text to tokens."""

    def __init__(self, language: str) -> None:
        self.language = language
        stops = stopwords_for_language(language) if has_stopwords(language) else ()
        self._stops = {fold(word) for word in (*stops, *_ELIDED.get(language, ()))}
        self._stem: Callable[[str], str] = stemmer_for_language(language) if has_stemmer(language) else str
        self._terms: dict[str, str] = {}

    def __call__(self, value: str, **options: Any) -> Iterator[Token]:
        """Tokens for the library, which indexes their text and highlights by their characters."""
        token = Token(positions=True, chars=True, mode=options.get("mode", ""))
        token.boost, token.stopped = 1.0, False
        for position, match in enumerate(_WORD.finditer(value)):
            term = self.term(match[0])
            if term:
                token.text, token.original, token.pos = term, match[0], position
                token.startchar, token.endchar = match.span()
                yield token

    def terms(self, text: str) -> list[str]:
        """The terms of `text`, in order."""
        return [term for word in _WORD.findall(text) if (term := self.term(word))]

    def term(self, word: str) -> str:
        """What stands for `word` in the index; empty for stop words and single letters."""
        known = self._terms.get(word)
        if known is None:
            if len(self._terms) > _KNOWN_WORDS:
                self._terms.clear()  # mails hold no end of names and numbers
            known = self._terms[word] = self._analyse(word)
        return known

    def _analyse(self, word: str) -> str:
        folded = fold(word)
        if folded in self._stops or (len(folded) < 2 and not folded.isdigit()):
            return ""
        return self._stem(folded)


class Pairs(Words):
    """Neighbouring terms two by two: "carte cadeau" is more than "carte" and "cadeau"."""

    def __call__(self, value: str, **options: Any) -> Iterator[Token]:
        token = Token(positions=True, mode=options.get("mode", ""))
        token.boost, token.stopped = 1.0, False
        for line in value.split("\n"):  # the last word of one question has no business with the next one's first
            for position, pair in enumerate(pairs(self.terms(line))):
                token.text, token.pos = pair, position
                yield token


def pairs(terms: list[str]) -> list[str]:
    """Neighbouring terms two by two."""
    return [f"{one} {two}" for one, two in pairwise(terms)]


@cache
def words(language: str) -> Words:
    """The analyser of `language`; for a language without a stemmer it only folds."""
    return Words(language)
