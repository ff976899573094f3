"""Request Tracker 5: enriched cases as tickets, answers in a field and a comment, agents' replies back."""

from __future__ import annotations

from typing import Any

from hub.sdk import Component, hookimpl


@hookimpl
def hub_components() -> list[type[Component[Any]]]:
    """The component `request_tracker`."""
    from .crm import RequestTracker  # only once somebody asks, so that a look at the plugin list stays quick

    return [RequestTracker]
