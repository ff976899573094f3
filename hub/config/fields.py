"""What a settings model says about itself: one source for the reference, `tresse plugins NAME`,
the admin page and the annotated sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Literal, get_args, get_origin

import tomlkit
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from hub.config import shapes
from hub.config.problems import join
from hub.sdk import Duration, Size

_DURATION, _SIZE = get_args(Duration)[1], get_args(Size)[1]
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"))
_SIZES = ((1024**3, "GB"), (1024**2, "MB"), (1024, "KB"), (1, "B"))
_PLAIN: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "whole number"),
    (float, "number"),
    (SecretStr, "secret"),
    (PurePath, "path"),
    (date, "date"),
    (BaseModel, "table"),
)


@dataclass(frozen=True, slots=True)
class FieldDoc:
    """One setting. `path` is dotted (``imap.host``, ``fields.NAME``, ``rules[].to``); `default` is TOML."""

    path: str
    type: str
    required: bool
    default: str
    description: str
    renamed_from: tuple[str, ...] = ()


def describe(model: type[BaseModel]) -> list[FieldDoc]:
    """Every setting of `model`, the nested ones too, in the order they are written."""
    return list(_described(model, ""))


def _described(model: type[BaseModel], prefix: str) -> Iterator[FieldDoc]:
    for name, info in shapes.fields(model):
        path = f"{prefix}{name}"
        below, model_inside = _nested(info.annotation, path)
        if model_inside is None or not below.startswith(f"{path}."):
            yield _doc(path, info)
        elif info.is_required():
            yield FieldDoc(path, "table", required=True, default="", description=info.description or "")
        if model_inside is not None:
            yield from _described(model_inside, below)


def _nested(annotation: Any, path: str) -> tuple[str, type[BaseModel] | None]:
    """The prefix of the settings inside a field, and their model."""
    for choice in shapes.choices(annotation):
        if shapes.is_model(choice):
            return f"{path}.", shapes.bare(choice)
        held = shapes.items(choice)
        if held is not None and shapes.is_model(held):
            return f"{path}[].", shapes.bare(held)
        held = shapes.values(choice)
        if held is not None and shapes.is_model(held):
            return f"{path}.NAME.", shapes.bare(held)
    return path, None


def _doc(path: str, info: FieldInfo) -> FieldDoc:
    kind = _type(info.annotation, info.metadata)
    default = "" if info.is_required() else toml(_default(info), kind)
    return FieldDoc(
        path, kind, info.is_required(), default, (info.description or "").strip(), tuple(shapes.old_names(info))
    )


def _default(info: FieldInfo) -> Any:
    default = info.get_default(call_default_factory=True, validated_data={})
    return None if default is PydanticUndefined else default


def _type(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """The kind of a value in plain words."""
    if get_origin(annotation) is Annotated:
        metadata = (*metadata, *annotation.__metadata__)
    if _DURATION in metadata:
        return "duration"
    if _SIZE in metadata:
        return "size"
    options = shapes.choices(annotation)
    if len(options) > 1:
        return " or ".join(dict.fromkeys(_type(o) for o in options))
    if options != [annotation]:
        return _type(options[0])
    return _plain(shapes.bare(annotation))


def _plain(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return _one_of(get_args(kind))
    for held, word in ((shapes.items(kind), "list"), (shapes.values(kind), "table")):
        if held is not None:
            return f"{word} of {_type(held)}"
    if not isinstance(kind, type):
        return "any"
    if issubclass(kind, Enum):
        return _one_of([m.value for m in kind])
    return next((word for parent, word in _PLAIN if issubclass(kind, parent)), "text")


def _one_of(members: Sequence[Any]) -> str:
    return "one of " + ", ".join(f'"{m}"' if isinstance(m, str) else str(m) for m in members)


def toml(value: Any, kind: str = "") -> str:
    """`value` as it is written in TOML; durations and sizes with their unit, secrets never."""
    if value is None:
        return ""
    if kind == "duration" and isinstance(value, int | float):
        return _with_unit(float(value), _UNITS) or f'"{f"{value * 1000:.3f}".rstrip("0").rstrip(".")}ms"'
    if kind == "size" and isinstance(value, int):
        return _with_unit(value, _SIZES)
    return str(tomlkit.item(_simple(value)).as_string())


def _simple(value: Any) -> Any:
    """`value` in the few types TOML has."""
    if isinstance(value, BaseModel):
        return _simple(value.model_dump())
    if isinstance(value, dict):
        return tomlkit.inline_table() | {str(k): _simple(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple | set | frozenset):
        return [_simple(v) for v in value]
    if isinstance(value, SecretStr):
        return ""
    return str(value) if isinstance(value, Enum | PurePath) else value


def _with_unit(value: float, units: Sequence[tuple[float, str]]) -> str:
    """The largest unit that leaves a whole number."""
    if value == 0:
        return f'"0{units[-1][1]}"'
    return next((f'"{int(value / size)}{unit}"' for size, unit in units if value % size == 0), "")


def table(model: type[BaseModel]) -> str:
    """The settings as a Markdown table."""
    lines = ["| setting | type | default | meaning |", "| --- | --- | --- | --- |"]
    for doc in describe(model):
        default = "*required*" if doc.required else (f"`{doc.default}`" if doc.default else "")
        old = f" (was `{'`, `'.join(doc.renamed_from)}`)" if doc.renamed_from else ""
        cells = (f"`{doc.path}`", doc.type, default, doc.description + old)
        lines.append("| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |")
    return "\n".join(lines) + "\n"


def sample(model: type[BaseModel], header: str, first: Sequence[str] = ()) -> str:
    """An annotated piece of configuration: required settings to fill in, the others as comments with their default."""
    tables: dict[str, list[str]] = {"": list(first)}
    for doc in describe(model):
        inside, _, name = doc.path.rpartition(".")
        if "NAME" in doc.path or "[]" in doc.path or (doc.type == "table" and doc.required):
            continue
        lines = tables.setdefault(inside, [])
        lines.append(f"# {doc.description} ({doc.type})".replace("\n", " "))
        given = doc.default or _placeholder(doc)
        lines.append(f"{name} = {given}" if doc.required else f"# {name} = {given}")
    parts = [f"[{join(header, inside)}]\n" + "\n".join(lines) for inside, lines in tables.items()]
    return "\n\n".join(parts) + "\n"


def _placeholder(doc: FieldDoc) -> str:
    if doc.type.startswith("one of "):
        return doc.type.removeprefix("one of ").split(", ")[0]
    if doc.type.startswith(("list", "table of")):
        return "[]" if doc.type.startswith("list") else "{}"
    name = doc.path.rpartition(".")[2]
    known = {
        "secret": f'{{ env = "{name.upper()}" }}',
        "whole number": "1",
        "number": "1.0",
        "true or false": "true",
        "duration": '"30s"',
        "size": '"10MB"',
    }
    return known.get(doc.type, f'"{name.upper()}"')
