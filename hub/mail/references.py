"""Message-IDs: of this mail, and of those it refers to."""

from __future__ import annotations

import re

_ID = re.compile(r"<([^<>\s]{1,900}(?:\s+[^<>\s]{1,900}){0,3})>")
_BARE = re.compile(r"(?<![^\s<>,;\"()@])[^\s<>,;\"()@]++@[^\s<>,;\"()]++")
_LIMIT = 200
"""References kept: the oldest, which found the thread, and the newest."""


def message_id(value: str) -> str:
    """The Message-ID with its angle brackets, or empty."""
    ids = _ids(value)
    if ids:
        return ids[0]
    words = value.strip("<> \t").split()
    return f"<{words[0]}>" if words else ""


def references(references_value: str, in_reply_to: str) -> tuple[str, ...]:
    """What this mail answers, oldest first, each once; In-Reply-To, the nearest, comes last."""
    found = list(dict.fromkeys([*_ids(references_value), *_ids(in_reply_to)]))
    if len(found) > _LIMIT:
        found = [*found[: _LIMIT // 2], *found[-_LIMIT // 2 :]]
    return tuple(found)


def _ids(value: str) -> list[str]:
    if not value:
        return []
    # Folding cuts long identifiers in two; the white space inside is not theirs.
    found = ["<" + "".join(i.split()) + ">" for i in _ID.findall(value)]
    return found or [f"<{i}>" for i in _BARE.findall(value)]
