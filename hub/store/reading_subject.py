"""From what an agent types to whose timeline it means: an address, a number, or a name.

An e-mail, phone, handle, order number or case number is a key. A person's name is not: two
customers may share one, so a name only ever lists candidates, even when there is one.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.rules.identities import canonical
from hub.sdk.values import Identity
from hub.store.cases import case
from hub.store.customers import customer, identity, order, profile
from hub.store.intake import message_order

KINDS = ("email", "phone", "handle", "crm")
CANDIDATES = 20
"""More people of one name than this are not worth listing: ask for an address."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A customer who may be meant; `key` asks for exactly this one."""

    customer_id: int
    name: str
    key: str
    identities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose timeline is meant. With `candidates` it is nobody's yet: somebody must choose.

    `kind` is ``customer``, ``order`` or ``case``; `number` is the order's or the case's.
    """

    kind: str
    key: str
    title: str
    identity_ids: tuple[int, ...] = ()
    customer_ids: tuple[int, ...] = ()
    case_id: int | None = None
    number: str = ""
    candidates: tuple[Candidate, ...] = ()


def find(connection: Connection, key: str, country: str) -> Subject | None:
    """Whom `key` names: an e-mail, phone, handle, ``crm:12``, ``customer:7``, an order, a case, a name.

    `country` (``FR``) reads phone numbers written without their country. None: nobody is known by it.
    """
    key = key.strip()
    if not key:
        return None
    kind, colon, rest = key.partition(":")
    if colon and kind == "customer":
        return _by_customer_id(connection, rest)
    if colon and kind in KINDS:
        return _by_identity(connection, key, Identity(kind, rest.strip()), country)
    return (
        (_by_identity(connection, key, Identity("email", key), country) if "@" in key else None)
        or _by_case(connection, key)
        or _by_order(connection, key)
        or (_by_identity(connection, key, Identity("phone", key), country) if _dialable(key) else None)
        or _by_identity(connection, key, Identity("handle", key), country)
        or _by_name(connection, key)
    )


def of_customer(connection: Connection, customer_id: int) -> Subject | None:
    """The timeline of one customer, all identities together."""
    name = connection.scalar(sa.select(customer.c.name).where(customer.c.id == customer_id))
    if name is None:
        return None
    rows = connection.execute(
        sa.select(identity.c.id, identity.c.value, identity.c.name)
        .where(identity.c.customer_id == customer_id)
        .order_by(identity.c.id)
    ).all()
    title = name or next((r.name for r in rows if r.name), "") or next((r.value for r in rows), "")
    return Subject("customer", f"customer:{customer_id}", title, tuple(r.id for r in rows), (customer_id,))


def _dialable(key: str) -> bool:
    return sum(c.isdigit() for c in key) >= 6 and all(c.isdigit() or c in " +()./-" for c in key)


def _by_customer_id(connection: Connection, number: str) -> Subject | None:
    return of_customer(connection, int(number)) if number.isdecimal() and len(number) < 19 else None


def _by_identity(connection: Connection, key: str, wanted: Identity, country: str) -> Subject | None:
    usable = canonical(wanted, country)
    values = {wanted.value, usable.value if usable else wanted.value}
    owners = set(
        connection.scalars(
            sa.select(identity.c.customer_id).where(identity.c.kind == wanted.kind, identity.c.value.in_(values))
        )
    )
    if not owners and wanted.kind == "crm":
        owners = _known_to_crms(connection, wanted.value)
    if not owners:
        return None
    if len(owners) > 1:
        return Subject("customer", key, key, candidates=_candidates(connection, sorted(owners)))
    return of_customer(connection, owners.pop())


def _known_to_crms(connection: Connection, remote_id: str) -> set[int]:
    """Two CRMs may both have a customer 12: then there are two candidates."""
    joined = profile.join(identity, identity.c.id == profile.c.identity_id)
    query = sa.select(identity.c.customer_id).select_from(joined).where(profile.c.remote_id == remote_id)
    return set(connection.scalars(query.limit(CANDIDATES)))


def _by_case(connection: Connection, key: str) -> Subject | None:
    row = connection.execute(
        sa.select(case.c.id, case.c.number, case.c.subject, case.c.identity_id, identity.c.customer_id)
        .join(identity, identity.c.id == case.c.identity_id)
        .where(case.c.number.in_({key, key.upper()}))
    ).first()
    if row is None:
        return None
    return Subject("case", row.number, row.subject, (row.identity_id,), (row.customer_id,), row.id, row.number)


def _by_order(connection: Connection, key: str) -> Subject | None:
    """An order somebody mentioned or a shop knows. Its owners are those a shop names, never the writers."""
    number = key.upper()
    said = connection.scalar(sa.select(message_order.c.number).where(message_order.c.number == number).limit(1))
    rows = connection.scalars(sa.select(order.c.owners).where(order.c.number == number)).all()
    if said is None and not rows:
        return None
    owners = {(str(kind), str(value)) for row in rows for kind, value in row}
    found = connection.execute(
        sa.select(identity.c.id, identity.c.customer_id).where(
            sa.tuple_(identity.c.kind, identity.c.value).in_(sorted(owners))
        )
    ).all()
    customers = tuple(sorted({r.customer_id for r in found}))
    return Subject("order", number, number, tuple(sorted(r.id for r in found)), customers, number=number)


def _by_name(connection: Connection, key: str) -> Subject | None:
    folded = key.casefold()
    named = sa.select(customer.c.id).where(sa.func.lower(customer.c.name) == folded).limit(CANDIDATES)
    called = sa.select(identity.c.customer_id).where(sa.func.lower(identity.c.name) == folded).limit(CANDIDATES)
    ids = sorted({*connection.scalars(named), *connection.scalars(called)})[:CANDIDATES]
    return Subject("customer", key, key, candidates=_candidates(connection, ids)) if ids else None


def _candidates(connection: Connection, customer_ids: list[int]) -> tuple[Candidate, ...]:
    names = {
        r.id: r.name
        for r in connection.execute(sa.select(customer.c.id, customer.c.name).where(customer.c.id.in_(customer_ids)))
    }
    addresses: dict[int, list[str]] = {}
    for row in connection.execute(
        sa.select(identity.c.customer_id, identity.c.value)
        .where(identity.c.customer_id.in_(customer_ids))
        .order_by(identity.c.id)
    ):
        addresses.setdefault(row.customer_id, []).append(row.value)
    return tuple(Candidate(i, names.get(i, ""), f"customer:{i}", tuple(addresses.get(i, ()))) for i in customer_ids)
