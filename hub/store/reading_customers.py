"""Customers as a list, and one customer with all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.cases import case
from hub.store.customers import customer, identity, link, order, profile
from hub.store.intake import message, message_order
from hub.store.reading_entries import filled

RECENT = 400
"""Newest messages looked at for the customers heard from lately."""


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """One address of a customer."""

    id: int
    kind: str
    value: str
    name: str
    shared: bool
    undeliverable: str
    customer_id: int


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """A customer in a list."""

    id: int
    name: str
    segment: str
    language: str
    identities: tuple[IdentityRow, ...]
    last_at: datetime | None
    open_cases: int


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """What a CRM knows."""

    instance: str
    remote_id: str
    name: str
    segment: str
    language: str
    url: str
    facts: Mapping[str, Any]
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case in a list."""

    id: int
    number: str
    subject: str
    state: str
    proof: str
    language: str
    instance: str
    opened_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order as a shop knows it; `instance` is empty where none does."""

    number: str
    instance: str
    state: str
    url: str
    facts: Mapping[str, Any]
    placed_at: datetime | None


@dataclass(frozen=True, slots=True)
class LinkRow:
    """Why two identities belong together, or do not."""

    kind: str
    strength: str
    evidence: str
    by: str
    at: datetime
    one: str
    other: str


@dataclass(frozen=True, slots=True)
class Person:
    """A customer with all that is known of it."""

    customer: CustomerRow
    profiles: tuple[ProfileRow, ...]
    cases: tuple[CaseRow, ...]
    orders: tuple[OrderRow, ...]
    links: tuple[LinkRow, ...]


def customers(
    connection: Connection, *, search: str = "", before: int | None = None, limit: int = 50
) -> tuple[list[CustomerRow], int | None]:
    """Customers, newest first, and the id to go on `before`.

    `search` is the beginning of a name's word or of an address; without it, everybody.
    """
    query = sa.select(customer.c.id).order_by(customer.c.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(customer.c.id < before)
    if search:
        query = query.where(_beginning(search))
    ids = list(connection.scalars(query))
    return _rows(connection, ids[:limit]), ids[limit - 1] if len(ids) > limit else None


def recent_customers(connection: Connection, limit: int = 50) -> list[CustomerRow]:
    """Those heard from lately, the last first: looks at the newest messages only."""
    newest = sa.select(message.c.id, message.c.identity_id).order_by(message.c.id.desc()).limit(RECENT).subquery()
    query = (
        sa.select(identity.c.customer_id)
        .join(newest, newest.c.identity_id == identity.c.id)
        .group_by(identity.c.customer_id)
        .order_by(sa.func.max(newest.c.id).desc())
        .limit(limit)
    )
    return _rows(connection, list(connection.scalars(query)))


def person(connection: Connection, customer_id: int) -> Person | None:
    """One customer with cases, orders, profiles and the evidence that joins its identities."""
    rows = _rows(connection, [customer_id])
    if not rows:
        return None
    ids = [i.id for i in rows[0].identities]
    return Person(
        rows[0],
        _profiles(connection, ids),
        tuple(
            filled(CaseRow, row)
            for row in connection.execute(
                sa.select(case).where(case.c.identity_id.in_(ids)).order_by(case.c.id.desc()).limit(50)
            ).mappings()
        ),
        _orders_of(connection, ids),
        _links(connection, ids),
    )


def orders(connection: Connection, numbers: list[str]) -> dict[str, OrderRow]:
    """What shops know of these order numbers; the freshest word counts."""
    query = sa.select(order).where(order.c.number.in_(numbers)).order_by(order.c.fetched_at)
    return {row["number"]: filled(OrderRow, row) for row in connection.execute(query).mappings()}


def _beginning(search: str) -> sa.ColumnElement[bool]:
    folded = search.strip().lower()
    address = identity.c.value.startswith(folded, autoescape=True)
    name, called = sa.func.lower(customer.c.name), sa.func.lower(identity.c.name)
    words = [
        column.startswith(folded, autoescape=True) | column.contains(" " + folded, autoescape=True)
        for column in (name, called)
    ]
    by_identity = sa.select(identity.c.customer_id).where(address | words[1])
    return words[0] | customer.c.id.in_(by_identity)


def _rows(connection: Connection, ids: list[int]) -> list[CustomerRow]:
    """In the order of `ids`: four queries, whatever their number."""
    found = {r["id"]: r for r in connection.execute(sa.select(customer).where(customer.c.id.in_(ids))).mappings()}
    addresses: dict[int, list[IdentityRow]] = {}
    query = sa.select(identity).where(identity.c.customer_id.in_(ids)).order_by(identity.c.id)
    for row in connection.execute(query).mappings():
        addresses.setdefault(row["customer_id"], []).append(filled(IdentityRow, row))
    of_customer = identity.c.customer_id.in_(ids)
    newest = (
        sa.select(message.c.at)
        .where(message.c.identity_id == identity.c.id)
        .order_by(message.c.at.desc())
        .limit(1)
        .scalar_subquery()
    )
    last = _latest(connection.execute(sa.select(identity.c.customer_id, newest).where(of_customer)))
    waiting: dict[int, int] = dict(
        connection.execute(
            sa.select(identity.c.customer_id, sa.func.count())
            .join(case, case.c.identity_id == identity.c.id)
            .where(of_customer, case.c.state == "open")
            .group_by(identity.c.customer_id)
        ).all()
    )
    return [
        CustomerRow(
            id=i,
            name=found[i]["name"],
            segment=found[i]["segment"],
            language=found[i]["language"],
            identities=tuple(addresses.get(i, ())),
            last_at=last.get(i),
            open_cases=waiting.get(i, 0),
        )
        for i in ids
        if i in found
    ]


def _latest(rows: Any) -> dict[int, datetime]:
    latest: dict[int, datetime] = {}
    for owner, at in rows:
        if at is not None and (owner not in latest or at > latest[owner]):
            latest[owner] = at
    return latest


def _profiles(connection: Connection, identities: list[int]) -> tuple[ProfileRow, ...]:
    """Each profile once, as it was fetched last: a CRM is asked about every identity of a customer."""
    query = sa.select(profile).where(profile.c.identity_id.in_(identities)).order_by(profile.c.fetched_at).limit(50)
    freshest = {(r["instance"], r["remote_id"]): filled(ProfileRow, r) for r in connection.execute(query).mappings()}
    return tuple(freshest.values())


def _orders_of(connection: Connection, identities: list[int]) -> tuple[OrderRow, ...]:
    """The orders these identities' messages name, newest mention first."""
    query = (
        sa.select(message_order.c.number)
        .join(message, message.c.id == message_order.c.message_id)
        .where(message.c.identity_id.in_(identities))
        .group_by(message_order.c.number)
        .order_by(sa.func.max(message.c.id).desc())
        .limit(30)
    )
    numbers = list(connection.scalars(query))
    known = orders(connection, numbers)
    return tuple(known.get(n, OrderRow(n, "", "", "", {}, None)) for n in numbers)


def _links(connection: Connection, identities: list[int]) -> tuple[LinkRow, ...]:
    one, other = identity.alias("one"), identity.alias("other")
    query = (
        sa.select(link, one.c.value.label("one"), other.c.value.label("other"))
        .join(one, one.c.id == link.c.identity_id)
        .join(other, other.c.id == link.c.other_id)
        .where(link.c.identity_id.in_(identities) | link.c.other_id.in_(identities))
        .order_by(link.c.at.desc())
        .limit(50)
    )
    return tuple(filled(LinkRow, row) for row in connection.execute(query).mappings())
