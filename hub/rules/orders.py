"""Order numbers in a text. Found here, they are claims: they prove nothing about who wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hub.sdk import ConfigError

_TEXT_LENGTH = 20_000
_MOST = 20
_DASHES = "\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{EN DASH}\N{MINUS SIGN}"


def compile_patterns(patterns: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    r"""Ready the business's patterns (``CMD-\d{4}-\d{4}``). A group, where there is one, is the number.

    A pattern matches whole words only: ``CMD-2026-00421`` is not order ``CMD-2026-0042``.
    Raises ConfigError, naming the pattern, for one that is no regular expression or matches nothing at all.
    """
    return tuple(_compile(pattern) for pattern in patterns)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(rf"(?:{pattern})(?!\w)", re.IGNORECASE)
        empty = re.compile(pattern, re.IGNORECASE).fullmatch("")
    except re.error as error:
        raise ConfigError(
            f"order pattern {pattern!r} is no regular expression ({error}): mend it", path="order_patterns"
        ) from None
    if empty:
        raise ConfigError(f"order pattern {pattern!r} matches an empty text: ask for a digit", path="order_patterns")
    return compiled


def find_orders(text: str, patterns: Sequence[re.Pattern[str]]) -> tuple[str, ...]:
    """The order numbers in `text`: upper-cased, each once, in the order they are written.

    Looks at the first 20,000 characters and stops at 20 numbers: a mail that lists more is a report.
    """
    if not patterns:
        return ()
    text = text[:_TEXT_LENGTH]
    if any(dash in text for dash in _DASHES):  # phones and word processors like their own
        for dash in _DASHES:
            text = text.replace(dash, "-")
    found: dict[str, int] = {}
    for pattern in patterns:
        group = 1 if pattern.groups else 0
        for match in pattern.finditer(text):
            if _inside_a_word(text, match.start()):
                continue
            number = (match[group] or match[0]).strip().upper()
            found[number] = min(match.start(), found.get(number, match.start()))
            if len(found) >= _MOST:
                break
    return tuple(sorted(found, key=found.__getitem__))[:_MOST]


def _inside_a_word(text: str, start: int) -> bool:
    """Asked here and not by a look-behind, which would be tried at every character: a third of the time."""
    before = text[start - 1 : start]
    return before.isalnum() or before == "_"
