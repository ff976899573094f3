"""Step 6, enrich: ask CRMs and shops who this is, outside any transaction and with a bounded wait (lookups.py).

What they say is cached for an hour, "nobody" included; so what comes too late for a case is there at its next look.
One profile and only one is evidence that its addresses belong together; several are listed for a human and join
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.instances import Bug, Instance
from hub.pipeline.lookups import Facts
from hub.pipeline.parts import Parts
from hub.pipeline.resolve import canonical, resolve
from hub.sdk import Identity, KnowsCustomers, KnowsOrders, OrderFacts, Profile, Proof, TresseError
from hub.store import ILL, alone, upsert
from hub.store.cases import delivery
from hub.store.customers import customer, identity, order, profile
from hub.store.intake import message, message_order
from hub.store.joining import join

FRESH = timedelta(hours=1)
"""How long an answer of a CRM is good; an order's state moves faster than a name."""


def enrich(parts: Parts, identity_id: int, orders: Sequence[str] = ()) -> Facts:
    """Fetch and keep the facts, as far as they come soon; says whether it is worth looking again."""
    found = Facts.HERE
    for instance in parts.having("KnowsCustomers"):
        if not _knows_customer(parts, instance, identity_id):
            ask = partial(_guarded, instance, _customers, parts, instance, identity_id)
            found = max(found, parts.lookups.look(instance, f"customer/{identity_id}", ask))
    for instance in parts.having("KnowsOrders"):
        for number in orders:
            if not _knows_order(parts, instance, number):
                ask = partial(_guarded, instance, _order, parts, instance, number)
                found = max(found, parts.lookups.look(instance, f"order/{number}", ask))
    return found


def learned(connection: Connection, said: sa.Row[Any]) -> bool:
    """Whether something was learned of a message's customer or orders since its case was last owed to a desk."""
    told = connection.scalar(
        sa.select(sa.func.max(delivery.c.created_at)).where(
            delivery.c.case_id == said.case_id, delivery.c.ability == "save_case"
        )
    )
    if told is None:
        return True
    of_customer = sa.select(profile.c.id).where(
        profile.c.identity_id == said.identity_id, profile.c.remote_id != "", profile.c.fetched_at >= told
    )
    of_orders = (
        sa.select(order.c.id)
        .join(message_order, message_order.c.number == order.c.number)
        .where(message_order.c.message_id == said.id, order.c.fetched_at >= told)
    )
    return any(connection.scalar(one.limit(1)) is not None for one in (of_customer, of_orders))


def _guarded(instance: Instance, ask: Callable[..., bool], parts: Parts, *args: object) -> bool:
    """What one source says may be nonsense (a time without its zone): no reason to keep the case from the desk.

    On a thread of the source's own. False when the source was away.
    """
    if parts.stop.is_set():
        return False  # it waited for a thread, and the hub ends
    try:
        return ask(parts, *args)
    except ILL:
        raise  # our own database is ill; the source is not to blame
    except Exception as error:
        instance.log.error("facts could not be kept", error=type(error).__name__)
        instance.log.debug("facts could not be kept", exc_info=True)
        return True


def _knows_customer(parts: Parts, instance: Instance, identity_id: int) -> bool:
    with parts.store.read() as connection:
        newest = connection.scalar(
            sa.select(sa.func.max(profile.c.fetched_at)).where(
                profile.c.instance == instance.id, profile.c.identity_id == identity_id
            )
        )
    return newest is not None and newest > parts.now() - FRESH


def _customers(parts: Parts, instance: Instance, identity_id: int) -> bool:
    if _knows_customer(parts, instance, identity_id):
        return True  # learned between the look and this question
    with parts.store.read() as connection:
        row = connection.execute(sa.select(identity).where(identity.c.id == identity_id)).one()
    found = _ask(instance, Identity(row.kind, row.value, row.name))
    if found is None:
        return False
    others = _belongs_alone(parts, instance, found) if len(found) == 1 else []
    with parts.store.write() as connection:
        alone(connection, "customers")
        _keep_profiles(connection, parts, instance.id, identity_id, found)
        if len(found) == 1:
            _join(connection, parts, instance.id, identity_id, found[0], others)
    return True


def _ask(instance: Instance, one: Identity) -> list[Profile] | None:
    """What the CRM says of one identity; None when it is away."""
    assert isinstance(instance.component, KnowsCustomers)
    if not instance.ready():
        return None
    try:
        return instance.call(instance.component.find_customers, one)
    except (TresseError, Bug):
        return None


