"""One case with all that hangs on it; one message with the reasons for what happened to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.alerts import about_itself
from hub.store.cases import case, case_ref
from hub.store.customers import customer, identity
from hub.store.health import alert
from hub.store.intake import message, message_order
from hub.store.overview import Alert
from hub.store.people import agent
from hub.store.reading_customers import OrderRow, orders
from hub.store.reading_deliveries import DeliveryRow, deliveries_of_case
from hub.store.reading_entries import Entry, OrderMark, filled
from hub.store.timeline import entries_of_case


@dataclass(frozen=True, slots=True)
class RefRow:
    """What the case is called in another tool."""

    instance: str
    remote_id: str


@dataclass(frozen=True, slots=True)
class OrderOnCase:
    """An order number that the case's messages name, with the best proof among them."""

    mark: OrderMark
    order: OrderRow | None


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """The case's own row, with the customer's names."""

    id: int
    number: str
    subject: str
    state: str
    proof: str
    language: str
    brand: str
    queue: str
    priority: int
    instance: str
    identity: str
    customer_id: int
    customer_name: str
    opened_at: datetime
    changed_at: datetime
    acknowledged_at: datetime | None
    acknowledge_reason: str
    suggested_at: datetime | None
    answered_at: datetime | None
    answered_on: str
    answered_by: str | None


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as its page shows it; `entries` oldest first."""

    case: CaseFacts
    refs: tuple[RefRow, ...]
    orders: tuple[OrderOnCase, ...]
    entries: tuple[Entry, ...]
    deliveries: tuple[DeliveryRow, ...]
    alerts: tuple[Alert, ...]


def case_view(connection: Connection, number: str) -> CaseView | None:
    """The case `number`, or None."""
    columns = [c for c in case.c if c.name not in {"answered_by", "identity_id"}]
    row = (
        connection.execute(
            sa.select(
                *columns,
                (identity.c.kind + ":" + identity.c.value).label("identity"),
                identity.c.customer_id,
                sa.func.coalesce(sa.func.nullif(customer.c.name, ""), identity.c.value).label("customer_name"),
                agent.c.name.label("answered_by"),
            )
            .join(identity, identity.c.id == case.c.identity_id)
            .join(customer, customer.c.id == identity.c.customer_id)
            .outerjoin(agent, agent.c.id == case.c.answered_by)
            .where(case.c.number.in_({number, number.upper()}))
        )
        .mappings()
        .first()
    )
    if row is None:
        return None
    facts = filled(CaseFacts, row)
    refs = connection.execute(sa.select(case_ref).where(case_ref.c.case_id == facts.id)).mappings()
    owed = tuple(deliveries_of_case(connection, facts.id))
    return CaseView(
        facts,
        tuple(filled(RefRow, r) for r in refs),
        _orders(connection, facts.id),
        entries_of_case(connection, facts.id),
        owed,
        _alerts(connection, {d.instance for d in owed} | {facts.instance}),
    )


def _orders(connection: Connection, case_id: int) -> tuple[OrderOnCase, ...]:
    """One proven mention is enough: the best proof among the messages counts."""
    query = (
        sa.select(message_order.c.number, message_order.c.proof)
        .join(message, message.c.id == message_order.c.message_id)
        .where(message.c.case_id == case_id)
        .distinct()
    )
    proofs: dict[str, set[str]] = {}
    for number, proof in connection.execute(query):
        proofs.setdefault(number, set()).add(proof)
    known = orders(connection, sorted(proofs))
    best = {n: next(p for p in ("verified", "claimed", *sorted(found)) if p in found) for n, found in proofs.items()}
    return tuple(OrderOnCase(OrderMark(n, best[n]), known.get(n)) for n in sorted(best))


def _alerts(connection: Connection, instances: set[str]) -> tuple[Alert, ...]:
    """What is wrong now with the instances this case goes through."""
    query = sa.select(alert).where(about_itself(), alert.c.instance.in_(instances)).order_by(alert.c.id)
    return tuple(filled(Alert, row) for row in connection.execute(query).mappings())
