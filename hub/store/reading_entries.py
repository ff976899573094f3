"""What stands on a timeline: its entries as plain values, read for a page at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from hub.store.base import from_ms
from hub.store.cases import case, suggestion
from hub.store.customers import identity
from hub.store.intake import attachment, event, message, message_body, message_copy, message_order
from hub.store.people import agent


@dataclass(frozen=True, slots=True)
class OrderMark:
    """An order number on a message: claimed by its words, or verified."""

    number: str
    proof: str


@dataclass(frozen=True, slots=True)
class FileMark:
    """An attachment; `size` in bytes."""

    id: int
    name: str
    content_type: str
    size: int
    inline: bool


@dataclass(frozen=True, slots=True)
class SuggestionMark:
    """An answer proposed for the message. `score` 0..1; `outcome` is empty until an agent answered."""

    answer_id: int
    rank: int
    score: float
    band: str
    title: str
    text: str
    language: str
    matcher: str
    outcome: str
    similarity: float | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing on a timeline, as plain values. `kind` is ``message`` or ``event``.

    `identity` is the customer's side (``email:alice@customer.example``). `reply` is the new
    words alone, `text` everything. Of an event, `event`, `title` and `data` tell what happened.
    """

    kind: str
    id: int
    at: datetime
    received_at: datetime | None
    instance: str
    direction: str
    identity: str
    customer_id: int
    agent: str = ""
    sender: str = ""
    sender_name: str = ""
    subject: str = ""
    reply: str = ""
    text: str = ""
    has_html: bool = False
    language: str = ""
    proof: str = ""
    proof_reason: str = ""
    automatic: str = ""
    acknowledge_reason: str = ""
    state: str = ""
    case_number: str = ""
    raw_id: int | None = None
    orders: tuple[OrderMark, ...] = ()
    attachments: tuple[FileMark, ...] = ()
    copies: tuple[str, ...] = ()
    suggestions: tuple[SuggestionMark, ...] = ()
    event: str = ""
    title: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


def as_json(value: Any) -> Any:
    """An entry, page or subject as JSON holds it: times in ISO 8601, UTC."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if is_dataclass(value):
        return {f.name: as_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_json(v) for v in value]
    return value


ValueT = TypeVar("ValueT")
Found = dict[tuple[int, int], Entry]


def ms(table: sa.FromClause) -> sa.ColumnElement[int]:
    """The stored milliseconds themselves: a cursor must not pass through floating point."""
    return sa.type_coerce(table.c.at, sa.BigInteger)


def filled(value: type[ValueT], row: RowMapping) -> ValueT:
    """The dataclass `value` from the columns of its fields' names."""
    return value(**{f.name: row[f.name] for f in fields(cast("Any", value))})


def read_entries(connection: Connection, messages: list[int], events: list[int]) -> Found:
    """The entries of these messages and events: ``{(1, message id) or (0, event id): entry}``."""
    return _messages(connection, messages) | _events(connection, events)


_MESSAGE = (
    sa.select(
        message,
        ms(message).label("at_ms"),
        message_body.c.text,
        message_body.c.reply,
        (message_body.c.html != "").label("has_html"),
        case.c.number.label("case_number"),
        agent.c.name.label("agent"),
        identity.c.kind.label("identity_kind"),
        identity.c.value.label("identity_value"),
        identity.c.customer_id,
    )
    .join(identity, identity.c.id == message.c.identity_id)
    .outerjoin(message_body, message_body.c.message_id == message.c.id)
    .outerjoin(case, case.c.id == message.c.case_id)
    .outerjoin(agent, agent.c.id == message.c.agent_id)
)

_EVENT = (
    sa.select(
        event,
        ms(event).label("at_ms"),
        agent.c.name.label("agent"),
        identity.c.kind.label("identity_kind"),
        identity.c.value.label("identity_value"),
        identity.c.customer_id,
    )
    .join(identity, identity.c.id == event.c.identity_id)
    .outerjoin(agent, agent.c.id == event.c.agent_id)
)


def _grouped(connection: Connection, table: sa.Table, ids: Iterable[int], *order: Any) -> dict[int, list[RowMapping]]:
    groups: dict[int, list[RowMapping]] = defaultdict(list)
    query = sa.select(table).where(table.c.message_id.in_(ids)).order_by(*order)
    for row in connection.execute(query).mappings():
        groups[row["message_id"]].append(row)
    return groups


def _messages(connection: Connection, ids: list[int]) -> Found:
    if not ids:
        return {}
    orders = _grouped(connection, message_order, ids, message_order.c.number)
    files = _grouped(connection, attachment, ids, attachment.c.part)
    copies = _grouped(connection, message_copy, ids, message_copy.c.raw_id)
    proposed = _grouped(connection, suggestion, ids, suggestion.c.rank)
    found: Found = {}
    for row in connection.execute(_MESSAGE.where(message.c.id.in_(ids))).mappings():
        i = row["id"]
        found[1, i] = _message(row, orders[i], files[i], copies[i], proposed[i])
    return found


def _message(
    row: RowMapping,
    orders: list[RowMapping],
    files: list[RowMapping],
    copies: list[RowMapping],
    proposed: list[RowMapping],
) -> Entry:
    same = ("sender", "sender_name", "subject", "language", "proof", "proof_reason", "automatic", "state", "raw_id")
    return Entry(
        kind="message",
        **_common(row),
        **{name: row[name] for name in same},
        received_at=row["received_at"],
        acknowledge_reason=row["acknowledge_reason"],
        reply=row["reply"] or "",
        text=row["text"] or "",
        has_html=bool(row["has_html"]),
        case_number=row["case_number"] or "",
        orders=tuple(OrderMark(o["number"], o["proof"]) for o in orders),
        attachments=tuple(filled(FileMark, f) for f in files),
        copies=tuple(dict.fromkeys(c["instance"] for c in copies)),
        suggestions=tuple(filled(SuggestionMark, s) for s in proposed),
    )


def _common(row: RowMapping) -> dict[str, Any]:
    return {
        "id": row["id"],
        "at": from_ms(row["at_ms"]),
        "instance": row["instance"],
        "direction": row["direction"],
        "identity": f"{row['identity_kind']}:{row['identity_value']}",
        "customer_id": row["customer_id"],
        "agent": row["agent"] or "",
    }


def _events(connection: Connection, ids: list[int]) -> Found:
    if not ids:
        return {}
    rows = connection.execute(_EVENT.where(event.c.id.in_(ids))).mappings()
    return {
        (0, row["id"]): Entry(
            kind="event",
            **_common(row),
            received_at=None,
            raw_id=row["raw_id"],
            event=row["kind"],
            title=row["title"],
            data=row["data"],
        )
        for row in rows
    }
