"""Times as sources write them."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_date(text: str) -> datetime | None:
    """An ISO 8601 time as an aware UTC datetime; None for what is none. Without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
