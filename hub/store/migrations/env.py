"""Alembic's entry: it works on the connection that `hub.store.migrate` hands over."""

from typing import Any, Literal

from alembic import context

from hub.store.base import At
from hub.store.tables import metadata


def render(kind: str, what: Any, _context: Any) -> str | Literal[False]:
    """A migration stands on its own: our time type is written as what the database sees."""
    return "sa.BigInteger()" if kind == "type" and isinstance(what, At) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=render,
    transaction_per_migration=False,
    transactional_ddl=False,  # the caller holds the transaction
)
context.run_migrations()
