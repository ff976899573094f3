"""Entry points to records. One plugin that fails is a line in a table, not the end of the others.

pluggy's own loader stops at the first failing import and skips a second plugin of a taken name
in silence (pluggy 1.6, `PluginManager.load_setuptools_entrypoints`), so entry points are loaded
here, one by one, and pluggy is asked plugin by plugin: in one call a raising implementation
would end it for the rest.
"""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pluggy
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from hub.config import Problem, did_you_mean, options_of
from hub.sdk import CRM, CTI, PROJECT, VERSION, Channel, Component, ConfigError, Hooks, Matcher, Settings

KIND_OF: dict[str, type[Any]] = {"channels": Channel, "crm": CRM, "cti": CTI, "matchers": Matcher}
"""Which class stands behind each table of the configuration."""


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one entry point. `error` is a sentence; empty where everything went well."""

    name: str
    module: str
    distribution: str = ""
    version: str = ""
    components: tuple[type[Component[Any]], ...] = ()
    error: str = ""
    problems: tuple[str, ...] = ()
    """Single components that were refused; the plugin's others work."""


@dataclass(slots=True)
class Registry:
    """The plugins that were found, and the components they offer."""

    records: list[Record] = field(default_factory=list)
    notices: list[Problem] = field(default_factory=list)
    _components: dict[tuple[str, str], type[Component[Any]]] = field(default_factory=dict)

    def component(self, kind: str, use: str) -> type[Component[Any]]:
        """The component called `use` of `kind` (a table's name). Raises ConfigError with a hint."""
        found = self._components.get((kind, use))
        if found:
            return found
        elsewhere = next((k for k, name in self._components if name == use), None)
        if elsewhere:
            raise ConfigError(f'"{use}" belongs under [{elsewhere}.NAME], not under [{kind}.NAME]', path="use")
        broken = next((r for r in self.records if r.name == use and (r.error or r.problems)), None)
        if broken:
            why = broken.error or broken.problems[0]
            raise ConfigError(f'the plugin "{use}" of {broken.distribution} was not loaded: {why}', path="use")
        hint = did_you_mean(use, self.names(kind)) or 'see "tresse plugins"'
        raise ConfigError(f'no plugin offers "{use}" for [{kind}]; {hint}', path="use")

    def offer(self, component: Any) -> str:
        """Take a component in. Returns why it was refused, as a sentence; empty where it was taken."""
        why = refusal(component)
        if why:
            return why
        key = (kind_of(component), component.name)
        if key in self._components:
            return f'another plugin already offers "{component.name}" for [{key[0]}]'
        self._components[key] = component
        return ""

    def names(self, kind: str) -> list[str]:
        """The components of `kind`, sorted."""
        return sorted(name for k, name in self._components if k == kind)

    def components(self) -> list[tuple[str, type[Component[Any]]]]:
        """Every usable component with its kind, in the order of `KIND_OF`, then by name."""
        order = list(KIND_OF)
        return [(k, c) for (k, _), c in sorted(self._components.items(), key=lambda i: (order.index(i[0][0]), i[0][1]))]


def load_plugins(entry_points: Iterable[metadata.EntryPoint] | None = None) -> Registry:
    """Load every installed plugin; never raises for a plugin's sake."""
    if entry_points is None:
        entry_points = metadata.entry_points(group=PROJECT)
    registry = Registry()
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    # Ours first, so that a stranger cannot take a bundled plugin's name.
    for entry in sorted(entry_points, key=lambda e: (_distribution(e)[0] != PROJECT, _distribution(e)[0], e.name)):
        registry.records.append(_load(manager, entry, registry))
    registry.notices += _strangers()
    return registry


def kind_of(component: type[Component[Any]]) -> str:
    """The table a component is configured in; empty for a class that is none of the four kinds."""
    return next((table for table, base in KIND_OF.items() if issubclass(component, base)), "")


