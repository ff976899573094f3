"""A hub small enough for the pages' tests: a real store, a real configuration, no engine, no plugins of ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from hub.clock import SystemClock
from hub.config import Config, load
from hub.registry import Record, Registry
from hub.sdk import Accepted, Channel, Matcher, Reply, Request, Secret, Settings
from hub.store import Store
from tests.unit.braid import NOON, open_store

CONFIG = """
[hub]
name = "La Boutique"
address = "http://127.0.0.1:8080"
languages = ["fr", "en"]
order_patterns = ["CMD-\\\\d{4}-\\\\d{4}"]

[channels.support]
use = "mail"

[channels.contact]
use = "form"

[crm.rt]
use = "request_tracker"

[cti.phones]
use = "push"

[matchers.answers]
use = "whoosh"
"""


class PostSettings(Settings):
    """What the invented channel wants to know."""

    host: str = Field(description="Where it listens.")
    password: Secret = Field(Secret("canary-secret"), description="What it logs in with.")
    pages: int = Field(10, description="Messages on a page.")


class Post(Channel[PostSettings]):
    """A channel that takes what is posted to it."""

    name = "form"
    summary = "Takes what is posted."
    settings_model: ClassVar[type[Settings]] = PostSettings

    def check(self) -> None:
        return None

    def accept(self, request: Request) -> Accepted:
        return Accepted((), Reply())


class Finder(Matcher[PostSettings]):
    """A matcher that finds nothing."""

    name = "whoosh"
    summary = "Finds answers by their words."
    settings_model: ClassVar[type[Settings]] = PostSettings

    def check(self) -> None:
        return None

    def index(self, answers: list[Any], revision: str) -> None: ...

    def indexed(self) -> str:
        return ""

    def suggest(self, question: str, language: str, limit: int) -> list[Any]:
        return []


class StillClock(SystemClock):
    """Noon, always, unless told."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


@dataclass
class Listening:
    """An instance that accepts."""

    id: str
    abilities: frozenset[str] = frozenset({"Accepts", "Reads"})
    component: Any = field(default_factory=lambda: Post.__new__(Post))
    health: Any = field(default_factory=type("H", (), {"seen_at": NOON}))

    def has(self, ability: str) -> bool:
        return ability in self.abilities


@dataclass
class SmallHub:
    """What the pages ask of a hub."""

    config: Config
    store: Store
    clock: StillClock
    registry: Registry
    instances: dict[str, Any]
    key: bytes = b"k" * 44
    answering: Callable[[str, Request], Reply] = lambda _i, _r: Reply()

    def accept(self, instance: str, request: Request) -> Reply:
        return self.answering(instance, request)


def small_hub(folder: Path, registry: Registry | None = None, config: str = CONFIG) -> SmallHub:
    """A hub over an empty database in `folder`."""
    path = folder / "hub.toml"
    path.write_text(config)
    if registry is None:
        records = [
            Record("post", "tests.post", "tresse-post", "1.0", (Post, Finder)),
            Record("bad", "tests.bad", "tresse-bad", "0.1", error="ImportError: no module named frobnicate (x.py:3)"),
        ]
        registry = Registry(records, [], {("channels", "form"): Post, ("matchers", "whoosh"): Finder})
    loaded = load(path, {})
    return SmallHub(loaded, open_store(folder), StillClock(), registry, {"contact": Listening("contact")})
