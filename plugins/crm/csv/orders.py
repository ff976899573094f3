"""The orders' file in memory, by number."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hub.rules.identities import canonical
from hub.sdk import Identity, OrderFacts

from .customers import Customers
from .settings import OrderColumns
from .table import Table

_DAY_FIRST = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})(?:[ T]+(\d{1,2})[:h](\d{2})(?::(\d{2}))?)?")


class Orders:
    """Orders by number. Several rows of one number (a row per article) are one order."""

    def __init__(self, table: Table, columns: OrderColumns, date_format: str = "", url: str = "") -> None:
        self.cells = table.cells(columns.model_dump(), {"number"} | columns.model_fields_set)
        self.name, self._date_format, self._url = table.name, date_format, url
        self._by_number: dict[str, list[int]] = {}
        for row in range(len(table.rows)):
            self._file(row)

    def __len__(self) -> int:
        return len(self._by_number)

    def _file(self, row: int) -> None:
        if number := self.cells.get(row, "number").upper():
            self._by_number.setdefault(number, []).append(row)
        else:
            self.cells.problem(row, "number", "an order without a number; the row is left out")
        if self.cells.get(row, "placed_at") and self._placed_at(row) is None:
            self.cells.problem(row, "placed_at", "not a date that can be read; set date_format")

    def _placed_at(self, row: int) -> datetime | None:
        return read_date(self.cells.get(row, "placed_at"), self._date_format)

    def find(self, number: str, customers: Customers | None, country: str, crm: str) -> OrderFacts | None:
        """The order, whatever the case of its letters. `crm` stands before customer ids in owners."""
        rows = self._by_number.get(number.strip().upper())
        if not rows:
            return None
        written = self.cells.get(rows[0], "number")
        return OrderFacts(
            number=written,
            state=self.cells.get(rows[0], "state"),
            owners=() if self._contradict(rows) else self._owners(rows[0], customers, country, crm),
            placed_at=self._placed_at(rows[0]),
            facts=self.cells.facts(rows[0]),
            url=self._url.replace("{number}", written),
        )

    def _buyer(self, row: int) -> tuple[str, str]:
        return self.cells.get(row, "customer"), self.cells.get(row, "email").lower()

    def _contradict(self, rows: list[int]) -> bool:
        """Two buyers under one number prove neither of them."""
        return len({self._buyer(row) for row in rows}) > 1

    def _owners(self, row: int, customers: Customers | None, country: str, crm: str) -> tuple[Identity, ...]:
        customer, email = self._buyer(row)
        owners = [canonical(Identity("email", email), country)] if email else []
        if customer:
            owners.append(Identity("crm", f"{crm}:{customer}"))
            owners += customers.owners(customer) if customers else ()
        return tuple(dict.fromkeys(owner for owner in owners if owner))

    def doubles(self) -> list[str]:
        """Numbers that belong to several buyers, as a sentence without them."""
        rows = [rows for rows in self._by_number.values() if self._contradict(rows)]
        if not rows:
            return []
        where = self.cells.lines(rows[0])
        several = f"{self.name}: {len(rows)} order numbers have rows with different buyers (the first in lines {where})"
        return [f"{several}; such an order is shown without an owner"]

    def strangers(self, customers: Customers) -> list[str]:
        """How many buyers are not in the customers' file, as a sentence."""
        buyers = {self.cells.get(row, "customer") for row in range(len(self.cells.table.rows))} - {""}
        unknown = sum(buyer not in customers for buyer in buyers)
        return [f"{self.name}: {unknown} buyers have no row in {customers.name}"] if unknown else []


def read_date(written: str, date_format: str = "") -> datetime | None:
    """A time in UTC from ISO 8601, else day/month/year as France, Spain and Britain write it.

    A time without a zone counts as UTC: an order's day matters here, not its minute.
    """
    try:
        found = (
            datetime.strptime(written, date_format)  # noqa: DTZ007 - the zone is looked at below
            if date_format
            else _iso_or_day_first(written)
        )
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _iso_or_day_first(written: str) -> datetime:
    parts = _DAY_FIRST.fullmatch(written)
    if not parts:
        return datetime.fromisoformat(written)
    day, month, year, hour, minute, second = (int(part or 0) for part in parts.groups())
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
