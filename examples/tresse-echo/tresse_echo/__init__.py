"""Letters in and letters out as text files: a partner's plugin for Tresse."""

from __future__ import annotations

from typing import Any

from hub.sdk import Component, hookimpl


@hookimpl
def hub_components() -> list[type[Component[Any]]]:
    """The channel `echo`. Imported here, so that looking at the plugin costs nothing."""
    from .channel import EchoChannel

    return [EchoChannel]
