"""One push of a phone system, checked and understood.

The format: https://docs.zammad.org/en/latest/api/generic-cti/index.html (events newCall, answer,
hangup). sipgate, Placetel, 3CX scripts and every PBX that can run curl speak it or come close.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from hub.sdk import Direction, Request

STAGES = {"newcall": "ringing", "answer": "answered", "hangup": "ended"}
"""Our word for each of the format's events."""

_LONGEST = 200
"""Characters kept of a name, a queue, a cause; more is not a name."""


class BadPush(Exception):
    """A push that cannot be understood; its text tells the person who sets up the phone system what is wrong."""


@dataclass(frozen=True, slots=True)
class Call:
    """A stage of a call. `on_phone` is the login or extension that answered, where the push says so."""

    stage: str
    id: str
    direction: Direction
    caller: str
    called: str
    users: tuple[str, ...] = ()
    queue: str = ""
    on_phone: str = ""
    cause: str = ""
    seconds: int | None = None

    @property
    def far_number(self) -> str:
        """The customer's number: who called in, or whom we called."""
        return self.caller if self.direction is Direction.IN else self.called


def fields_of(request: Request) -> dict[str, Any]:
    """The fields of a push in JSON or form encoding. Raises BadPush.

    The first byte decides, not the content type: `curl -d '{...}'` says that it sends a form.
    """
    body = request.body.strip()
    if body[:1] in (b"{", b"["):
        return load(body)
    if body and "multipart" not in request.headers.get("content-type", ""):
        try:
            pairs = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=200)
        except ValueError:
            raise BadPush("The push has more than 200 fields.") from None
        return {name: values if len(values) > 1 else values[0] for name, values in pairs.items()}
    if request.form:
        return dict(request.form)
    raise BadPush("The push is empty; send event, callId, direction, from and to as JSON or as a form.")


def load(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Raises BadPush."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise BadPush("The push is not JSON that can be read.") from None
    if not isinstance(fields, dict):
        raise BadPush("The push is JSON, but not an object with fields.")
    return fields


def understand(fields: Mapping[str, Any]) -> Call:
    """The call a push tells of. Raises BadPush with the field and what it should be."""
    stage = STAGES.get(_text(fields, "event").lower())
    if stage is None:
        raise BadPush('The field "event" should be newCall, answer or hangup.')
    call = _text(fields, "callId")
    if not call:
        raise BadPush('The field "callId" is missing; it should name the call in all its events.')
    direction = _text(fields, "direction").lower()
    if direction not in ("in", "out"):
        raise BadPush('The field "direction" should be in or out.')
    if not ("from" in fields or "to" in fields):
        raise BadPush('The fields "from" and "to" are missing.')
    seconds = _text(fields, "duration")
    return Call(
        stage=stage,
        # What a far side calls a call may be longer than a key; its hash is as unique.
        id=call if len(call) <= 120 else hashlib.sha256(call.encode()).hexdigest(),
        direction=Direction(direction),
        caller=_text(fields, "from"),
        called=_text(fields, "to"),
        users=_users(fields),
        queue=_text(fields, "queue"),
        on_phone=_text(fields, "answeringNumber"),
        cause=_text(fields, "cause"),
        seconds=int(seconds) if seconds.isdecimal() and len(seconds) < 7 else None,
    )


def fingerprint(fields: Mapping[str, Any]) -> str:
    """The same for the same fields in any order: a push that is repeated is one."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return _clean(str(value))


def _users(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Forms write `user[]`; the vendor's page calls it `user` in newCall and `caller` later."""
    for name in ("user", "user[]", "users", "caller", "caller[]"):
        value = fields.get(name)
        names = value if isinstance(value, list) else [value]
        if found := tuple(clean for n in names[:50] if isinstance(n, str) and (clean := _clean(n))):
            return found
    return ()


def _clean(text: str) -> str:
    """One printable line; half a surrogate pair (JSON may hold one) would fit in no database."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: _LONGEST * 4]).split())[:_LONGEST]
