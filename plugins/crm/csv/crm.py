"""The component `csv`: answers who a customer is, and what an order is, from two files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hub.rules.identities import canonical
from hub.sdk import CRM, ConfigError, Context, Identity, Notice, OrderFacts, Profile, Unavailable

from .customers import Customers
from .orders import Orders
from .settings import CsvSettings
from .table import Table, Unreadable
from .watch import Watched

BookT = TypeVar("BookT", Customers, Orders)


class CsvCRM(CRM[CsvSettings]):
    """Customers and orders from files that another program writes and people edit in a spreadsheet."""

    name = "csv"
    settings_model = CsvSettings
    summary = "Customers and orders from CSV files, read again when they change."

    def __init__(self, settings: CsvSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._country = settings.country or (context.hub or {}).get("country", "")
        self._customers = self._watched(settings.customers, self._make_customers)
        self._orders = self._watched(settings.orders, self._make_orders)

    def _watched(self, path: Path | None, make: Callable[[Table], BookT]) -> Watched[BookT] | None:
        if path is None:
            return None
        s, context = self.settings, self.context
        return Watched(
            path,
            make,
            separator=s.separator,
            look_every=s.look_every,
            quiet=s.quiet,
            now=context.now,
            log=context.log,
        )

    def _make_customers(self, table: Table) -> Customers:
        return Customers(table, self.settings.customer_columns, self._country, self.settings.customer_url)

    def _make_orders(self, table: Table) -> Orders:
        return Orders(table, self.settings.order_columns, self.settings.date_format, self.settings.order_url)

    def check(self) -> list[Notice]:
        """Read both files now. Raises ConfigError for a file or a column that is not there."""
        notices = []
        customers = orders = None
        if self._customers:
            customers = _checked(self._customers, "customers", "customer_columns")
            notices += _notices(customers, "customers")
        if self._orders:
            orders = _checked(self._orders, "orders", "order_columns")
            notices += _notices(orders, "orders")
        if customers and orders:
            notices += [Notice(sentence, "orders") for sentence in orders.strangers(customers)]
        return notices

    def find_customers(self, identity: Identity) -> list[Profile]:
        """Every row with this e-mail, phone or id (with or without this instance's id before it)."""
        usable = canonical(identity, self._country)
        if self._customers is None or usable is None:
            return []
        customers = _content(self._customers)
        if usable.kind == "email":
            return customers.by_email(usable.value)
        if usable.kind == "phone":
            return customers.by_phone(usable.value)
        if usable.kind == "crm":
            return customers.by_id(usable.value.removeprefix(f"{self.context.id}:"))
        return []

    def find_order(self, number: str) -> OrderFacts | None:
        """The order and whom it belongs to; None where the file does not have it."""
        if self._orders is None:
            return None
        customers = _content(self._customers) if self._customers else None
        return _content(self._orders).find(number, customers, self._country, self.context.id)


def _content(watched: Watched[BookT]) -> BookT:
    """Raises Unavailable until the file is there and good: an export may simply not have run yet."""
    try:
        return watched.book()
    except Unreadable as error:
        raise Unavailable(str(error)) from None


def _checked(watched: Watched[BookT], file: str, columns: str) -> BookT:
    try:
        return watched.read()[1]
    except Unreadable as error:
        raise ConfigError(str(error), path=f"{columns}.{error.column}" if error.column else file) from None


def _notices(book: Customers | Orders, path: str) -> list[Notice]:
    sentences = [*book.cells.table.problems.sentences(), *book.doubles()]
    if not len(book):
        sentences.append(f"{book.name} has a first line and nothing under it")
    return [Notice(sentence, path) for sentence in sentences]
