"""Step 3, resolve: whose words are these? Addresses become identities, a page at a time.

A new identity is a new customer. Joining customers is another matter, with evidence
(hub/store/joining.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.rules import identities
from hub.sdk import Direction, Identity
from hub.store import next_ids
from hub.store.customers import customer, identity
from hub.store.intake import message

Key = tuple[str, str]
NOBODY = "unknown@"
"""Begins the stand-in for senders without an address; many people share it, so it never joins anybody."""


def canonical(said: Identity, country: str, instance: str) -> Identity:
    """The canonical form; for an address nobody could use, a stand-in that belongs to the instance."""
    found = identities.canonical(said, country)
    if found is not None:
        return found
    return Identity("handle", f"{NOBODY}{instance}")  # no name: the next one who has no address is somebody else


def resolve(connection: Connection, wanted: Iterable[Identity], now: datetime) -> dict[Key, int]:
    """Identity ids by (kind, value), making what is missing. Identities must be canonical."""
    by_key: dict[Key, Identity] = {}
    for one in wanted:
        known = by_key.get((one.kind, one.value))
        if known is None or (one.name and not known.name):
            by_key[one.kind, one.value] = one
    if not by_key:
        return {}
    ids = _known(connection, by_key)
    missing = [one for key, one in by_key.items() if key not in ids]
    if missing:
        ids |= _make(connection, missing, now)
    return ids


def _known(connection: Connection, by_key: dict[Key, Identity]) -> dict[Key, int]:
    known: dict[Key, int] = {}
    for kind in {kind for kind, _ in by_key}:  # one kind at a time, as the index is
        values = [value for k, value in by_key if k == kind]
        rows = connection.execute(
            sa.select(identity.c.value, identity.c.id).where(identity.c.kind == kind, identity.c.value.in_(values))
        )
        known |= {(kind, value): number for value, number in rows}
    return known


def _make(connection: Connection, missing: list[Identity], now: datetime) -> dict[Key, int]:
    customers = next_ids(connection, customer, len(missing))
    names = [
        {"id": owner, "name": one.name[:200], "created_at": now} for one, owner in zip(missing, customers, strict=True)
    ]
    connection.execute(sa.insert(customer), names)
    numbers = next_ids(connection, identity, len(missing))
    rows = [
        {
            "id": number,
            "kind": one.kind,
            "value": one.value,
            "name": one.name[:200],
            "customer_id": owner,
            "origin_id": owner,
            "shared": one.value.startswith(NOBODY) or (one.kind == "email" and identities.is_role(one.value)),
        }
        for one, owner, number in zip(missing, customers, numbers, strict=True)
    ]
    connection.execute(sa.insert(identity), rows)
    return {(one.kind, one.value): number for one, number in zip(missing, numbers, strict=True)}


def mark_undeliverable(connection: Connection, addresses: Iterable[str], reason: str) -> None:
    """A permanent bounce: these addresses show as undeliverable on their timelines.

    Believed only of addresses that something was sent to: anybody can write a bounce.
    """
    wrote = sa.exists().where(message.c.identity_id == identity.c.id, message.c.direction == str(Direction.OUT))
    for address in addresses:
        connection.execute(
            sa.update(identity)
            .where(identity.c.kind == "email", identity.c.value == address.lower(), wrote)
            .values(undeliverable=reason[:500])
        )
