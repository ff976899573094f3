"""The plugin loader: one sick plugin is a line in a table, never the end of the others."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from hub.config import Problem
from hub.registry import KIND_OF, Registry, kind_of, load_plugins, refusal
from hub.sdk import CRM, Channel, Component, ConfigError, Settings

GOOD = """
from hub.sdk import Channel, Settings, hookimpl

class {cls}Settings(Settings):
    pass

class {cls}(Channel[{cls}Settings]):
    name = "{name}"
    settings_model = {cls}Settings
    def check(self):
        return None

@hookimpl
def hub_components():
    return [{cls}]
"""


class Distribution(metadata.Distribution):
    """An installed distribution without files."""

    def __init__(self, name: str, version: str) -> None:
        self._text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Any:
        return Path(path)


class Shelf:
    """Writes plugin modules and gives their entry points."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: list[metadata.EntryPoint] = []

    def add(self, name: str, source: str, distribution: str = "acme", version: str = "1.2") -> None:
        module = f"shelf_{self.folder.name.replace('-', '_')}_{len(self.entries)}"
        (self.folder / f"{module}.py").write_text(source, "utf-8")
        entry = metadata.EntryPoint(name, module, "tresse")
        self.entries.append(entry._for(Distribution(distribution, version)))  # type: ignore[attr-defined]

    def load(self) -> Registry:
        return load_plugins(self.entries)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.syspath_prepend(tmp_path)
    return Shelf(tmp_path)


def test_a_good_plugin_has_a_record_and_a_component(shelf: Shelf) -> None:
    shelf.add("drum", GOOD.format(cls="Drum", name="drum"), "drums", "3.1")
    registry = shelf.load()
    (record,) = registry.records
    assert (record.name, record.distribution, record.version, record.error) == ("drum", "drums", "3.1", "")
    assert registry.component("channels", "drum") is record.components[0]
    assert registry.names("channels") == ["drum"]
    assert [(k, c.name) for k, c in registry.components()] == [("channels", "drum")]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import no_such_module_here", "ModuleNotFoundError: No module named 'no_such_module_here'"),
        ("raise SystemExit(3)", "tried to end the program"),
        ("raise BaseException('a panic')", "BaseException: a panic (shelf_"),
        ("raise ValueError('one\\n  two')", "ValueError: one two (shelf_"),
        ("def broken(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError: division by zero (shelf_"),
        ("from hub.sdk import hookimpl\n@hookimpl\ndef hub_components():\n    raise KeyError('x')", "KeyError: 'x'"),
        ("from hub.sdk import hookimpl\n@hookimpl\ndef hub_components():\n    return 7", "TypeError"),
        ("def hub_components():\n    return []", "it offers no component"),
        ("from hub.sdk import hookimpl\n@hookimpl\ndef hub_other():\n    return []", "unknown hook 'hub_other'"),
        ("from hub.sdk import hookimpl\n@hookimpl\ndef hub_components():\n    return [int]", "int: is not a component"),
        (
            GOOD.format(cls="New", name="new").replace("    name =", "    sdk = '>=2'\n    name ="),
            "written for version >=2",
        ),
        (
            GOOD.format(cls="Odd", name="odd").replace("    name =", "    sdk = 'new'\n    name ="),
            "not a range of versions",
        ),
    ],
)
def test_a_sick_plugin_is_a_sentence_and_the_next_one_loads(shelf: Shelf, source: str, says: str) -> None:
    shelf.add("sick", source, "a-sick")
    shelf.add("drum", GOOD.format(cls="Drum", name="drum"), "b-drums")
    registry = shelf.load()
    sick, good = registry.records
    assert says in sick.error
    assert sick.components == ()
    assert good.error == ""
    assert registry.component("channels", "drum").name == "drum"


def test_a_taken_name_is_told(shelf: Shelf) -> None:
    shelf.add("drum", GOOD.format(cls="Drum", name="drum"), "b-second")
    shelf.add("drum", GOOD.format(cls="Other", name="other"), "a-first")
    first, second = shelf.load().records
    assert first.distribution == "a-first"
    assert 'the name "drum" is taken by a-first' in second.error


def test_a_bundled_plugin_keeps_its_name(shelf: Shelf) -> None:
    shelf.add("drum", GOOD.format(cls="Theirs", name="drum"), "a-stranger")
    shelf.add("drum", GOOD.format(cls="Ours", name="drum"), "tresse")
    registry = shelf.load()
    assert registry.component("channels", "drum").__name__ == "Ours"
    assert registry.records[1].error


def test_a_taken_component_is_refused_and_the_plugins_others_work(shelf: Shelf) -> None:
    shelf.add("one", GOOD.format(cls="Drum", name="drum"), "a")
    two = GOOD.format(cls="Drum", name="drum") + GOOD.format(cls="Horn", name="horn").replace("[Horn]", "[Drum, Horn]")
    shelf.add("two", two, "b")
    registry = shelf.load()
    assert registry.records[1].error == ""
    assert registry.records[1].problems == ('Drum: another plugin already offers "drum" for [channels]',)
    assert registry.names("channels") == ["drum", "horn"]


def test_unknown_components_are_answered_with_a_hint(shelf: Shelf) -> None:
    shelf.add("drum", GOOD.format(cls="Drum", name="drum"))
    shelf.add("horn", "raise RuntimeError('cracked')", "horns")
    registry = shelf.load()
    with pytest.raises(ConfigError, match='did you mean "drum"'):
        registry.component("channels", "durm")
    with pytest.raises(ConfigError, match=r"belongs under \[channels.NAME\], not under \[crm.NAME\]"):
        registry.component("crm", "drum")
    with pytest.raises(ConfigError, match="of horns was not loaded: RuntimeError: cracked"):
        registry.component("channels", "horn")
    with pytest.raises(ConfigError, match="tresse plugins"):
        registry.component("cti", "zither")


class Empty(Settings):
    pass


class Greedy(Settings):
    timeout: float = 1.0


class Abstract(Channel[Empty]):
    name = "abstract"
    settings_model = Empty


class Nameless(Abstract):
    name = ""

    def check(self) -> None:
        return None


class Formless(Nameless):
    name = "formless"
    settings_model = int  # type: ignore[assignment]


class Grabbing(Nameless):
    name = "grabbing"
    settings_model = Greedy


class Kindless(Component[Empty]):
    name = "kindless"
    settings_model = Empty

    def check(self) -> None:
        return None


class Fine(Nameless, CRM[Empty]):
    name = "fine"


@pytest.mark.parametrize(
    ("offered", "says"),
    [
        (Abstract, r"does not have check\(\)"),
        (Nameless, "has no name"),
        (Formless, "has no settings"),
        (Grabbing, "names that belong to the hub: timeout"),
        (Kindless, "none of the four kinds"),
        (Fine(Empty(), None), "is not a component class"),  # type: ignore[arg-type]
    ],
)
def test_refusals_are_sentences(offered: object, says: str) -> None:
    import re

    assert re.search(says, refusal(offered))


def test_every_kind_has_its_table() -> None:
    assert {kind_of(base) for base in KIND_OF.values()} == set(KIND_OF)
    assert refusal(Fine) == ""


def test_a_strangers_package_called_plugins_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "__init__.py").write_text("")
    for name in [n for n in sys.modules if n == "plugins" or n.startswith("plugins.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    (notice,) = load_plugins([]).notices
    assert isinstance(notice, Problem)
    assert f'a package called "plugins" in {tmp_path / "plugins"}' in str(notice)


def test_our_own_package_is_no_stranger() -> None:
    assert load_plugins([]).notices == []
