"""Instances and plugins as pages and API show them, made from the running hub and its health rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hub.config.fields import FieldDoc, describe
from hub.registry import kind_of
from hub.sdk import Component, ConfigError, abilities_of
from hub.store.overview import Health
from hub.web import looks

if TYPE_CHECKING:
    from hub.app import Hub


@dataclass(frozen=True, slots=True)
class InstanceView:
    """A configured instance. `health` is green, amber, red, paused, or off for one that is not started."""

    id: str
    kind: str
    component: str
    summary: str
    strand: str
    abilities: tuple[str, ...]
    health: str
    reason: str
    since: datetime | None
    seen_at: datetime | None
    retry_at: datetime | None
    voice: str | None
    paused_at: datetime | None
    paused_by: str
    waiting: int


@dataclass(frozen=True, slots=True)
class ComponentView:
    """A class a plugin offers."""

    name: str
    kind: str
    summary: str
    abilities: tuple[str, ...]
    instances: tuple[str, ...]
    settings: tuple[FieldDoc, ...]


@dataclass(frozen=True, slots=True)
class PluginView:
    """An installed plugin; `error` tells why it was not loaded."""

    name: str
    distribution: str
    version: str
    module: str
    error: str
    problems: tuple[str, ...]
    components: tuple[ComponentView, ...]


def instance_views(hub: Hub, health: dict[str, Health], waiting: Mapping[str, int]) -> tuple[InstanceView, ...]:
    """Every section of the configuration, the sick ones first. `waiting` counts what is owed to each."""
    views = [_instance(hub, s, health.get(s.id), waiting.get(s.id, 0)) for s in hub.config.sections]
    order = {"red": 0, "amber": 1, "paused": 2, "green": 3, "off": 4}
    return tuple(sorted(views, key=lambda v: (order.get(v.health, 0), v.kind, v.id)))


def _instance(hub: Hub, section: Any, row: Health | None, waiting: int) -> InstanceView:
    running = hub.instances.get(section.id)
    component = type(running.component) if running is not None else _component(hub, section)
    state = row.health if row is not None else "green"
    if row is not None and row.paused_at is not None:
        state = "paused"
    return InstanceView(
        id=section.id,
        kind=section.kind,
        component=section.use,
        summary=component.summary if component is not None else "",
        strand=looks.strand(section.id),
        abilities=tuple(sorted(running.abilities)) if running is not None else (),
        health=state if section.options.enabled else "off",
        reason=row.reason if row is not None else "",
        since=row.since if row is not None else None,
        seen_at=_seen(running, row),
        retry_at=row.retry_at if row is not None else None,
        voice=row.voice if row is not None else None,
        paused_at=row.paused_at if row is not None else None,
        paused_by=row.paused_by if row is not None else "",
        waiting=waiting,
    )


def _seen(running: Any, row: Health | None) -> datetime | None:
    """The last success: of this process where it has one, for healthy rows are not written each time."""
    live: datetime | None = running.health.seen_at if running is not None else None
    return live or (row.seen_at if row is not None else None)


def _component(hub: Hub, section: Any) -> type[Component[Any]] | None:
    try:
        return hub.registry.component(section.kind, section.use)
    except ConfigError:
        return None


def plugin_views(hub: Hub) -> tuple[PluginView, ...]:
    """Every plugin, the broken ones first."""
    views = [
        PluginView(
            r.name,
            r.distribution,
            r.version,
            r.module,
            r.error,
            tuple(r.problems),
            tuple(_offered(hub, component) for component in r.components),
        )
        for r in hub.registry.records
    ]
    return tuple(sorted(views, key=lambda v: (not v.error, v.name)))


def _offered(hub: Hub, component: type[Component[Any]]) -> ComponentView:
    kind = kind_of(component)
    used = tuple(s.id for s in hub.config.sections if (s.kind, s.use) == (kind, component.name))
    return ComponentView(
        component.name,
        kind,
        component.summary,
        tuple(abilities_of(component)),
        used,
        tuple(describe(component.settings_model)),
    )
