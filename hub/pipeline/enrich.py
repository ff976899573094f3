"""Step 6, enrich: ask CRMs and shops who this is, outside any transaction and with a bounded wait.

What they say is cached for an hour, "nobody" included. One profile and only one is evidence that
its addresses belong together; several are listed for a human and join nothing. One planner at a time
waits for sources that are slow (hub/pipeline/slow.py), so that other customers do not wait for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.instances import Bug, Instance
from hub.pipeline.parts import Parts
from hub.pipeline.resolve import canonical, resolve
from hub.sdk import Identity, KnowsCustomers, KnowsOrders, OrderFacts, Profile, Proof, TresseError, Unavailable
from hub.store import ILL, alone, upsert
from hub.store.customers import customer, identity, order, profile
from hub.store.intake import message, message_order
from hub.store.joining import join

A = TypeVar("A")
T = TypeVar("T")

FRESH = timedelta(hours=1)
"""How long an answer of a CRM is good; an order's state moves faster than a name."""
WAIT = 5.0
"""Seconds a case waits for facts; later ones come with a second look."""


def enrich(parts: Parts, identity_id: int, orders: Sequence[str] = ()) -> bool:
    """Fetch and keep the facts; False when a source was away, so that it is worth asking again."""
    complete = True
    for instance in parts.having("KnowsCustomers"):
        complete &= _guarded(instance, _customers, parts, instance, identity_id)
    for instance in parts.having("KnowsOrders"):
        for number in orders:
            complete &= _guarded(instance, _order, parts, instance, number)
    return complete


def _guarded(instance: Instance, ask: Callable[..., bool], *args: object) -> bool:
    """What one source says may be nonsense (a time without its zone): no reason to keep the case from the desk."""
    try:
        return ask(*args)
    except ILL:
        raise  # our own database is ill; the source is not to blame
    except Exception as error:
        instance.log.error("facts could not be kept", error=type(error).__name__)
        instance.log.debug("facts could not be kept", exc_info=True)
        return True


def _customers(parts: Parts, instance: Instance, identity_id: int) -> bool:
    with parts.store.read() as connection:
        row = connection.execute(sa.select(identity).where(identity.c.id == identity_id)).one()
        newest = connection.scalar(
            sa.select(sa.func.max(profile.c.fetched_at)).where(
                profile.c.instance == instance.id, profile.c.identity_id == identity_id
            )
        )
    if newest is not None and newest > parts.now() - FRESH:
        return True
    found = _ask(parts, instance, Identity(row.kind, row.value, row.name))
    if found is None:
        return False
    others = _belongs_alone(parts, instance, found) if len(found) == 1 else []
    with parts.store.write() as connection:
        alone(connection, "customers")
        _keep_profiles(connection, parts, instance.id, identity_id, found)
        if len(found) == 1:
            _join(connection, parts, instance.id, identity_id, found[0], others)
    return True


def _ask(parts: Parts, instance: Instance, one: Identity) -> list[Profile] | None:
    """What the CRM says of one identity; None when it is away."""
    assert isinstance(instance.component, KnowsCustomers)
    try:
        return _look_up(parts, instance, instance.component.find_customers, one)
    except (TresseError, Bug):
        return None


def _look_up(parts: Parts, instance: Instance, find: Callable[[A], T], what: A) -> T:
    """Raises what calls raise; Unavailable where it is away, or slow while somebody waits for a slow one already."""
    began, asked = parts.clock.monotonic(), False
    if not parts.slow.enter(instance.id, began):
        raise Unavailable("it is slow, and asked already")
    try:
        if not instance.ready():
            raise Unavailable("it is away")
        asked = True
        return instance.call(find, what, timeout=WAIT)
    finally:
        parts.slow.leave(instance.id, began, parts.clock.monotonic(), asked=asked)


def _belongs_alone(parts: Parts, instance: Instance, found: list[Profile]) -> list[Identity]:
    """The profile's addresses that lead to this one profile only.

    A family's mailbox or a switchboard leads to several people: it must not join them.
    """
    sure = []
    for said in found[0].identities:
        one = canonical(said, parts.config.hub.country, instance.id)
        owners = _ask(parts, instance, one)
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


def _order(parts: Parts, instance: Instance, number: str) -> bool:
    where = sa.and_(order.c.number == number, order.c.instance == instance.id)
    with parts.store.read() as connection:
        fetched = connection.scalar(sa.select(order.c.fetched_at).where(where))
    if fetched is not None and fetched > parts.now() - FRESH:
        return True
    assert isinstance(instance.component, KnowsOrders)
    try:
        facts = _look_up(parts, instance, instance.component.find_order, number)
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
