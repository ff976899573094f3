"""The rules of the house that no linter knows: sizes, words, layers, and the shape of a plugin."""

from __future__ import annotations

import ast
import importlib
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hub.testing
from hub.config import settings_of
from hub.registry import KIND_OF, load_plugins
from hub.sdk import PROJECT, Component, abilities_of
from hub.testing import Contract, sample_values
from hub.testing.component import section_for
from tests.unit import conftest as databases

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FILE, LONGEST_FUNCTION, MEDIAN_FUNCTION = 320, 70, 10
LONGER = {
    "tests/plugins/test_form.py": "what one form promises, each behaviour a test; read as a list",
    "tests/plugins/test_push.py": "what one phone interface promises, each behaviour a test; read as a list",
    "tests/plugins/test_csv.py": "what files people save look like, each oddity a test; read as a list",
    "tests/unit/test_pipeline_more.py": "what went wrong once, each a test; grows by one with each finding",
    "tests/unit/test_distributed.py": "what several workers must bear, each a test; grows by one with each finding",
    "tests/unit/test_config.py": "every mistake a configuration can hold; read as a list",
    "tests/unit/test_mail_read.py": "every oddity of a mail; read as a list",
    "tests/unit/test_cli.py": "every command, each a test; read as a list",
    "tests/unit/test_testing_contracts.py": "the contracts held against components broken on purpose",
    "tests/browser/seed.py": "one invented shop: data, not logic",
    "tests/world.py": "the far sides of the pipeline's tests, which only make sense together",
}
"""Longer files, and why they stand. No file of `hub` or `plugins` is among them."""
GENERATED = {"hub/store/migrations/versions"}  # Alembic writes the tables of the day in one function
SOURCES = [
    file
    for root in ("hub", "plugins")
    for file in sorted((ROOT / root).rglob("*.py"))
    if str(file.relative_to(ROOT).parent) not in GENERATED
]
COMPONENTS = [c for r in load_plugins().records if r.distribution == PROJECT for c in r.components]
FOLDERS = sorted(p for kind in KIND_OF for p in (ROOT / "plugins" / kind).iterdir() if (p / "__init__.py").exists())