def _belongs_alone(parts: Parts, instance: Instance, found: list[Profile]) -> list[Identity]:
    """The profile's addresses that lead to this one profile only.

    A family's mailbox or a switchboard leads to several people: it must not join them.
    """
    sure = []
    for said in found[0].identities:
        one = canonical(said, parts.config.hub.country, instance.id)
        owners = _ask(instance, one)
        if owners is not None and len(owners) == 1 and owners[0].remote_id == found[0].remote_id:
            sure.append(one)
    return sure


def _keep_profiles(connection: Connection, parts: Parts, instance: str, identity_id: int, found: list[Profile]) -> None:
    nobody = Profile("")  # so that "nobody" is remembered too
    connection.execute(sa.delete(profile).where(profile.c.instance == instance, profile.c.identity_id == identity_id))
    connection.execute(
        sa.insert(profile),
        [
            {
                "instance": instance,
                "identity_id": identity_id,
                "remote_id": one.remote_id,
                "name": one.name[:200],
                "segment": one.segment[:80],
                "language": one.language[:8],
                "url": one.url,
                "facts": dict(one.facts),
                "fetched_at": parts.now(),
            }
            for one in {one.remote_id: one for one in (found or [nobody])}.values()
        ],
    )


def _join(
    connection: Connection, parts: Parts, instance: str, identity_id: int, one: Profile, others: list[Identity]
) -> None:
    now = parts.now()
    ids = resolve(connection, others, now)
    own = connection.execute(sa.select(identity.c.kind, identity.c.value).where(identity.c.id == identity_id)).one()
    if (own.kind, own.value) in ids or not others:
        for other in ids.values():
            join(connection, identity_id, other, evidence=f"profile {one.remote_id}", by=instance, now=now)
    facts = {"name": one.name[:200], "segment": one.segment[:80], "language": one.language[:8]}
    known = {name: value for name, value in facts.items() if value}
    if known:
        owner = sa.select(identity.c.customer_id).where(identity.c.id == identity_id).scalar_subquery()
        connection.execute(sa.update(customer).where(customer.c.id == owner).values(**known))


def _knows_order(parts: Parts, instance: Instance, number: str) -> bool:
    where = sa.and_(order.c.number == number, order.c.instance == instance.id)
    with parts.store.read() as connection:
        fetched = connection.scalar(sa.select(order.c.fetched_at).where(where))
    return fetched is not None and fetched > parts.now() - FRESH


def _order(parts: Parts, instance: Instance, number: str) -> bool:
    if _knows_order(parts, instance, number):
        return True
    assert isinstance(instance.component, KnowsOrders)
    if not instance.ready():
        return False
    try:
        facts = instance.call(instance.component.find_order, number)
    except (TresseError, Bug):
        return False
    if facts is not None:
        with parts.store.write() as connection:
            _keep_order(connection, parts, instance.id, number, facts)
    return True


def _keep_order(connection: Connection, parts: Parts, instance: str, number: str, facts: OrderFacts) -> None:
    owners = [canonical(one, parts.config.hub.country, instance) for one in facts.owners]
    row = {
        "state": facts.state[:80],
        "owners": [[one.kind, one.value] for one in owners],
        "facts": dict(facts.facts),
        "url": facts.url,
        "placed_at": facts.placed_at,
        "fetched_at": parts.now(),
    }
    insert = upsert(connection, order).values(number=number, instance=instance, **row)
    connection.execute(insert.on_conflict_do_update(index_elements=["number", "instance"], set_=row))


def verify_orders(parts: Parts, message_id: int) -> None:
    """Mark a message's order numbers as verified where its proven sender owns them; all others stay claims."""
    with parts.store.read() as connection:
        said = connection.execute(
            sa.select(message.c.proof, identity.c.customer_id)
            .join(identity, identity.c.id == message.c.identity_id)
            .where(message.c.id == message_id)
        ).one()
        if said.proof != str(Proof.VERIFIED):
            return
        facts = connection.execute(
            sa.select(order.c.number, order.c.owners)
            .join(message_order, message_order.c.number == order.c.number)
            .where(message_order.c.message_id == message_id)
        ).all()
        mine = set(
            connection.execute(
                sa.select(identity.c.kind, identity.c.value).where(identity.c.customer_id == said.customer_id)
            ).all()
        )
    owned = {row.number for row in facts if any(tuple(owner) in mine for owner in row.owners)}
    if owned:
        with parts.store.write() as connection:
            connection.execute(
                sa.update(message_order)
                .where(message_order.c.message_id == message_id, message_order.c.number.in_(owned))
                .values(proof=str(Proof.VERIFIED))
            )
