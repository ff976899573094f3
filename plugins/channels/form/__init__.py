"""A contact form: a page that needs no JavaScript, and the same for a website's own script."""

from __future__ import annotations

from typing import Any

from hub.sdk import Component, hookimpl


@hookimpl
def hub_components() -> list[type[Component[Any]]]:
    """The component `form`."""
    from .channel import FormChannel  # only once somebody asks, so that a look at the plugin list stays quick

    return [FormChannel]
