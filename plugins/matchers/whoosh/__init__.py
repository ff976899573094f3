"""The best approved answers by words, and a search box for people, with the Whoosh library."""

from __future__ import annotations

from typing import Any

from hub.sdk import Component, hookimpl


@hookimpl
def hub_components() -> list[type[Component[Any]]]:
    """The component `whoosh`."""
    from .matcher import WhooshMatcher  # only once somebody asks: the library takes a third of a second to import

    return [WhooshMatcher]
