"""From a TOML file to a `Config`: reads, resolves, checks, and says everything that is wrong at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from hub.config.alerts import AlertsSettings
from hub.config.model import (
    KINDS,
    AcknowledgeSettings,
    AnswersSettings,
    BrandSettings,
    Config,
    DatabaseSettings,
    EngineSettings,
    HubSettings,
    LogSettings,
    Section,
    SectionOptions,
    WebSettings,
    options_of,
)
from hub.config.prepare import Preparation
from hub.config.problems import ConfigErrors, Problem, did_you_mean, join
from hub.config.validate import validated
from hub.sdk import Settings

TABLES: dict[str, type[Settings]] = {
    "hub": HubSettings,
    "database": DatabaseSettings,
    "engine": EngineSettings,
    "web": WebSettings,
    "log": LogSettings,
    "acknowledge": AcknowledgeSettings,
    "answers": AnswersSettings,
    "alerts": AlertsSettings,
}
"""The hub's own tables and their models."""

_ID = re.compile(r"[a-z][a-z0-9_-]{0,39}")

ModelT = TypeVar("ModelT", bound=BaseModel)
SettingsT = TypeVar("SettingsT", bound=Settings)


def read(path: Path) -> dict[str, Any]:
    """The TOML of `path`. Raises ConfigErrors where it is missing, unreadable or not TOML."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigErrors([Problem("", f"there is no file {path}", "name yours with --config PATH")]) from None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigErrors([Problem("", f"cannot read {path}: {why}")]) from None
    return parse(text, str(path))


def parse(text: str, name: str) -> dict[str, Any]:
    """TOML text as a dict. Raises ConfigErrors with the line (tomllib's message names it)."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigErrors([Problem("", f"{name} is not TOML: {error}")]) from None


def load(path: str | Path, environ: Mapping[str, str] | None = None, notices: list[Problem] | None = None) -> Config:
    """Read the configuration at `path`. Raises ConfigErrors with all problems; appends to `notices`."""
    file = Path(path).expanduser().absolute()
    return _Loading(file, os.environ if environ is None else environ, notices).config(read(file))


def settings_of(section: Section, model: type[SettingsT], notices: list[Problem] | None = None) -> SettingsT:
    """A section's values as its component's settings. Raises ConfigErrors; appends to `notices`."""
    preparation = Preparation(section.base, section.environ)
    also = (*options_of(section.kind), "use")
    settings = validated(model, section.values, section.path, preparation, also)
    if notices is not None:
        notices += preparation.notices
    return settings


def sections(tables: dict[str, Any], path: Path, environ: Mapping[str, str] | None = None) -> list[Section]:
    """The sections that can be read, of a file that may have mistakes elsewhere."""
    loading = _Loading(path.expanduser().absolute(), os.environ if environ is None else environ, None)
    return loading.sections(tables)


class _Loading:
    """One reading of one file; problems gather here until the end."""

    def __init__(self, file: Path, environ: Mapping[str, str], notices: list[Problem] | None) -> None:
        self.file, self.environ, self.notices = file, environ, notices
        self.preparation = Preparation(file.parent, environ)
        self.problems: list[Problem] = []

    def config(self, tables: dict[str, Any]) -> Config:
        known = (*TABLES, "brands", *KINDS)
        for name in tables:
            if name not in known:
                self.problems.append(Problem(name, "unknown table", did_you_mean(name, known)))
        own = {name: self._model(model, tables.get(name, {}), name) for name, model in TABLES.items()}
        brands = {
            name: self._model(BrandSettings, table, join("brands", name))
            for name, table in self._entries(tables, "brands")
        }
        found = self.sections(tables)
        if self.problems:
            raise ConfigErrors(self.problems)
        if self.notices is not None:
            self.notices += self.preparation.notices
        hub = own["hub"]
        assert isinstance(hub, HubSettings)
        # The default is not written by a person, so `Preparation` never saw it.
        own["hub"] = hub.model_copy(update={"data": (self.file.parent / hub.data).resolve()})
        return Config(path=self.file, brands=brands, sections=tuple(found), **own)  # type: ignore[arg-type]

    def sections(self, tables: dict[str, Any]) -> list[Section]:
        found = [
            s
            for kind in KINDS
            for name, table in self._entries(tables, kind)
            if (s := self._section(kind, name, table))
        ]
        self._same_ids(found)
        return found

    def _model(self, model: type[ModelT], table: Any, path: str) -> ModelT | None:
        if not isinstance(table, dict):
            self.problems.append(Problem(path, f"should be a table: [{path}]"))
            return None
        try:
            return validated(model, table, path, self.preparation)
        except ConfigErrors as errors:
            self.problems += errors.problems
            return None

    def _entries(self, tables: dict[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
        """The named tables below `kind`; what is not a table is a problem."""
        entries = tables.get(kind, {})
        if not isinstance(entries, dict):
            self.problems.append(Problem(kind, f"should be tables with a name: [{kind}.NAME]"))
            return []
        for name, table in entries.items():
            if not isinstance(table, dict):
                self.problems.append(Problem(join(kind, name), "should stand in a named table", f"[{kind}.NAME]"))
            elif not _ID.fullmatch(name):
                text = "is not a usable name: small letters, digits, - and _, a letter first, 40 at most"
                self.problems.append(Problem(join(kind, name), text))
        return [(n, t) for n, t in entries.items() if isinstance(t, dict) and _ID.fullmatch(n)]

    def _section(self, kind: str, name: str, table: dict[str, Any]) -> Section | None:
        path, names = join(kind, name), options_of(kind)
        use = table.get("use")
        if not isinstance(use, str) or not use:
            text = "is missing: the component to use" if use is None else "should be a component's name in quotes"
            self.problems.append(Problem(join(path, "use"), text, '"tresse plugins" lists them'))
        options = self._model(SectionOptions, {k: v for k, v in table.items() if k in names}, path)
        if options is None or not isinstance(use, str):
            return None
        values = {k: v for k, v in table.items() if k not in names and k != "use"}
        return Section(kind, name, use, options, values, self.file.parent, self.environ)

    def _same_ids(self, sections: list[Section]) -> None:
        """One id names one instance, in logs, tables and addresses: kinds share the names."""
        seen: dict[str, Section] = {}
        for section in sections:
            if section.id in seen:
                taken = f'the name "{section.id}" is taken by [{seen[section.id].path}]'
                self.problems.append(Problem(section.path, taken, "give one of them another name"))
            seen.setdefault(section.id, section)
