"""What a reader builds its component from: its class and its settings, all secrets blank."""

from __future__ import annotations

import importlib
import pickle
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NoReturn, cast

from pydantic import BaseModel, SecretBytes, SecretStr

from hub.log import lowest
from hub.reading import Limits
from hub.sdk import Component, Context
from hub.sdk.components import Log


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Of one instance. It is unpickled by its reader, and comes from the hub alone."""

    module: str
    name: str
    settings: Any
    instance: str
    address: str
    hub: dict[str, str]
    limits: Limits
    level: int
    """The lowest that the hub logs: a number of `logging`."""


def drawn(component: Component[Any], limits: Limits) -> bytes:
    """The blueprint of a component that lives here. Raises whatever its settings raise."""
    kind, context = type(component), component.context
    blueprint = Blueprint(
        kind.__module__,
        kind.__qualname__,
        blank(component.settings),
        context.id,
        context.address,
        dict(context.hub or {}),
        limits,
        lowest(),
    )
    return pickle.dumps(blueprint)


def blank(value: Any) -> Any:
    """`value` with an empty text for each secret, however deep; nothing is validated again."""
    if isinstance(value, SecretStr):
        return type(value)("")
    if isinstance(value, SecretBytes):
        return type(value)(b"")
    if hasattr(value, "get_secret_value"):
        raise TypeError("nobody knows what this kind of secret looks like when it is blank")
    if isinstance(value, BaseModel):
        # Made anew and not copied: what a model has computed and kept beside its fields may hold a secret.
        blanked = {name: blank(getattr(value, name)) for name in type(value).model_fields}
        return type(value).model_construct(set(value.model_fields_set), **blanked)
    if isinstance(value, Mapping):
        return {key: blank(one) for key, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: blank(getattr(value, f.name)) for f in fields(value) if f.init})
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(blank, value))
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(blank(one) for one in value)
    return value


def build(blueprint: Blueprint, log: Log) -> Component[Any]:
    """The component, in its reader. Raises whatever its constructor raises."""
    return _made(attrgetter(blueprint.name)(importlib.import_module(blueprint.module)), blueprint, log)


def rebuilt(component: Component[Any]) -> Component[Any]:
    """A component as its reader builds it, but here. Raises whatever its settings or its constructor raise."""
    return _made(type(component), pickle.loads(drawn(component, Limits())), _Silent())  # noqa: S301 - our own, a moment old


def _made(kind: Any, blueprint: Blueprint, log: Log) -> Component[Any]:
    context = Context(
        id=blueprint.instance,
        log=log,
        http=cast("Any", _Refusing("http")),
        state=cast("Any", _Refusing("state")),
        stop=threading.Event(),
        now=lambda: datetime.now(UTC),
        random=random.Random(),  # noqa: S311 - `read` uses none; a constructor may
        address=blueprint.address,
        hub=blueprint.hub,
    )
    return cast("Component[Any]", kind(blueprint.settings, context))


class _Refusing:
    """What `read` may not touch."""

    def __init__(self, name: str) -> None:
        self.__dict__["name"] = name

    def __getattr__(self, attribute: str) -> NoReturn:
        raise PermissionError(f"read() may not use context.{self.name}")


class _Silent:
    """A log that goes nowhere: whether it can be built is all that is asked."""

    def debug(self, event: str, **facts: Any) -> None: ...
    def info(self, event: str, **facts: Any) -> None: ...
    def warning(self, event: str, **facts: Any) -> None: ...
    def error(self, event: str, **facts: Any) -> None: ...
