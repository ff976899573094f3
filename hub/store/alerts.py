"""One open alert per cause: raised once, closed when the cause is gone."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.health import alert
from hub.store.session import upsert

UNDECIDED = ("rejected", "unsure")
"""Beginnings of the keys of alerts about deliveries that wait for a human; behind a colon stands the instance."""


def raise_alert(connection: Connection, key: str, text: str, now: datetime, instance: str = "") -> bool:
    """Open the alert `key` unless it stands open; True when it is new."""
    open_one = sa.select(alert.c.id).where(alert.c.key == key, alert.c.closed_at.is_(None))
    if connection.scalar(open_one) is not None:
        return False
    insert = upsert(connection, alert).values(key=key, instance=instance, text=text, opened_at=now)
    made = insert.on_conflict_do_nothing(index_elements=["key"], index_where=alert.c.closed_at.is_(None))
    return bool(connection.execute(made).rowcount)


def reword_alert(connection: Connection, key: str, text: str) -> None:
    """The alert `key` stands open for another reason now; it is the same trouble, and not told once more."""
    standing = sa.and_(alert.c.key == key, alert.c.closed_at.is_(None), alert.c.text != text)
    connection.execute(sa.update(alert).where(standing).values(text=text))


def close_alert(connection: Connection, key: str, now: datetime) -> bool:
    """Close the alert `key`; False when none was open."""
    close = sa.update(alert).where(alert.c.key == key, alert.c.closed_at.is_(None)).values(closed_at=now)
    return bool(connection.execute(close).rowcount)


def open_alerts_of(connection: Connection, cause: str) -> dict[str, datetime]:
    """When the open alerts with the key `cause`, or with it in front of a colon, were opened: by key."""
    ours = sa.or_(alert.c.key == cause, alert.c.key.startswith(f"{cause}:", autoescape=True))
    rows = connection.execute(sa.select(alert.c.key, alert.c.opened_at).where(alert.c.closed_at.is_(None), ours))
    return {row.key: row.opened_at for row in rows}


def about_itself() -> sa.ColumnElement[bool]:
    """Open alerts about how an instance is, not about deliveries to it."""
    others = [alert.c.key.startswith(f"{kind}:") for kind in UNDECIDED]
    return sa.and_(alert.c.closed_at.is_(None), alert.c.instance != "", ~sa.or_(*others))


def instances_told_of(connection: Connection) -> set[str]:
    """The instances with an open alert about themselves."""
    return set(connection.scalars(sa.select(alert.c.instance).where(about_itself())))


def close_alerts_of(connection: Connection, instance: str, now: datetime) -> None:
    """Close what stands open about an instance that is gone; deliveries to it still wait for a human."""
    connection.execute(sa.update(alert).where(about_itself(), alert.c.instance == instance).values(closed_at=now))
