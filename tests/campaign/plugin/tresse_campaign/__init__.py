"""The hub's side of `tests/campaign/far.py`, as a partner would write it: a channel, a desk and a CRM over HTTP."""

from __future__ import annotations

from typing import Any

from hub.sdk import Component, hookimpl


@hookimpl
def hub_components() -> list[type[Component[Any]]]:
    """The channel `feed`, the desk `ledger`, and `register`, which is asked who somebody is."""
    from .feed import Feed
    from .ledger import Ledger
    from .register import Register

    return [Feed, Ledger, Register]
