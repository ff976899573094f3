"""What became of the shop's post, in numbers."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from hub.store import Store
from hub.store.cases import case, delivery, suggestion
from hub.store.customers import identity
from hub.store.intake import event, message, step


def figures(store: Store) -> dict[str, Any]:
    """Counts of what stands in the database now; `deliveries` by state."""
    with store.read() as connection:

        def count(table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
            return connection.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0

        def by(column: sa.Column[str], *where: sa.ColumnElement[bool]) -> dict[str, int]:
            query = sa.select(column, sa.func.count()).where(*where).group_by(column)
            return {name: number for name, number in connection.execute(query)}

        suggested = sa.select(sa.func.count(suggestion.c.message_id.distinct()))
        return {
            "messages": count(message),
            # A join leaves the younger customer's row without identities.
            "customers": connection.scalar(sa.select(sa.func.count(identity.c.customer_id.distinct()))),
            "cases": count(case),
            "events": count(event),
            "suggestions": count(suggestion),
            "messages_with_suggestions": connection.scalar(suggested),
            "outcomes": by(suggestion.c.outcome, suggestion.c.outcome != ""),
            "deliveries": by(delivery.c.state),
            "kept_unread": count(step, step.c.state == "kept"),
            "still_to_do": count(step, step.c.state == "waiting"),
        }
