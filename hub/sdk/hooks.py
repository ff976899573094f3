"""Module-level hooks: discovery only. A hook enters together with a plugin that uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from hub.sdk.components import Component

PROJECT = "tresse"
"""Name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks:
    """The hook specifications of the hub."""

    @hookspec
    def hub_components(self) -> list[type[Component[Any]]]:  # type: ignore[empty-body]
        """Return this plugin's component classes. Called once at start; must be cheap."""
