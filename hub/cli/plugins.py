"""`tresse plugins [NAME]` and `tresse plugin new NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import template
from hub.cli.ground import PROBLEMS, AsJson, complain, say, show_json, show_problems, show_table
from hub.config import describe, did_you_mean, sample
from hub.registry import Registry, kind_of, load_plugins
from hub.sdk import Component, abilities_of

group = typer.Typer(help="Write a plugin of your own.", no_args_is_help=True)


def plugins(
    name: Annotated[str, typer.Argument(help="One component: its settings and a sample.")] = "",
    json_output: AsJson = False,
) -> None:
    """List the installed plugins and what they offer, or show one component's settings."""
    registry = load_plugins()
    if name:
        _one(registry, name, as_json=json_output)
        return
    if json_output:
        show_json({"plugins": [_record(r) for r in registry.records], "notices": registry.notices})
        return
    rows: list[tuple[object, ...]] = []
    for record in registry.records:
        origin = f"{record.distribution} {record.version}".strip()
        rows += [(record.name, f"{kind_of(c)}: {c.name}", c.summary, origin) for c in record.components]
        rows += [(record.name, "not loaded", why, origin) for why in (record.error, *record.problems) if why]
    show_table(("plugin", "component", "what it is", "from"), rows, "No plugin is installed.")
    show_problems(registry.notices)


def _record(record: Any) -> dict[str, Any]:
    return {
        "name": record.name,
        "module": record.module,
        "distribution": record.distribution,
        "version": record.version,
        "error": record.error,
        "problems": record.problems,
        "components": [_component(c) for c in record.components],
    }


def _component(component: type[Component[Any]]) -> dict[str, Any]:
    return {
        "kind": kind_of(component),
        "name": component.name,
        "summary": component.summary,
        "sdk": component.sdk,
        "abilities": abilities_of(component),
    }


def _one(registry: Registry, name: str, *, as_json: bool) -> None:
    found = [(kind, c) for kind, c in registry.components() if c.name == name]
    found = found or [(kind_of(c), c) for r in registry.records if r.name == name for c in r.components]
    if not found:
        why = next((r.error for r in registry.records if r.name == name), "")
        known = did_you_mean(name, [c.name for _, c in registry.components()])
        complain(f"{name} was not loaded: {why}" if why else f'there is no component "{name}"; {known}')
        raise typer.Exit(PROBLEMS)
    if as_json:
        show_json({"components": [_component(c) | {"settings": describe(c.settings_model)} for _, c in found]})
        return
    for kind, component in found:
        say(f"{component.name}: {component.summary}", "bold")
        say(f"abilities: {', '.join(abilities_of(component))}\n")
        rows = [
            (d.path, d.type, "required" if d.required else d.default, d.description)
            for d in describe(component.settings_model)
        ]
        show_table(("setting", "type", "default", "meaning"), rows, "It has no settings.")
        example = sample(component.settings_model, f"{kind}.NAME", [f'use = "{component.name}"'])
        say("\n" + example, "dim")


@group.command()
def new(
    name: Annotated[str, typer.Argument(help="The component's name: small letters, digits and _.")],
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(template.KINDS)}.")],
    directory: Annotated[Path | None, typer.Option(help="Where to write it; tresse-NAME unless told.")] = None,
) -> None:
    """Write a small plugin that can be installed and passes its contract tests. Begin there."""
    if kind not in template.KINDS:
        raise typer.BadParameter(f"one of {', '.join(template.KINDS)}", param_hint="--kind")
    target = directory or Path(f"tresse-{name.replace('_', '-')}")
    files = template.write(name, kind, target)
    for file in files:
        say(f"  {file}")
    say(f"\nNext: pip install -e '{target}[dev]' && pytest {target}", "bold")


def add_to(app: typer.Typer) -> None:
    app.command()(plugins)
    app.add_typer(group, name="plugin")
