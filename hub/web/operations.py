"""An API route and its description in one place, so that the OpenAPI document cannot disagree.

`@operation(...)` stands on the view, guards it with its scope, and keeps what hub/web/openapi.py
prints. Response schemas are made from the dataclasses the views really return.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any

from flask import jsonify

from hub.store.reading_entries import as_json
from hub.web.tokens import refusal

Schema = dict[str, Any]
_PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter."""

    name: str
    description: str
    type: type = str
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """What the document says of a route. An empty `scope` needs no token."""

    summary: str
    scope: str
    returns: Mapping[str, Any]
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, Any] | None = None
    errors: tuple[int, ...] = ()


def operation(
    summary: str,
    *,
    scope: str,
    returns: Mapping[str, Any],
    parameters: tuple[Parameter, ...] = (),
    body: Mapping[str, Any] | None = None,
    errors: tuple[int, ...] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Describe and guard a view. The view returns a mapping with the keys of `returns`, or a response.

    `returns` and `body` map names to Python types; dataclasses become named schemas.
    """
    described = Operation(summary, scope, returns, parameters, body, errors)

    def dress(view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def guarded(**values: Any) -> Any:
            refused = refusal(scope) if scope else None
            if refused is not None:
                return refused
            result = view(**values)
            return jsonify(as_json(result)) if isinstance(result, Mapping) else result

        guarded.operation = described  # type: ignore[attr-defined]
        return guarded

    return dress


def schema(kind: Any, named: dict[str, Schema]) -> Schema:
    """The JSON schema of a Python type; dataclasses are added to `named` and referred to."""
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, named)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [{"type": "null"} if a is type(None) else schema(a, named) for a in arguments]}
    if origin in (tuple, list):
        return {"type": "array", "items": schema(arguments[0], named)}
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": schema(arguments[1], named)}
    if kind is Any:
        return {}
    raise TypeError(f"the API cannot describe {kind!r}")


def _dataclass(kind: type[Any], named: dict[str, Schema]) -> Schema:
    if kind.__name__ not in named:
        named[kind.__name__] = {}  # a placeholder, should it refer to itself
        hints = typing.get_type_hints(kind)
        named[kind.__name__] = {
            "type": "object",
            "properties": {f.name: schema(hints[f.name], named) for f in fields(kind)},
            "required": [f.name for f in fields(kind)],
        }
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
