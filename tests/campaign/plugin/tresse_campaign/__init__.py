"""The hub's side of `tests/campaign/far.py`, as a partner would write it: a channel and a desk over HTTP."""

from __future__ import annotations

from typing import Any

from hub.sdk import Component, hookimpl


@hookimpl
def hub_components() -> list[type[Component[Any]]]:
    """The channel `feed` and the desk `ledger`."""
    from .feed import Feed
    from .ledger import Ledger

    return [Feed, Ledger]
