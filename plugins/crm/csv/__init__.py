"""Customers and orders from CSV files: the CRM of a company that has none yet."""

from __future__ import annotations

from typing import Any

from hub.sdk import Component, hookimpl


@hookimpl
def hub_components() -> list[type[Component[Any]]]:
    """The component `csv`."""
    from .crm import CsvCRM  # only once somebody asks, so that a look at the plugin list stays quick

    return [CsvCRM]
