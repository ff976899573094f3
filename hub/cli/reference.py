"""The reference pages, made from what the code says about itself; a test fails where they differ."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import typer

from hub.config import KINDS, TABLES, BrandSettings, SectionOptions, options_of, table
from hub.registry import Registry, kind_of, load_plugins
from hub.sdk import ABILITIES, CRM, CTI, PROJECT, VERSION, Channel, Component, Hooks, Matcher, abilities_of
from hub.sdk import errors as words

_MADE = "<!-- Written by `make docs` from the code; changes here are overwritten. -->\n"


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    registry = load_plugins()
    return {
        "settings.md": _settings(),
        "commands.md": _commands(),
        "plugins.md": _plugins(registry),
        "hooks.md": _contract(),
        "http.md": _http(),
    }


def _settings() -> str:
    parts = [
        "# Settings of the hub",
        _MADE,
        (
            "The configuration is one TOML file (`--config`, or `TRESSE_CONFIG`; `config/hub.toml` otherwise). "
            'Paths in it are relative to it. A secret is written as `{ file = "..." }` or `{ env = "..." }`. '
            'Durations are written as `"30s"`, `"5m"`, `"2h"`, sizes as `"64KB"`, `"10MB"`.\n'
        ),
    ]
    for name, model in TABLES.items():
        parts += [f"## `[{name}]`", _after_colon(model), table(model)]
    parts += ["## `[brands.NAME]`", _after_colon(BrandSettings), table(BrandSettings)]
    kinds = ", ".join(f"`[{k}.NAME]`" for k in KINDS)
    parts += [
        "## Every instance",
        (
            f"Each section {kinds} is one instance: `use` names its component, these options belong to the hub, "
            "and the rest are the component's own settings ([plugins](plugins.md)).\n"
        ),
        table(SectionOptions),
        "\n".join(f"- `[{k}.NAME]` takes " + ", ".join(f"`{o}`" for o in options_of(k)) for k in KINDS) + "\n",
    ]
    return "\n".join(parts)


def _after_colon(thing: Any) -> str:
    """A docstring without the name it begins with."""
    text = inspect.getdoc(thing) or ""
    said = text.partition(": ")[2] or text
    return said[:1].upper() + said[1:] + "\n"


def _commands() -> str:
    from hub.cli.main import app

    command = typer.main.get_command(app)
    parts = ["# Commands", _MADE, f"{command.help}\n", f"{command.epilog}\n", *_options(command, PROJECT)]
    return "\n".join([*parts, *_below(command, PROJECT)])


def _below(group: Any, path: str) -> list[str]:
    """The commands of a group, and of the groups in it."""
    parts = []
    for name, command in group.commands.items():
        title = f"{path} {name}"
        if hasattr(command, "commands"):
            if command.invoke_without_command:  # a group that is a command as well
                parts += [f"## `{title}`", f"{command.help}\n", *_options(command, title)]
            parts += _below(command, title)
        elif not command.hidden:
            parts += [f"## `{title}`", f"{command.help}\n", *_options(command, title)]
    return parts


def _options(command: Any, path: str) -> list[str]:
    context = command.make_context(path, [], resilient_parsing=True)
    rows = [r for p in command.params if (r := _parameter(p, context))]
    return ["| argument or option | meaning |", "| --- | --- |", *rows, ""] if rows else []


def _parameter(parameter: Any, context: Any) -> str:
    said, meaning = parameter.get_help_record(context) or ("", "")
    if parameter.param_type_name == "argument":
        said = parameter.metavar or parameter.name.upper()
    clean = " ".join(meaning.split()).replace("|", "\\|")
    return f"| `{said.strip()}` | {clean} |" if said else ""


def _plugins(registry: Registry) -> str:
    parts = [
        "# Bundled plugins",
        _MADE,
        "What comes with Tresse. `tresse plugins` lists what is installed with you, partners' plugins too.\n",
    ]
    bundled = [c for r in registry.records if r.distribution == PROJECT for c in r.components]
    for kind in KINDS:
        for component in sorted((c for c in bundled if kind_of(c) == kind), key=lambda c: c.name):
            parts += _component(kind, component)
    return "\n".join(parts)


def _component(kind: str, component: type[Component[Any]]) -> list[str]:
    own = ", ".join(f"`{a}`" for a in abilities_of(component)) or "none"
    return [
        f'## `[{kind}.NAME]` with `use = "{component.name}"`',
        f"{component.summary}\n",
        f"Abilities: {own}.\n",
        table(component.settings_model),
    ]


def _http() -> str:
    from flask import Flask

    from hub.web import factory, login, openapi

    app = Flask("reference", static_folder=None)
    for module in (*factory.PAGES, login, *factory.MACHINES):
        app.register_blueprint(module.blueprint)
    parts = [
        "# HTTP: the API, health, what others push, and the pages",
        _MADE,
        (
            "The API takes a token (`tresse token add NAME --scope read`): `Authorization: Bearer TOKEN`. "
            "`/api/v1/openapi.json` says all of this to programs.\n"
        ),
    ]
    for path, methods in openapi.document(app, "")["paths"].items():
        for method, said in methods.items():
            parts += _operation(f"{method.upper()} {path}", said)
    parts += ["## Other addresses", "| method | path | what it is |", "| --- | --- | --- |"]
    rules = [r for r in app.url_map.iter_rules() if not hasattr(app.view_functions[r.endpoint], "operation")]
    for rule in sorted(rules, key=lambda r: r.rule):
        said = (inspect.getdoc(app.view_functions[rule.endpoint]) or "").partition("\n")[0]
        verbs = ", ".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        parts.append(f"| {verbs} | `{rule.rule}` | {said.replace('|', '/')} |")
    return "\n".join(parts) + "\n"


def _operation(title: str, said: Mapping[str, Any]) -> list[str]:
    rows = []
    for parameter in said.get("parameters", ()):
        needed = " (required)" if parameter.get("required") else ""
        rows.append(f"| `{parameter['name']}` | {parameter.get('description', '')}{needed} |")
    heads = ["| parameter | meaning |", "| --- | --- |"] if rows else []
    summary, more = said.get("summary", ""), said.get("description", "")
    return [f"## `{title}`", f"{summary}\n", *([f"{more}\n"] if more else []), *heads, *rows, ""]


def _contract() -> str:
    parts = [
        "# The plugin contract",
        _MADE,
        (
            f'Version {VERSION}; a component says the versions it was written for (`sdk = ">=1,<2"`). '
            f"A plugin is a distribution with an entry point in the group `{PROJECT}`; "
            "`tresse plugin new NAME --kind channel` writes one that passes its contract tests.\n"
        ),
        "## Hooks",
    ]
    for name, hook in _public(Hooks):
        parts += [f"### `{name}()`", f"{inspect.getdoc(hook)}\n"]
    parts.append("## Components")
    for base in (Component, Channel, CRM, CTI, Matcher):
        parts += [f"### `{base.__name__}`", f"{inspect.getdoc(base)}\n", *_methods(base)]
    parts.append("## Abilities\n\nA component has an ability by having its methods.\n")
    for ability in ABILITIES.values():
        parts += [f"### `{ability.__name__}`", f"{inspect.getdoc(ability)}\n", *_methods(ability)]
    parts.append("## Errors: four words, one reaction each")
    for word in (words.ConfigError, words.AuthError, words.Unavailable, words.Rejected):
        parts += [f"### `{word.__name__}`", f"{inspect.getdoc(word)}\n"]
    return "\n".join(parts)


def _public(thing: type[Any]) -> list[tuple[str, Any]]:
    return [(n, v) for n, v in vars(thing).items() if not n.startswith("_") and inspect.isfunction(v)]


def _methods(thing: type[Any]) -> list[str]:
    lines = []
    for name, method in _public(thing):
        said = (inspect.getdoc(method) or "").replace("\n", " ")
        signature = str(inspect.signature(method)).replace("'", "")
        lines.append(f"- `{name}{signature}`" + (f": {said}" if said else ""))
    return [*lines, ""] if lines else []
