"""Rows: the tables by subject, the session, migrations, and the queries that read across tables."""

from hub.store.base import metadata
from hub.store.session import Store, next_ids, upsert

__all__ = ["Store", "metadata", "next_ids", "upsert"]