def _load(manager: pluggy.PluginManager, entry: metadata.EntryPoint, registry: Registry) -> Record:
    """One entry point, from import to components."""
    distribution, version = _distribution(entry)
    found = Record(entry.name, entry.value, distribution, version)
    taken = next((r for r in registry.records if r.name == entry.name), None)
    if taken:
        return _with(found, error=f'the name "{entry.name}" is taken by {taken.distribution} ({taken.module})')
    try:
        module = entry.load()
        manager.register(module, name=entry.name)
        manager.check_pending()
        offered = manager.subset_hook_caller("hub_components", _others(manager, module))()
        classes = [c for result in offered for c in result]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - sys.exit(), a panic in a Rust extension: it stays the plugin's
        if manager.has_plugin(entry.name):
            manager.unregister(name=entry.name)
        return _with(found, error=_sentence(error))
    if not classes:
        return _with(found, error="it offers no component: hub_components() is missing, unmarked or empty")
    return _accept(found, classes, registry)


def _others(manager: pluggy.PluginManager, module: object) -> list[object]:
    return [p for p in manager.get_plugins() if p is not module]


def _accept(record: Record, classes: list[Any], registry: Registry) -> Record:
    """Take the components that fit; name the others. A plugin without any is an error."""
    fine: list[type[Component[Any]]] = []
    problems: list[str] = []
    for offered in classes:
        why = registry.offer(offered)
        if why:
            problems.append(f"{getattr(offered, '__name__', offered)}: {why}")
        else:
            fine.append(offered)
    if fine:
        return _with(record, components=tuple(fine), problems=tuple(problems))
    return _with(record, error="; ".join(problems))


def refusal(component: Any) -> str:
    """Why `component` cannot be used, as a sentence; empty where it can."""
    if not (isinstance(component, type) and issubclass(component, Component)):
        return "is not a component class: inherit Channel, CRM, CTI or Matcher of hub.sdk"
    if not kind_of(component):
        return "is none of the four kinds: inherit Channel, CRM, CTI or Matcher of hub.sdk"
    if not isinstance(getattr(component, "name", None), str) or not component.name:
        return 'has no name: set name = "..."'
    missing = sorted(getattr(component, "__abstractmethods__", ()))
    abstract = f"does not have {', '.join(missing)}()" if missing else ""
    return _sdk_refusal(component) or _settings_refusal(component) or abstract


def _settings_refusal(component: type[Component[Any]]) -> str:
    model = getattr(component, "settings_model", None)
    if not (isinstance(model, type) and issubclass(model, Settings)):
        return "has no settings: set settings_model to a model that inherits hub.sdk.Settings"
    reserved = sorted({"use", *options_of(kind_of(component))} & set(model.model_fields))
    return f"its settings use names that belong to the hub: {', '.join(reserved)}" if reserved else ""


def _sdk_refusal(component: type[Component[Any]]) -> str:
    try:
        fits = SpecifierSet(component.sdk).contains(VERSION)
    except (InvalidSpecifier, TypeError):
        return f'its sdk = "{component.sdk}" is not a range of versions such as ">=1,<2"'
    if fits:
        return ""
    return f"was written for version {component.sdk} of the contract; this hub speaks {VERSION}"


def _with(record: Record, **changes: Any) -> Record:
    return replace(record, **changes)


def _sentence(error: BaseException) -> str:
    """An import's failure in one line: what, and where in the plugin."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    text = " ".join(str(error).split()) or "no reason given"
    if isinstance(error, SystemExit):
        return f"it tried to end the program while it was loaded{where}"
    return f"{type(error).__name__}: {text}{where}"


def _distribution(entry: metadata.EntryPoint) -> tuple[str, str]:
    return (entry.dist.name, entry.dist.version) if entry.dist else ("", "")


def _strangers() -> list[Problem]:
    """Somebody else's top-level package `plugins` in front of ours hides every bundled plugin."""
    found = importlib.util.find_spec("plugins")
    home = Path(__file__).resolve().parent.parent
    places = [Path(p).resolve() for p in (found.submodule_search_locations or [])] if found else []
    if places and places[0].parent == home:
        return []
    what = f'a package called "plugins" in {places[0]}' if places else 'no package "plugins"'
    return [Problem("plugins", f"{what} stands where the bundled plugins should", "uninstall it or move it away")]
