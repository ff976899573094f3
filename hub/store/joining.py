"""Joining identities into one customer: links are appended, history never moves.

Only verified evidence joins by itself (docs/explanation/identities.md). A shared address never does.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.customers import identity, link
from hub.store.session import upsert

LARGEST_SET = 20
"""A customer with more identities than this stops joining by itself: something is shared."""


def join(connection: Connection, one: int, other: int, *, evidence: str, by: str, now: datetime) -> bool:
    """Record that two identities belong together and make them one customer; True when that is new.

    The older customer stays, so that links to it go on working. Refuses shared identities,
    pairs that a human parted, and sets grown past `LARGEST_SET`.
    """
    if one == other:
        return False
    pair = {"identity_id": min(one, other), "other_id": max(one, other)}
    rows = connection.execute(
        sa.select(identity.c.id, identity.c.customer_id, identity.c.shared).where(identity.c.id.in_([one, other]))
    ).all()
    if len(rows) != 2 or any(row.shared for row in rows) or _parted(connection, pair):
        return False
    insert = upsert(connection, link).values(**pair, kind="join", strength="verified", evidence=evidence, by=by, at=now)
    connection.execute(insert.on_conflict_do_nothing())
    customers = sorted({row.customer_id for row in rows})
    if len(customers) == 1 or _kept_apart(connection, *customers):
        return False
    size = sa.select(sa.func.count()).select_from(identity).where(identity.c.customer_id.in_(customers))
    if (connection.scalar(size) or 0) > LARGEST_SET:
        return False
    move = sa.update(identity).where(identity.c.customer_id == customers[1]).values(customer_id=customers[0])
    connection.execute(move)
    return True


def _kept_apart(connection: Connection, one: int, other: int) -> bool:
    """Did a human part anybody of the one customer from anybody of the other? A third address joins them not."""
    left, right = identity.alias(), identity.alias()
    parting = (
        sa.select(link.c.id)
        .join(left, left.c.id == link.c.identity_id)
        .join(right, right.c.id == link.c.other_id)
        .where(link.c.kind == "part")
        .where(
            sa.or_(
                sa.and_(left.c.customer_id == one, right.c.customer_id == other),
                sa.and_(left.c.customer_id == other, right.c.customer_id == one),
            )
        )
    )
    return connection.scalar(parting.limit(1)) is not None


def _parted(connection: Connection, pair: dict[str, int]) -> bool:
    parting = sa.select(link.c.id).where(
        link.c.kind == "part", link.c.identity_id == pair["identity_id"], link.c.other_id == pair["other_id"]
    )
    return connection.scalar(parting) is not None
