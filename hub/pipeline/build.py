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

_first_words = (
    sa.select(message_body.c.text)
    .join(message, message.c.id == message_body.c.message_id)
    .where(message.c.case_id == case.c.id, message.c.direction == str(Direction.IN))
    .order_by(message.c.id)
    .limit(1)
    .correlate(case)
    .scalar_subquery()
)
_other, _own = case.alias(), identity.alias()
_earlier = (
    sa.select(sa.func.count())
    .select_from(_other)
    .join(_own, _own.c.id == _other.c.identity_id)
    .where(_own.c.customer_id == identity.c.customer_id, _other.c.id < case.c.id)
    .correlate(case, identity)
    .scalar_subquery()
)
# Made once, not at every use: docs/decisions/0012-what-a-message-costs.md
_CASE = (
    sa.select(
        case,
        identity.c.kind,
        identity.c.value,
        identity.c.name,
        identity.c.customer_id,
        customer.c.name.label("customer_name"),
        customer.c.segment,
        customer.c.language.label("customer_language"),
        _first_words.label("first_words"),
        _earlier.label("earlier"),
    )
    .join(identity, identity.c.id == case.c.identity_id)
    .join(customer, customer.c.id == identity.c.customer_id)
    .where(case.c.id == sa.bindparam("of"))
)
_IDENTITIES = (
    sa.select(identity.c.kind, identity.c.value, identity.c.name)
    .where(identity.c.customer_id == sa.bindparam("of"))
    .order_by(identity.c.id)
)
_NUMBERS = (
    sa.select(message_order.c.number)
    .join(message, message.c.id == message_order.c.message_id)
    .where(message.c.case_id == sa.bindparam("of"))
    .group_by(message_order.c.number)
    .order_by(sa.func.min(message.c.id), message_order.c.number)
)
_SUGGESTIONS = sa.select(suggestion).where(suggestion.c.message_id == sa.bindparam("of")).order_by(suggestion.c.rank)
_MESSAGE = (
    sa.select(
        message,
        message_body.c.text,
        message_body.c.html,
        message_body.c.reply,
        identity.c.kind,
        identity.c.value,
        identity.c.name,
    )
    .join(message_body, message_body.c.message_id == message.c.id)
    .join(identity, identity.c.id == message.c.identity_id)
    .where(message.c.id == sa.bindparam("of"))
)


def build_case(connection: Connection, parts: Parts, case_id: int) -> Case:
    """The enriched case."""
    row = connection.execute(_CASE, {"of": case_id}).one()
    known = [Identity(*one) for one in connection.execute(_IDENTITIES, {"of": row.customer_id})]
    brand = parts.brand_of(row.instance)[1]
    return Case(
        number=row.number,
        subject=row.subject,
        language=row.language,
        opened_at=row.opened_at,
        state=row.state,
        brand=brand.name,
        channel=row.instance,
        requester=Identity(row.kind, row.value, row.name),
        proof=Proof(row.proof),
        customer=Customer(
            name=row.customer_name,
            identities=tuple(known),
            segment=row.segment,
            language=row.customer_language,
            earlier_cases=row.earlier,
        ),
        orders=_orders(connection, row, {(one.kind, one.value) for one in known}),
        first_text=row.first_words or "",
        queue=row.queue,
        priority=row.priority,
        link=f"{parts.config.hub.address.rstrip('/')}/cases/{row.number}",
    )


def _orders(connection: Connection, of_case: sa.Row[Any], mine: set[tuple[str, str]]) -> tuple[OrderOnCase, ...]:
    """The order numbers of the case. Verified takes a proven sender who owns the order."""
    numbers = connection.scalars(_NUMBERS, {"of": of_case.id}).all()
    if not numbers:
        return ()
    facts = {row.number: row for row in connection.execute(sa.select(order).where(order.c.number.in_(numbers))).all()}
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
    rows = connection.execute(_SUGGESTIONS, {"of": message_id})
    return [
        Suggestion(f"{row.answer_id}:{row.language}", row.title, row.text, row.language, row.score, row.band, row.rank)
        for row in rows
    ]


def build_message(connection: Connection, message_id: int) -> Message:
    """A recorded message as a value again."""
    row = connection.execute(_MESSAGE, {"of": message_id}).one()
    return Message(
        direction=Direction(row.direction),
        sender=Identity(row.kind, row.sender or row.value, row.sender_name),
        customer=Identity(row.kind, row.value, row.name),
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
