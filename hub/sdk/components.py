"""The four kinds of components a plugin offers, and what the hub lends them."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import requests

from hub.sdk.cases import Agent, Answer, Notice, Presence, Scored
from hub.sdk.settings import Settings

SettingsT = TypeVar("SettingsT", bound=Settings)


class Log(Protocol):
    """A structured logger with the instance's id bound to it. Never give it customers' text.

    While `read` is at work it takes ten lines a message and a hundred a minute, and plain values of 200 characters.
    """

    def debug(self, event: str, **facts: Any) -> Any: ...
    def info(self, event: str, **facts: Any) -> Any: ...
    def warning(self, event: str, **facts: Any) -> Any: ...
    def error(self, event: str, **facts: Any) -> Any: ...


class State(Protocol):
    """A component's small, encrypted key-value store in the hub's database."""

    def get(self, key: str) -> str | None: ...
    def set(self, key: str, value: str) -> None: ...
    def swap(self, key: str, old: str | None, new: str) -> bool:
        """Write `new` only where `old` still stands; False when somebody else was first."""
        ...


class Stop(Protocol):
    """Tells a long-lived call that the hub wants to end."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...


@dataclass(frozen=True, slots=True)
class Context:
    """Lent by the hub to each instance; a plugin reaches for nothing else of the hub.

    `http` is a session with timeouts and an address guard; its errors are `requests`' own.
    `stop` is set when the hub ends. `now` and `random` may be simulated: use them, not the
    modules. `address` is the hub's public address of this instance, for `Accepts`.
    """

    id: str
    log: Log
    http: requests.Session
    state: State
    stop: Stop
    now: Callable[[], datetime]
    random: random.Random
    address: str = ""
    hub: Mapping[str, str] = None  # type: ignore[assignment]  # name, country, languages (comma separated)


class Component(ABC, Generic[SettingsT]):
    """A class in a plugin; one instance of it per section of the configuration."""

    name: ClassVar[str]
    """What `use = "..."` says in the configuration."""
    sdk: ClassVar[str] = ">=1,<2"
    """Versions of the hub's contract this was written for; refused with a sentence otherwise."""
    settings_model: ClassVar[type[Settings]]
    summary: ClassVar[str] = ""
    """One line for `tresse plugins`."""
    sample: ClassVar[str] = "sample.toml"
    """File beside the component's module with a configuration that parses."""

    def __init__(self, settings: SettingsT, context: Context) -> None:
        self.settings = settings
        self.context = context

    @abstractmethod
    def check(self) -> list[Notice] | None:
        """Prove live that the settings work; change nothing. Notices are warnings.

        Raises ConfigError, AuthError or Unavailable.
        """

    def close(self) -> None:
        """Let go of connections. Safe to call twice."""


class Channel(Component[SettingsT]):
    """A way in and/or out: add the abilities it has."""


class CRM(Component[SettingsT]):
    """CRMs, helpdesks, shops: whoever owns customers, cases or orders."""


class CTI(Component[SettingsT]):
    """A phone system."""

    @abstractmethod
    def set_presence(self, agent: Agent, presence: Presence, until: datetime) -> None:
        """Tell the phones what `agent` does, as a lease that ends; never undo the agent's own pause."""


class Matcher(Component[SettingsT]):
    """Finds answers for a question."""

    @abstractmethod
    def index(self, answers: list[Answer], revision: str) -> None:
        """Replace the whole index atomically. `revision` names the state of the answers."""

    @abstractmethod
    def indexed(self) -> str:
        """The revision the index stands at; empty where there is none."""

    @abstractmethod
    def suggest(self, question: str, language: str, limit: int) -> list[Scored]:
        """Raw scores, highest first. Thread-safe. Empty for a question without words."""
