"""The hub's side of `tests/campaign/far.py`, as a partner would write it: a channel and a desk over HTTP."""

from __future__ import annotations

from typing import Any

from hub.sdk import Component, hookimpl


@hookimpl
def hub_components() -> list[type[Component[Any]]]:
    """The channel `feed`, the desk `ledger`, and `people`, who knows customers."""
    from .feed import Feed
    from .ledger import Ledger
    from .people import People

    return [Feed, Ledger, People]
