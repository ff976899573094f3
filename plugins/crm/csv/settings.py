"""What a section with `use = "csv"` may say."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from hub.sdk import Duration, Settings


class CustomerColumns(Settings):
    """Which column of the customers' file holds what. Case, spaces, "-" and "_" do not matter."""

    id: str = Field(default="id", description="Column with your own number of the customer.")
    name: str = Field(default="name", description="Column with the customer's name.")
    email: str = Field(default="email", description="Column with one or more e-mail addresses.")
    phone: str = Field(default="phone", description="Column with one or more phone numbers.")
    segment: str = Field(default="segment", description="Column with the customer's segment, such as gold.")
    language: str = Field(default="language", description="Column with the customer's language, such as fr.")


class OrderColumns(Settings):
    """Which column of the orders' file holds what. Case, spaces, "-" and "_" do not matter."""

    number: str = Field(default="number", description="Column with the order number.")
    email: str = Field(default="email", description="Column with the buyer's e-mail address.")
    customer: str = Field(default="customer", description="Column with the buyer's id in the customers' file.")
    state: str = Field(default="state", description="Column with the order's state, such as shipped.")
    placed_at: str = Field(default="placed_at", description="Column with the day or time of the order.")


class CsvSettings(Settings):
    """Customers and orders in CSV files, read again whenever they change."""

    customers: Path | None = Field(None, description="The customers' file.")
    orders: Path | None = Field(None, description="The orders' file.")
    customer_columns: CustomerColumns = Field(
        default=CustomerColumns(), description="Names of the columns in the customers' file, where they differ."
    )
    order_columns: OrderColumns = Field(
        default=OrderColumns(), description="Names of the columns in the orders' file, where they differ."
    )
    separator: str = Field("", description='Between two cells: ";", "," or a tab; empty finds it out by itself.')
    date_format: str = Field(
        "", description='How dates are written, such as "%d/%m/%Y"; empty reads ISO 8601 and day/month/year.'
    )
    country: str = Field("", description="Country (two letters) of phone numbers without +; empty is the hub's.")
    customer_url: str = Field("", description='A customer\'s page in your tool, with "{id}" in it.')
    order_url: str = Field("", description='An order\'s page in your shop, with "{number}" in it.')
    look_every: Duration = Field(5.0, description="Look at most this often whether a file has changed.")
    quiet: Duration = Field(2.0, description="Leave a file alone that changed within this time: it may still grow.")

    @field_validator("separator")
    @classmethod
    def _one_character(cls, value: str) -> str:
        if len(value) > 1 or value in ('"', "\n", "\r"):
            raise ValueError('write one character, such as ";" or "\\t"')
        return value

    @model_validator(mode="after")
    def _something_to_read(self) -> CsvSettings:
        if self.customers is None and self.orders is None:
            raise ValueError("name a file: customers, orders, or both")
        return self
