"""Every setting, command, hook, ability and route is documented, and the reference says what the code says."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import hub.sdk
import hub.testing
from hub.cli import app, reference
from hub.config import TABLES, BrandSettings, SectionOptions, describe
from hub.registry import load_plugins
from hub.sdk import ABILITIES, PROJECT, Component, Hooks

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
COMPONENTS = [c for r in load_plugins().records if r.distribution == PROJECT for c in r.components]
PAGES = reference.pages()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_reference_is_what_the_code_says(name: str) -> None:
    file = REFERENCE / name
    assert file.exists(), '"make docs" writes it'
    assert file.read_text("utf-8") == PAGES[name], f'{name} is out of date: "make docs" writes it anew'


def test_nothing_else_lies_in_the_reference() -> None:
    assert {p.name for p in REFERENCE.glob("*.md")} - {"index.md", "README.md"} == set(PAGES)


@pytest.mark.parametrize("model", [*TABLES.values(), BrandSettings, SectionOptions], ids=lambda m: m.__name__)
def test_every_setting_of_the_hub_is_described(model: Any) -> None:
    for doc in describe(model):
        assert doc.description.strip(), f"{model.__name__}.{doc.path}"
        assert f"`{doc.path}`" in PAGES["settings.md"]


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.name)
def test_every_setting_of_a_bundled_plugin_is_described(component: type[Component[Any]]) -> None:
    assert component.summary
    for doc in describe(component.settings_model):
        assert doc.description.strip(), f"{component.name}: {doc.path}"
        assert f"`{doc.path}`" in PAGES["plugins.md"]


def commands(command: Any, path: str = PROJECT) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{path} {name}")


@pytest.mark.parametrize(("path", "command"), list(commands(typer.main.get_command(app))))
def test_every_command_says_what_it_does(path: str, command: Any) -> None:
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", ""), f"{path} {parameter.name} has no help"
    if not command.hidden and not hasattr(command, "commands"):
        assert f"## `{path}`" in PAGES["commands.md"]


def test_every_hook_and_ability_is_documented() -> None:
    for name, hook in vars(Hooks).items():
        if inspect.isfunction(hook):
            assert hook.__doc__
            assert f"### `{name}()`" in PAGES["hooks.md"]
    for name, ability in ABILITIES.items():
        assert ability.__doc__
        assert f"### `{name}`" in PAGES["hooks.md"]


@pytest.mark.parametrize("package", [hub.sdk, hub.testing], ids=lambda p: p.__name__)
def test_what_partners_import_is_documented(package: Any) -> None:
    for name in package.__all__:
        thing = getattr(package, name)
        if inspect.isclass(thing) and thing.__module__.startswith("hub."):
            assert thing.__dict__.get("__doc__"), f"{name} has no docstring"
        elif inspect.isfunction(thing):
            assert thing.__doc__, f"{name} has no docstring"


def test_every_route_says_what_it_is() -> None:
    rows = [line for line in PAGES["http.md"].splitlines() if line.startswith("| ") and "| `/" in line]
    assert rows
    for row in rows:
        assert row.rstrip("| ").count("|") == 3, f"a view has no docstring: {row}"
    for section in PAGES["http.md"].split("\n## ")[1:]:
        title, _, said = section.partition("\n")
        assert said.strip(), f"{title} has no summary"


def test_every_module_says_what_it_is_for() -> None:
    for root in ("hub", "plugins"):
        for file in (ROOT / root).rglob("*.py"):
            if file.read_text("utf-8").strip():
                assert ast.get_docstring(ast.parse(file.read_text("utf-8"))), f"{file.relative_to(ROOT)}"
