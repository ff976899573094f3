"""Dates of mails: RFC 5322, and what programs write instead."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz

_MONTHS = {"janfebmaraprmayjunjulaugsepoctnovdec"[3 * i : 3 * i + 3]: i + 1 for i in range(12)}
_USUAL = re.compile(
    r"(?:[A-Za-z]{3},)?\s*(\d{1,2}) ([A-Za-z]{3}) (\d{4}) (\d{1,2}):(\d\d)(?::(\d\d))?"
    r" ([+-])(\d\d)(\d\d)(?: \([^()]*\))?"
)
_LONGEST = 200


def parse_date(text: str) -> datetime | None:
    """The aware UTC time of a Date header, or None. A missing zone is read as UTC."""
    text = text.strip()[:_LONGEST]
    if not text:
        return None
    try:
        usual = _USUAL.fullmatch(text)
        return _quickly(usual) if usual else _patiently(text)
    except (ValueError, OverflowError, KeyError, IndexError, TypeError):
        # parsedate_tz has raised each of these on junk in one Python version or another.
        return None


def _quickly(found: re.Match[str]) -> datetime:
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = found.groups()
    local = datetime(
        int(year), _MONTHS[month.lower()], int(day), int(hour), int(minute), min(int(second or 0), 59), tzinfo=UTC
    )
    zone = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
    return local - zone if sign == "+" else local + zone


def _patiently(text: str) -> datetime | None:
    found = parsedate_tz(text)
    if found is None:
        return _iso(text)
    year, month, day, hour, minute, second = found[:6]
    return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC) - timedelta(seconds=found[9] or 0)


def _iso(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
