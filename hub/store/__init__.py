"""Rows: the tables by subject, the session, migrations, and the queries that read across tables."""

from hub.store.base import metadata
from hub.store.session import ILL, Store, alone, next_ids, upsert

__all__ = ["ILL", "Store", "alone", "metadata", "next_ids", "upsert"]
