"""Outcomes as JSON, checked field by field when they come back.

A reader may have been taken over by what it read. JSON makes nothing but plain values, shares none
of them, and what does not have the types of hub.sdk is refused: no pickle could promise that.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from operator import attrgetter
from typing import Any

from hub.reading import Outcome, Unread
from hub.sdk import Attachment, Event, Identity, Message, Raw

_LARGEST, _ALWAYS, _TIMES = 64 * 1024**2, 4 * 1024**2, 8
_WORDS = 500
"""Characters of a reason."""
JUNK = Unread("TypeError", "its plugin gave something that is no message and no event")


def largest(raw: Raw) -> int:
    """Bytes an outcome may have: eight times the raw and some, since JSON takes much memory to read."""
    return min(_LARGEST, _ALWAYS + _TIMES * len(raw.data))


def too_large(raw: Raw) -> Unread:
    """The outcome of a raw whose outcome is larger than it may be."""
    return Unread("TooLarge", f"what was read from it is larger than {largest(raw) // 1024**2} MB")


def encode(outcome: Outcome, raw: Raw) -> bytes:
    """One outcome as bytes; one that is too large, or nothing the hub knows, as that."""
    if isinstance(outcome, Unread):
        return _dump(["unread", outcome.error, outcome.reason[:_WORDS]])
    try:
        coded = _dump(["said", *([_kind(one), one] for one in outcome)])
    except (TypeError, ValueError, RecursionError):
        return encode(JUNK, raw)
    return coded if len(coded) <= largest(raw) else encode(too_large(raw), raw)


def decode(coded: bytes) -> Outcome:
    """The outcome in `coded`. Raises ValueError for anything else."""
    try:
        kind, *rest = json.loads(coded.decode("utf-8", "surrogatepass"))
        if kind == "said":
            return tuple(_DECODERS[which](one) for which, one in rest)
        if kind != "unread":
            raise KeyError
        error, reason = map(_text, rest)
        return Unread(error[:60] if error.isidentifier() else "unknown", reason[:_WORDS])
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as why:
        raise ValueError("not an outcome") from why


_FIELDS = {
    kind: attrgetter(*(f.name for f in dataclasses.fields(kind))) for kind in (Identity, Attachment, Message, Event)
}


def _dump(value: Any) -> bytes:
    return _ENCODER.encode(value).encode("utf-8", "surrogatepass")


def _kind(one: Any) -> str:
    if isinstance(one, Message):
        return "message"
    if isinstance(one, Event):
        return "event"
    raise TypeError(type(one).__name__)


def _plain(value: Any) -> Any:
    """What JSON does not know by itself."""
    fields = _FIELDS.get(type(value))
    if fields is not None:
        return fields(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple(_FIELDS)):  # a plugin's own kind of message: what it adds stays with it
        return next(fields(value) for kind, fields in _FIELDS.items() if isinstance(value, kind))
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


_ENCODER = json.JSONEncoder(default=_plain, ensure_ascii=False, check_circular=False, separators=(",", ":"))

# -- back again: a decoder for each annotation of the values -------------------------------------------

_Decoder = Callable[[Any], Any]


def _exactly(kind: type) -> _Decoder:
    def decoder(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return decoder


_text = _exactly(str)


def _decoder(hint: Any) -> _Decoder:
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return _tuple(_decoder(inside[0]))
    if origin is Mapping:
        return _mapping(None if inside[1] is Any else _decoder(inside[1]))
    if hint is datetime:
        return lambda value: datetime.fromisoformat(_text(value))
    if dataclasses.is_dataclass(hint):
        return _dataclass(typing.cast("type", hint))
    return hint if issubclass(hint, Enum) else _exactly(hint)


def _tuple(decoder: _Decoder) -> _Decoder:
    return lambda value: tuple([decoder(one) for one in _list(value)])


def _mapping(decoder: _Decoder | None) -> _Decoder:
    def decode_mapping(value: Any) -> Any:
        found = _dict(value)
        return found if decoder is None else {key: decoder(one) for key, one in found.items()}

    return decode_mapping


def _dataclass(kind: type) -> _Decoder:
    hints = typing.get_type_hints(kind)
    decoders = [_decoder(hints[f.name]) for f in dataclasses.fields(kind)]
    return lambda value: kind(*[decoder(one) for decoder, one in zip(decoders, _list(value), strict=True)])


_list, _dict = _exactly(list), _exactly(dict)
_DECODERS = {"message": _decoder(Message), "event": _decoder(Event)}