def functions(file: Path) -> Iterator[tuple[str, int]]:
    """Every function with its length in lines, docstring included."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{file.relative_to(ROOT)}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1


def test_files_stay_small() -> None:
    others = [f for root in ("tests", "bench", "examples", "docs") for f in sorted((ROOT / root).rglob("*.py"))]
    lengths = {str(f.relative_to(ROOT)): len(f.read_text("utf-8").splitlines()) for f in [*SOURCES, *others]}
    long = {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE}
    assert set(long) == set(LONGER), "a reason for each longer file, and for no other"


def test_functions_stay_short() -> None:
    lengths = dict(pair for file in SOURCES for pair in functions(file))
    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}
    assert statistics.median(lengths.values()) <= MEDIAN_FUNCTION


def test_imports_point_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def test_names_are_our_words() -> None:
    """docs/glossary.md: these words say nothing, or something else than people think."""
    banned = re.compile(r"(Manager|Handler|Helper|Utils?|Service|Processor|Ticket)$")
    files = re.compile(r"(utils?|helpers?|managers?|handlers?|misc|common)\.py$")
    for file in SOURCES:
        assert not files.search(file.name), file
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                assert not banned.search(node.name), f"{file.relative_to(ROOT)}: {node.name}"


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")
    for file in [*SOURCES, *(ROOT / "examples").rglob("*.py")]:
        found = later.search(file.read_text("utf-8"))
        assert not found, f"{file.relative_to(ROOT)}: {found and found[0]}"


def test_only_the_command_line_prints() -> None:
    for file in SOURCES:
        if file.is_relative_to(ROOT / "hub" / "cli") or file.is_relative_to(ROOT / "hub" / "demo"):
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id
            assert called != "print", f"{file.relative_to(ROOT)}:{node.lineno}"  # type: ignore[attr-defined]


def test_every_ignored_rule_has_a_reason() -> None:
    """`noqa` says which rule, and a reader finds why on the same line or in the comment above."""
    for file in SOURCES:
        lines = file.read_text("utf-8").splitlines()
        for number, line in enumerate(lines):
            if "# noqa" in line:
                assert re.search(r"# noqa: [A-Z]+\d+", line), f"{file.relative_to(ROOT)}:{number + 1} names no rule"


def test_every_rule_switched_off_has_a_reason_beside_it() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    switched_off = text.partition("\nignore = [\n")[2].partition("\n]")[0].splitlines()
    assert switched_off
    assert [line for line in switched_off if not re.search(r'",\s+# \S', line)] == []


# -- plugins ----------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_a_plugins_folder_is_complete(folder: Path) -> None:
    for name in ("__init__.py", "README.md", "sample.toml"):
        assert (folder / name).exists(), f"{folder.relative_to(ROOT)} has no {name}"
    readme = (folder / "README.md").read_text("utf-8")
    own = [c for c in COMPONENTS if Path(sys.modules[c.__module__].__file__ or "").parent == folder]
    assert own, "no component comes from here"
    for component in own:
        assert re.search(rf"\b{component.name}\b", readme), f"the README does not name {component.name}"


def test_every_bundled_plugin_is_loaded() -> None:
    records = [r for r in load_plugins().records if r.distribution == PROJECT]
    assert [(r.name, r.error, r.problems) for r in records if r.error or r.problems] == []
    assert {f.name for f in FOLDERS} == {r.module.rpartition(".")[2] for r in records}


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.name)
def test_a_sample_parses_with_its_model(component: type[Component[Any]], tmp_path: Path) -> None:
    settings_of(section_for(component, sample_values(component), tmp_path), component.settings_model)


def contract_classes() -> Iterator[type[Contract]]:
    for file in sorted((ROOT / "tests" / "plugins").rglob("test_*.py")):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for thing in vars(importlib.import_module(name)).values():
            if isinstance(thing, type) and issubclass(thing, Contract) and hasattr(thing, "component"):
                yield thing


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: c.name)
def test_every_component_inherits_the_contract_tests(component: type[Component[Any]]) -> None:
    """Our own plugins promise what partners' plugins promise, for each ability that has a contract."""
    inherited = {base for told in contract_classes() if issubclass(told.component, component) for base in told.__mro__}
    named = {base.__name__ for base in inherited}
    assert "ComponentContract" in named, f"no test class inherits hub.testing for {component.name}"
    promised = {a for a in abilities_of(component) if hasattr(hub.testing, f"{a}Contract")}
    assert {a for a in promised if f"{a}Contract" not in named} == set()


# -- both databases ---------------------------------------------------------------------------

OPENS = {"Store", "World", "database_url", "open_hub", "open_store", "small_hub"}
"""What opens a store, by name."""
OPENED = {"app", "client", "hub", "inside", "store", "world"}
"""Fixtures of `tests/unit` that have opened one."""


def opens_a_store(file: Path) -> bool:
    """Whether a test module opens a store itself, asks a fixture for one, or lends what opens one in another module."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and OPENS & {alias.name for alias in node.names}:
            return True
        lender = (isinstance(node, ast.ImportFrom) and node.module) or ""
        if lender.startswith("tests.unit.test_") and opens_a_store(ROOT / f"{lender.replace('.', '/')}.py"):
            return True
        test = isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if test and OPENED & {argument.arg for argument in node.args.args}:  # type: ignore[attr-defined]
            return True
    return False


def test_every_test_of_the_store_runs_on_both_databases() -> None:
    """Or says why not (tests/unit/conftest.py)."""
    files = {databases.module_of(file): file for file in sorted((ROOT / "tests" / "unit").rglob("test_*.py"))}
    listed = databases.BOTH | databases.LANES
    assert listed | set(databases.LEFT_OUT) <= set(files), "named, and not there"
    assert not listed & set(databases.LEFT_OUT)
    assert {name for name, file in files.items() if opens_a_store(file)} - listed == set(databases.LEFT_OUT)
