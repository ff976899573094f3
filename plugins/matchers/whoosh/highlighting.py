"""Hits as HTML that holds `<mark>` and nothing else: everything from the answer is escaped."""

from __future__ import annotations

from html import escape
from typing import Any

from .analysis import words
from .library import ContextFragmenter, Formatter, WholeFragmenter, highlight

_CHARACTERS = 240
_SURROUND = 60


class _Marks(Formatter):  # type: ignore[misc]  # the library has no types
    """The library's own HTML formatter adds classes; a page's style needs none."""

    between = " … "

    def _text(self, text: str) -> str:
        return escape(text)

    def format_token(self, text: str, token: Any, replace: bool = False) -> str:
        return f"<mark>{escape(text[token.startchar : token.endchar])}</mark>"


def marked(text: str, terms: set[str], language: str) -> str:
    """The parts of `text` around `terms`; its beginning where none of them stands in it."""
    short = len(text) <= _CHARACTERS
    parts = WholeFragmenter() if short else ContextFragmenter(maxchars=_CHARACTERS, surround=_SURROUND)
    found = highlight(text, terms, words(language), parts, _Marks(), top=2)
    return str(found) if found else escape(text[:_CHARACTERS]) + ("" if short else " …")
