"""A plugin that ends the program (`sys.exit`), or panics in an extension, ends nothing but its own call."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hub.check.live import ask_all
from hub.check.report import Result
from hub.config import Section, SectionOptions
from hub.engine.sources import Source
from hub.instances import Bug, Lend
from hub.making import build
from hub.pipeline.read import Culprit, read_page
from hub.registry import Registry
from hub.sdk import Channel, Settings
from hub.threads import Threads
from tests.world import World


class Panic(BaseException):
    """What an extension in Rust raises, for instance."""


@pytest.fixture(params=[SystemExit, Panic])
def ending(request) -> type[BaseException]:
    return request.param


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.hub.stop()


def ends(ending: type[BaseException]) -> Callable[..., Any]:
    def call(*_args: Any) -> Any:
        raise ending

    return call


class Nothing(Settings):
    """No settings."""


class Plain(Channel[Nothing]):
    name = "plain"
    settings_model = Nothing

    def check(self) -> None:
        sys.exit(3)


class Leaver(Plain):
    name = "leaver"

    def __init__(self, settings: Nothing, context: Any) -> None:
        super().__init__(settings, context)
        sys.exit(4)


@pytest.fixture
def two(world) -> tuple[Any, Registry, Lend]:
    """A configuration with a component that leaves and one that does not, and real threads."""
    registry = Registry()
    for component in (Leaver, Plain):
        assert registry.offer(component) == ""
    sections = tuple(
        Section("channels", name, name, SectionOptions(), {}, world.folder, {}) for name in ("leaver", "plain")
    )
    hub = world.hub
    lend = Lend(hub.store, world.clock, random.Random(1), hub.key, threading.Event(), Threads)
    return replace(hub.config, sections=sections), registry, lend


def test_in_its_constructor(two):
    made, broken = build(*two)
    assert (list(made), broken) == (["plain"], {"leaver": "SystemExit while it was made"})


def test_in_a_call(two, ending):
    plain = build(*two)[0]["plain"]
    with pytest.raises(Bug, match=f"{ending.__name__} in plain"):
        plain.call(ends(ending))
    assert plain.call(lambda: "next") == "next"


def test_in_a_live_check(two):
    config, registry, _ = two
    told: list[Result] = []
    ask_all(config, [(section, Nothing()) for section in config.sections], registry, told.append)
    assert [(r.path, r.problems[0].text) for r in told] == [
        ("channels.leaver", "the plugin has a bug: SystemExit in check()"),
        ("channels.plain", "the plugin has a bug: SystemExit in check()"),
    ]


def test_in_a_poll(world, ending, monkeypatch):
    support = world.hub.instances["support"]
    monkeypatch.setattr(support.component, "poll", ends(ending))
    Source(world.hub.parts, support, "poll", lambda: None, threading.Event()).tick()
    assert support.health.state == "red"
    assert ending.__name__ in support.health.reason


def test_while_it_reads(world, ending, monkeypatch):
    monkeypatch.setattr(world.hub.instances["support"].component, "read", ends(ending))
    row = SimpleNamespace(id=1, instance="support", source_key="s", data=b"", facts={}, flood=0)
    assert read_page(world.hub.parts, row.instance, [row]) == [Culprit(1, f"{ending.__name__} while it was read")]
