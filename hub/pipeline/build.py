"""Rows to values for far sides: the enriched case, its suggestions, a message.

Built at the moment of delivery, so that a far side that was away for an hour gets today's state.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.pipeline.parts import Parts
from hub.sdk import Case, Customer, Direction, Identity, Message, OrderOnCase, Proof, Suggestion
from hub.store.cases import case, suggestion
from hub.store.customers import customer, identity, order
from hub.store.intake import message, message_body, message_order


def build_case(connection: Connection, parts: Parts, case_id: int) -> Case:
    """The enriched case."""
    row = connection.execute(sa.select(case).where(case.c.id == case_id)).one()
    who = connection.execute(sa.select(identity).where(identity.c.id == row.identity_id)).one()
    first = connection.execute(
        sa.select(message_body.c.text)
        .join(message, message.c.id == message_body.c.message_id)
        .where(message.c.case_id == case_id, message.c.direction == str(Direction.IN))
        .order_by(message.c.id)
        .limit(1)
    ).scalar()
    brand = parts.brand_of(row.instance)[1]
    return Case(
        number=row.number,
        subject=row.subject,
        language=row.language,
        opened_at=row.opened_at,
        state=row.state,
        brand=brand.name,
        channel=row.instance,
        requester=Identity(who.kind, who.value, who.name),
        proof=Proof(row.proof),
        customer=_customer(connection, who.customer_id, row),
        orders=_orders(connection, row, who.customer_id),
        first_text=first or "",
        queue=row.queue,
        priority=row.priority,
        link=f"{parts.config.hub.address.rstrip('/')}/cases/{row.number}",
    )


def _customer(connection: Connection, customer_id: int, of_case: sa.Row[Any]) -> Customer:
    row = connection.execute(sa.select(customer).where(customer.c.id == customer_id)).one()
    known = connection.execute(
        sa.select(identity).where(identity.c.customer_id == customer_id).order_by(identity.c.id)
    ).all()
    earlier = sa.select(sa.func.count()).where(
        case.c.identity_id.in_([one.id for one in known]), case.c.id < of_case.id
    )
    return Customer(
        name=row.name,
        identities=tuple(Identity(one.kind, one.value, one.name) for one in known),
        segment=row.segment,
        language=row.language,
        earlier_cases=connection.scalar(earlier) or 0,
    )


def _orders(connection: Connection, of_case: sa.Row[Any], customer_id: int) -> tuple[OrderOnCase, ...]:
    """The order numbers of the case. Verified takes a proven sender who owns the order."""
    numbers = connection.scalars(
        sa.select(message_order.c.number)
        .join(message, message.c.id == message_order.c.message_id)
        .where(message.c.case_id == of_case.id)
        .group_by(message_order.c.number)
        .order_by(sa.func.min(message.c.id), message_order.c.number)
    ).all()
    facts = {row.number: row for row in connection.execute(sa.select(order).where(order.c.number.in_(numbers))).all()}
    mine = {
        (kind, value)
        for kind, value in connection.execute(
            sa.select(identity.c.kind, identity.c.value).where(identity.c.customer_id == customer_id)
        )
    }
    found = []
    for number in numbers:
        row = facts.get(number)
        owned = row is not None and any(tuple(owner) in mine for owner in row.owners)
        proof = Proof.VERIFIED if owned and of_case.proof == str(Proof.VERIFIED) else Proof.CLAIMED
        found.append(
            OrderOnCase(
                number,
                proof,
                state=row.state if row is not None else "",
                known=row is not None,
                facts={**(row.facts if row is not None else {}), "owner": _owner(row, owned=owned)},
            )
        )
    return tuple(found)


def _owner(row: sa.Row[Any] | None, *, owned: bool) -> str:
    """`same`, `other` or `unknown`: whose order is it, measured by the address it was written from."""
    if row is None or not row.owners:
        return "unknown"
    return "same" if owned else "other"


def build_suggestions(connection: Connection, message_id: int) -> list[Suggestion]:
    """What was suggested for a message, best first."""
    rows = connection.execute(
        sa.select(suggestion).where(suggestion.c.message_id == message_id).order_by(suggestion.c.rank)
    )
    return [
        Suggestion(f"{row.answer_id}:{row.language}", row.title, row.text, row.language, row.score, row.band, row.rank)
        for row in rows
    ]


def build_message(connection: Connection, message_id: int) -> Message:
    """A recorded message as a value again."""
    row = connection.execute(
        sa.select(message, message_body.c.text, message_body.c.html, message_body.c.reply)
        .join(message_body, message_body.c.message_id == message.c.id)
        .where(message.c.id == message_id)
    ).one()
    who = connection.execute(sa.select(identity).where(identity.c.id == row.identity_id)).one()
    return Message(
        direction=Direction(row.direction),
        sender=Identity(who.kind, row.sender or who.value, row.sender_name),
        customer=Identity(who.kind, who.value, who.name),
        at=row.at,
        subject=row.subject,
        text=row.text,
        html=row.html,
        reply=row.reply,
        proof=Proof(row.proof),
        proof_reason=row.proof_reason,
        automatic=row.automatic,
        message_id=row.message_id,
        language=row.language,
        facts=dict(row.facts),
    )
