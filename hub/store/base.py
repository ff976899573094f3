"""What every table shares: the metadata, the id and time types.

Ids are 64-bit. Times are stored as UTC milliseconds in an integer: the same on every
database, cheap to index, and exact enough to order a timeline (ties fall to the id).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite only numbers rows by itself in a column called INTEGER."""


class At(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime, stored as milliseconds since 1970."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else to_ms(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else from_ms(value)


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970. A naive datetime is a bug and raises ValueError."""
    if at.tzinfo is None:
        raise ValueError("naive datetime: times in the hub carry their zone")
    return (at - _EPOCH) // timedelta(milliseconds=1)  # exact: a float loses a millisecond now and then


def from_ms(ms: int) -> datetime:
    """The UTC datetime of `ms`."""
    return _EPOCH + timedelta(milliseconds=ms)


def id_column() -> sa.Column[int]:
    """A table's own number."""
    return sa.Column("id", Id, primary_key=True, autoincrement=True)


def ref(table: str, *, nullable: bool = False, index: bool = False, name: str = "") -> sa.Column[Any]:
    """A foreign key to `table`.id, called `table`_id unless `name` says otherwise."""
    column = name or f"{table}_id"
    target = "cases" if table == "case" else table
    return sa.Column(column, Id, sa.ForeignKey(f"{target}.id"), nullable=nullable, index=index)
