"""A table against its model; pydantic's errors retold with full paths, in words, with a "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hub.config import shapes
from hub.config.prepare import Preparation
from hub.config.problems import ConfigErrors, Problem, did_you_mean, join

ModelT = TypeVar("ModelT", bound=BaseModel)

_WORDS = {
    "string_type": "should be text in quotes",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "list_type": "should be a list in [ ]",
    "tuple_type": "should be a list in [ ]",
    "dict_type": "should be a table",
    "model_type": "should be a table",
    "path_type": "should be a path in quotes",
    "datetime_type": "should be a date and time",
}


def validated(
    model: type[ModelT], given: Mapping[str, Any], path: str, preparation: Preparation, also: Iterable[str] = ()
) -> ModelT:
    """`given` as a `model`. `also` names keys that are known beside the model's (for "did you mean").

    Raises ConfigErrors with every problem of the table.
    """
    before = len(preparation.problems)
    ready = preparation.model(model, given, path)
    problems = preparation.problems[before:]
    del preparation.problems[before:]
    try:
        made = model.model_validate(ready)
    except ValidationError as error:
        # `include_input=False`: what was typed may be a secret in the wrong place.
        details = error.errors(include_input=False, include_url=False)
        problems += [_retold(model, ready, path, d, also) for d in details]
        raise ConfigErrors(_unique(problems)) from None
    if problems:
        raise ConfigErrors(problems)
    return made


def _unique(problems: list[Problem]) -> list[Problem]:
    """A union reports one problem per member; the first of each path says enough."""
    return list({p.path: p for p in reversed(problems)}.values())[::-1]


def _retold(
    model: type[BaseModel], given: Mapping[str, Any], path: str, detail: ErrorDetails, also: Iterable[str]
) -> Problem:
    kind = detail["type"]
    trail, holder = _walk(model, given, detail["loc"], last_is_new=kind == "missing")
    where = join(path, *trail)
    if kind == "extra_forbidden":
        known = [n for n, _ in shapes.fields(holder)] if holder else []
        known += [] if len(trail) > 1 else list(also)
        return Problem(where, "unknown setting", did_you_mean(str(trail[-1]), known))
    if kind == "missing":
        field = dict(shapes.fields(holder)).get(str(trail[-1])) if holder else None
        return Problem(where, "is missing", (field.description if field else "") or "")
    return Problem(where, _text(detail))


def _text(detail: ErrorDetails) -> str:
    known = _WORDS.get(detail["type"])
    if known:
        return known
    if detail["type"] == "string_pattern_mismatch":
        return f"should look like {detail['ctx']['pattern'].strip('^$')}"
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]


def _walk(
    model: type[BaseModel], given: Mapping[str, Any], loc: tuple[int | str, ...], *, last_is_new: bool
) -> tuple[list[str | int], type[BaseModel] | None]:
    """Where an error stands: pydantic's location without the names of union members it tried.

    Returns the trail and the model that holds its last key.
    """
    trail: list[str | int] = []
    annotation: Any = model
    value: Any = given
    holder: type[BaseModel] | None = model
    for number, key in enumerate(loc):
        new = last_is_new and number == len(loc) - 1
        there = (isinstance(value, Mapping) and key in value) or (
            isinstance(value, list) and isinstance(key, int) and key < len(value)
        )
        if not there and not new:
            continue
        holder = shapes.best_model(annotation, value) if isinstance(value, Mapping) else None
        annotation = shapes.inside(annotation, value, key)
        value = None if new else value[key]
        trail.append(key)
    return trail, holder
