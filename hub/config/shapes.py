"""Reading a settings model's annotations: which type stands behind a field, which models lie inside it."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def bare(annotation: Any) -> Any:
    """`annotation` without `Annotated[...]`."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def choices(annotation: Any) -> list[Any]:
    """The members of a union, None left out; else the annotation alone."""
    plain = bare(annotation)
    if get_origin(plain) in (Union, types.UnionType):
        return [c for member in get_args(plain) if member is not type(None) for c in choices(member)]
    return [annotation]


def items(annotation: Any) -> Any | None:
    """What a list or tuple holds; None where it is neither."""
    plain = bare(annotation)
    origin, arguments = get_origin(plain), get_args(plain)
    if origin in (list, tuple, set, frozenset) and arguments:
        return arguments[0]
    return None


def values(annotation: Any) -> Any | None:
    """What a mapping holds under its keys; None where it is not a mapping."""
    plain = bare(annotation)
    origin, arguments = get_origin(plain), get_args(plain)
    if isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2:
        return arguments[1]
    return None


def is_model(annotation: Any) -> bool:
    """True for a pydantic model."""
    plain = bare(annotation)
    return isinstance(plain, type) and issubclass(plain, BaseModel)


def fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """A model's fields by the name a person writes in TOML."""
    for name, field in model.model_fields.items():
        yield field.alias or name, field


def old_names(field: FieldInfo) -> list[str]:
    """Names this field had in earlier versions (`hub.sdk.renamed_from`)."""
    extra = field.json_schema_extra
    names = extra.get("renamed_from") if isinstance(extra, dict) else None
    return [str(n) for n in names] if isinstance(names, list) else []


def best_model(annotation: Any, value: Mapping[str, Any]) -> type[BaseModel] | None:
    """The model among an annotation's choices that shares most keys with `value`."""
    models: list[type[BaseModel]] = [bare(c) for c in choices(annotation) if is_model(c)]
    if not models:
        return None
    return max(models, key=lambda m: len({n for n, _ in fields(m)} & set(value)))


def inside(annotation: Any, value: Any, key: str | int) -> Any | None:
    """The annotation of `value[key]`, or None where the annotation does not say."""
    for choice in choices(annotation):
        if isinstance(key, int) and (held := items(choice)) is not None:
            return held
        if isinstance(key, str) and (held := values(choice)) is not None:
            return held
    if isinstance(key, str) and isinstance(value, Mapping) and (model := best_model(annotation, value)):
        named = dict(fields(model))
        return named[key].annotation if key in named else None
    return None
