"""`tresse check --fix`: renamed settings rewritten where they stand, comments and layout kept."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import tomlkit
from pydantic import BaseModel
from tomlkit.container import Container, OutOfOrderTableProxy
from tomlkit.items import AoT, SingleKey, Table

from hub.config import shapes
from hub.config.problems import ConfigErrors, Problem, join

Models = Mapping[tuple[str, ...], type[BaseModel]]


def fix(text: str, models: Models) -> tuple[str, list[str]]:
    """`text` with renamed settings of `models` (by their table's keys) rewritten, and what was changed.

    Raises ConfigErrors where the rewritten file would not say the same: then a person must do it.
    """
    document = tomlkit.parse(text)
    changes: list[str] = []
    for keys, model in models.items():
        found: Any = document
        for key in keys:
            found = found.get(key) if hasattr(found, "get") else None
        if isinstance(found, dict):
            changes += _rename(found, model, join(*keys))
    fixed = document.as_string()
    if changes and tomllib.loads(fixed) != _expected(tomllib.loads(text), models):
        raise ConfigErrors(
            [Problem("", "the renamed settings cannot be rewritten here", "please rename: " + ", ".join(changes))]
        )
    return fixed, changes


def _rename(found: Any, model: type[BaseModel], path: str) -> list[str]:
    """Rename inside the tables below first: once a key is replaced, tomlkit finds its value no more."""
    changes = []
    for name, info in shapes.fields(model):
        key = next((k for k in (name, *shapes.old_names(info)) if k in found), name)
        for inner, inside, where in _below(found.get(key), info.annotation, join(path, key)):
            changes += _rename(inner, inside, where)
    for holder in _tables(found):
        for name, info in shapes.fields(model):
            for old in shapes.old_names(info):
                if old in holder and name not in found:
                    _replace_key(holder, old, name)
                    changes.append(f"{join(path, old)} is {name} now")
    return changes


def _below(value: Any, annotation: Any, path: str) -> Iterator[tuple[Any, type[BaseModel], str]]:
    """The tables a setting holds, with their models: one, several in a list, or several under names."""
    if isinstance(value, dict):
        held = next((h for h in map(shapes.values, shapes.choices(annotation)) if h is not None), None)
        if model := shapes.best_model(annotation, value):
            yield value, model, path
        elif shapes.is_model(held):
            yield from ((v, shapes.bare(held), join(path, k)) for k, v in value.items() if isinstance(v, dict))
    elif isinstance(value, list):
        held = next((h for h in map(shapes.items, shapes.choices(annotation)) if h is not None), None)
        if shapes.is_model(held):
            yield from ((v, shapes.bare(held), join(path, i)) for i, v in enumerate(value) if isinstance(v, dict))


def _tables(found: Any) -> Iterator[Any]:
    """A table written in several pieces is one to readers and several to tomlkit."""
    if isinstance(found, OutOfOrderTableProxy):
        yield from found._tables  # noqa: SLF001 - tomlkit 0.15 has no public way to its pieces
    else:
        yield found


def _replace_key(holder: Any, old: str, new: str) -> None:
    """Only the key changes: the value keeps its own text, its place and its comment.

    Works on the list tomlkit prints from (`Container.body`); the document is only printed afterwards.
    """
    container: Container = holder if isinstance(holder, Container) else holder.value
    for number, (key, item) in enumerate(container.body):
        if key is not None and key.key == old:
            container.body[number] = (SingleKey(new), item)
            _forget_header(item)


def _forget_header(item: Any) -> None:
    """Tables remember how their header was written; without that it is made from the keys."""
    for table in item if isinstance(item, AoT) else [item]:
        if isinstance(table, Table):
            table.display_name = None
            for _, inner in table.value.body:
                _forget_header(inner)


def _expected(tables: dict[str, Any], models: Models) -> dict[str, Any]:
    for keys, model in models.items():
        found: Any = tables
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, dict):
            _moved(found, model)
    return tables


def _moved(found: dict[str, Any], model: type[BaseModel]) -> None:
    for name, info in shapes.fields(model):
        for old in shapes.old_names(info):
            if old in found and name not in found:
                found[name] = found.pop(old)
        for inner, inside, _ in _below(found.get(name), info.annotation, ""):
            _moved(inner, inside)
