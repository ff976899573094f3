"""Leases: which process reads a source. Each new owner raises the epoch, and pages are kept under one epoch only.

The time is the processes' own; a clock that is wrong can cost a lease, never a message or a second copy.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.intake import cursor
from hub.store.session import upsert

LONG = timedelta(seconds=10)
"""How long a lease lasts unless it is renewed: a source is left alone for so long when its host dies."""


def take_lease(connection: Connection, instance: str, source: str, owner: str, now: datetime) -> int | None:
    """Take the lease where it is free or has ended; returns the epoch to keep pages under, else None."""
    first = upsert(connection, cursor).values(instance=instance, source=source, value={}, moved_at=now)
    connection.execute(first.on_conflict_do_nothing())
    free = sa.or_(cursor.c.owner == "", cursor.c.until.is_(None), cursor.c.until < now)
    take = (
        sa.update(cursor)
        .where(cursor.c.instance == instance, cursor.c.source == source, free)
        .values(owner=owner, until=now + LONG, epoch=cursor.c.epoch + 1)
        .returning(cursor.c.epoch)
    )
    epoch: int | None = connection.scalar(take)
    return epoch


def renew_leases(connection: Connection, held: dict[tuple[str, str], int], now: datetime) -> set[tuple[str, str]]:
    """Prolong what is held; returns the sources whose lease is still ours."""
    ours = set()
    for (instance, source), epoch in sorted(held.items()):
        mine = sa.and_(cursor.c.instance == instance, cursor.c.source == source, cursor.c.epoch == epoch)
        if connection.execute(sa.update(cursor).where(mine).values(until=now + LONG)).rowcount:
            ours.add((instance, source))
    return ours


def free_leases(connection: Connection, held: dict[tuple[str, str], int]) -> None:
    """Give back what is held: another worker takes over at once."""
    for (instance, source), epoch in sorted(held.items()):
        mine = sa.and_(cursor.c.instance == instance, cursor.c.source == source, cursor.c.epoch == epoch)
        connection.execute(sa.update(cursor).where(mine).values(owner="", until=None))


def lease_is_free(connection: Connection, instance: str, source: str, now: datetime) -> bool:
    """Whether nobody reads the source, as far as the rows tell; asked before a try to take it."""
    held = sa.select(cursor.c.owner).where(
        cursor.c.instance == instance, cursor.c.source == source, cursor.c.owner != "", cursor.c.until >= now
    )
    return connection.scalar(held) is None
