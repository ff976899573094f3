"""Any phone system that can push its calls over HTTP, in the generic format Zammad made common."""

from __future__ import annotations

from typing import Any

from hub.sdk import Component, hookimpl


@hookimpl
def hub_components() -> list[type[Component[Any]]]:
    """The component `push`."""
    from .cti import PushCTI  # only once somebody asks, so that a look at the plugin list stays quick

    return [PushCTI]
