"""How a case's number is written."""

from __future__ import annotations

import re
from functools import cache
from string import Formatter

from hub.sdk import ConfigError

_LENGTH = 60
_SPEC = re.compile(r"(?:0?[1-9]|0?1[0-2])?d?")
_TEXT = re.compile(r"[A-Za-z0-9._/#-]*")


def format_number(pattern: str, year: int, n: int) -> str:
    """`pattern` filled in: ``TR-{year}-{n:06}`` gives ``TR-2026-000123``.

    Raises ConfigError as `check_pattern` does.
    """
    check_pattern(pattern)
    return pattern.format(year=year, n=n)


@cache
def check_pattern(pattern: str) -> None:
    """Raise ConfigError unless `pattern` gives every case its own number.

    Numbers begin anew each year, so the year must be in it. They travel in subjects, between
    brackets, and in links: letters, digits and ``. _ / # -`` only, at most 60 characters.
    """
    names = []
    try:
        for text, field, spec, conversion in Formatter().parse(pattern):
            if not _TEXT.fullmatch(text):
                raise _wrong(pattern, "may only hold letters, digits and . _ / # -")
            if field is None:
                continue
            if field not in ("year", "n") or conversion or not _SPEC.fullmatch(spec or ""):
                raise _wrong(pattern, "knows {year} and {n}, with a width such as {n:06}")
            names.append(field)
    except ValueError:  # an unclosed brace
        raise _wrong(pattern, "has a brace that is not closed") from None
    if sorted(set(names)) != ["n", "year"]:
        raise _wrong(pattern, "needs both {year} and {n}: numbers begin anew each year")
    if len(pattern.format(year=9999, n=10**12 - 1)) > _LENGTH:
        raise _wrong(pattern, f"gives numbers longer than {_LENGTH} characters")


@cache
def finder(pattern: str) -> re.Pattern[str]:
    """Finds what looks like a number of `pattern` in a text, as a whole word and in any case."""
    wanted = ""
    for text, field, _, _ in Formatter().parse(pattern):
        wanted += re.escape(text) + {"year": r"\d{4}", "n": r"\d{1,12}", None: ""}[field]
    return re.compile(rf"(?<![\w/-]){wanted}(?![\w/-])", re.IGNORECASE)


def _wrong(pattern: str, why: str) -> ConfigError:
    return ConfigError(f'the case number {pattern!r} {why}; for example "TR-{{year}}-{{n:06}}"', path="case_number")
