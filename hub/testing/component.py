"""What every component promises, whatever its kind. Inherit, name your component, and run pytest.

    class TestEcho(ComponentContract):
        component = EchoChannel

        def settings(self) -> dict[str, Any]:
            return {"folder": str(self.folder)}

The methods a test class fills in are described where they stand; none of this needs pytest to be
imported, so that `hub.testing` may be installed where pytest is not.
"""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from hub.config import ConfigErrors, Section, SectionOptions, describe, settings_of
from hub.registry import kind_of, refusal
from hub.sdk import AuthError, Component, Context, Settings, Unavailable
from hub.testing.fakes import KeptLog, MemoryState, fake_context

CANARY = "canary-of-the-contract-4d1c"
"""Planted as every secret; must come up nowhere."""


def skip(reason: str) -> NoReturn:
    """Tell pytest that this promise does not concern the component."""
    import pytest

    pytest.skip(reason)


@contextmanager
def raises(*kinds: type[BaseException]) -> Iterator[list[BaseException]]:
    """The block must raise one of `kinds`; the list holds what it raised."""
    caught: list[BaseException] = []
    try:
        yield caught
    except kinds as error:
        caught.append(error)
        return
    raise AssertionError(f"nothing was raised; expected {' or '.join(k.__name__ for k in kinds)}")


def closed_port() -> int:
    """A port of 127.0.0.1 where nobody listens: an outage."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Contract:
    """The ground of all contract classes: makes components and cleans up after them."""

    component: ClassVar[type[Component[Any]]]
    """The class under test."""

    folder: Path
    """A fresh directory for each test; also the hub's data directory."""
    state: MemoryState
    """The state lent to the components of one test: it outlives each of them, as the database does."""
    log: KeptLog

    def setup_method(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tresse-contract-"))
        self.state, self.log = MemoryState(), KeptLog()
        self._made: list[Component[Any]] = []
        self.begin()

    def teardown_method(self) -> None:
        for component in self._made:
            component.close()
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def begin(self) -> None:
        """Start what the component talks to. Runs before each test, once `folder` is there."""

    def end(self) -> None:
        """Stop it again."""

    def settings(self) -> dict[str, Any]:
        """The component's settings as in TOML. The sample file's, where a test class says nothing else."""
        return sample_values(self.component) if sample_file(self.component).exists() else {}

    def context(self, **changes: Any) -> Context:
        """What is lent to the component."""
        return fake_context(self.folder, **{"state": self.state, "log": self.log, **changes})

    def read_settings(self, values: Mapping[str, Any]) -> Settings:
        """`values` as the component's settings. Raises ConfigErrors."""
        return settings_of(section_for(self.component, values, self.folder), self.component.settings_model)

    def make(self, values: Mapping[str, Any] | None = None, **context: Any) -> Any:
        """A component with `values` (or `settings()`), closed when the test ends."""
        settings = self.read_settings(self.settings() if values is None else values)
        component = self.component(settings, self.context(**context))
        self._made.append(component)
        return component


class ComponentContract(Contract):
    """Settings described, mistakes refused, secrets kept, errors in the four words."""

    def outage(self) -> dict[str, Any] | None:
        """Settings under which the far side does not answer (see `closed_port`). None: there is no far side."""
        return None

    def refused(self) -> dict[str, Any] | None:
        """Settings under which the far side refuses the credentials. None: it asks for none."""
        return None

    def test_the_hub_accepts_the_class(self) -> None:
        assert refusal(self.component) == ""
        assert self.component.summary, "summary is the line people see in `tresse plugins`"

    def test_every_setting_is_described(self) -> None:
        for doc in describe(self.component.settings_model):
            assert doc.description, f"{doc.path} has no description"

    def test_an_unknown_setting_is_refused(self) -> None:
        with raises(ConfigErrors) as caught:
            self.read_settings({**self.settings(), "no_such_setting": 1})
        assert any("no_such_setting" in p.path for p in caught[0].problems)  # type: ignore[attr-defined]

    def test_the_sample_parses(self) -> None:
        assert self.read_settings(sample_values(self.component))

    def test_abilities_say_what_the_hub_needs_to_know(self) -> None:
        made = self.make()
        if callable(getattr(made, "find", None)) and hasattr(made, "settle"):
            assert float(made.settle) >= 0
        if callable(getattr(made, "send", None)):
            assert isinstance(made.blind, bool), "say blind = False when you have find() or the far side honours keys"
        if callable(getattr(made, "poll", None)) or callable(getattr(made, "changes", None)):
            assert made.interval > 0

    def test_secrets_are_never_shown(self) -> None:
        values = _with_secrets(self.component, self.outage() or self.settings())
        made = self.make(values)
        said = [repr(made), repr(made.settings), str(made.settings)]
        try:
            made.check()
        except Exception as error:  # noqa: BLE001 - which error it should be, other tests say
            said.append(repr(error))
        said.append(self.log.text())
        assert CANARY not in "\n".join(said)

    def test_closing_twice_is_safe(self) -> None:
        made = self.make()
        made.close()
        made.close()

    def test_an_outage_is_unavailable(self) -> None:
        values = self.outage()
        if values is None:
            skip("no far side that could be away")
        with raises(Unavailable):
            self.make(values).check()

    def test_refused_credentials_are_an_auth_error(self) -> None:
        values = self.refused()
        if values is None:
            skip("no credentials that could be refused")
        with raises(AuthError):
            self.make(values).check()


def section_for(component: type[Component[Any]], values: Mapping[str, Any], base: Path) -> Section:
    """A section of a configuration that uses `component`."""
    return Section(kind_of(component), "under-test", component.name, SectionOptions(), values, base)


def sample_values(component: type[Component[Any]]) -> dict[str, Any]:
    """The settings in the component's sample file; secrets that lie elsewhere are replaced by a text."""
    kind, file = kind_of(component), sample_file(component)
    sections = tomllib.loads(file.read_text("utf-8")).get(kind, {})
    own = next((s for s in sections.values() if s.get("use") == component.name), None)
    assert own is not None, f'{file} has no section [{kind}.NAME] with use = "{component.name}"'
    hubs = {"use", *SectionOptions.model_fields}
    return {k: _without_sources(v) for k, v in own.items() if k not in hubs}


def sample_file(component: type[Component[Any]]) -> Path:
    """Where the component's sample configuration lies: beside its module."""
    return Path(str(sys.modules[component.__module__].__file__)).parent / component.sample


def _without_sources(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) in ({"file"}, {"env"}):
            return "a secret from elsewhere"
        return {k: _without_sources(v) for k, v in value.items()}
    return [_without_sources(v) for v in value] if isinstance(value, list) else value


def _with_secrets(component: type[Component[Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with the canary planted as every secret that has one place."""
    planted: dict[str, Any] = _copy(values)
    for doc in describe(component.settings_model):
        if "secret" not in doc.type or "[]" in doc.path or "NAME" in doc.path:
            continue
        *inside, name = doc.path.split(".")
        table: Any = planted
        for key in inside:
            table = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict) and (doc.required or name in table or not inside):
            table[name] = CANARY
    with suppress(ConfigErrors):
        settings_of(section_for(component, planted, Path()), component.settings_model)
        return planted
    return dict(values)  # some secrets exclude each other; then those of the settings must do


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value
