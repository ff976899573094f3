"""Step 8, plan: what is owed to whom. Decided outside, written in one short transaction.

The transaction is fenced by the case's version: if the customer wrote again meanwhile, the
plan is made anew. A delivery's key names instance, ability, case and cause, so a plan made
twice owes nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.log import logger
from hub.pipeline.acknowledge import acknowledgement_is_owed, remember, why_not
from hub.pipeline.enrich import enrich, verify_orders
from hub.pipeline.owe import owe, owe_acknowledgement
from hub.pipeline.parts import Parts
from hub.pipeline.replies import answered
from hub.pipeline.restored import doubt
from hub.pipeline.suggest import Answers, suggest
from hub.pipeline.voices import desks_of
from hub.rules.dates import parse_date
from hub.sdk import Direction, Suggestion
from hub.store.cases import case, delivery, suggestion
from hub.store.customers import identity
from hub.store.intake import event, message, message_body, message_order, raw, step
from hub.store.lanes import lanes_of_deliveries

_LATE = (60, 600, 3600, 21600)
"""Seconds after which a source of facts that was away is asked again."""


def plan_raw(parts: Parts, answers: Answers, raw_id: int) -> None:
    """Do everything that is left for one raw, then remove its step."""
    with parts.store.read() as connection:
        todo = connection.execute(sa.select(step).where(step.c.raw_id == raw_id)).one_or_none()
        if todo is None or todo.stage != "plan":
            return
        said = connection.execute(
            sa.select(message, message_body.c.text, message_body.c.reply)
            .join(message_body, message_body.c.message_id == message.c.id)
            .where(message.c.raw_id == raw_id)
            .order_by(message.c.id)
        ).all()
        happened = connection.scalars(sa.select(event.c.identity_id).where(event.c.raw_id == raw_id)).all()
    complete = all(enrich(parts, one) for one in happened)
    for one in said:
        if one.direction == str(Direction.OUT):
            answered(parts, one)
        else:
            complete &= _plan_message(parts, answers, one, todo)
    _finish(parts, raw_id, todo.late, complete=complete)


def _finish(parts: Parts, raw_id: int, late: int, *, complete: bool) -> None:
    """Done; or, where a source of facts was away, a later second look."""
    with parts.store.write() as connection:
        if complete or late >= len(_LATE):
            connection.execute(sa.delete(step).where(step.c.raw_id == raw_id))
            return
        due = parts.now() + timedelta(seconds=_LATE[late])
        values = {"late": late + 1, "attempts": 0, "reason": "waits for facts of a source that was away"}
        connection.execute(sa.update(step).where(step.c.raw_id == raw_id).values(due_at=due, turn_at=due, **values))


def _plan_message(parts: Parts, answers: Answers, said: sa.Row[Any], todo: sa.Row[Any]) -> bool:
    """Enrich, suggest and owe for one customer message; False when facts are still missing."""
    with parts.store.read() as connection:
        orders = connection.scalars(
            sa.select(message_order.c.number).where(message_order.c.message_id == said.id)
        ).all()
    complete = enrich(parts, said.identity_id, orders)
    if orders:
        verify_orders(parts, said.id)
    if said.case_id is None or (todo.late and not complete) or _is_history(parts, said):
        return complete
    found: list[Suggestion] = []
    if not said.automatic:
        found = suggest(parts, answers, said.subject, said.reply or said.text, said.language)
    while not _write(parts, said, found, todo):
        logger(instance=said.instance).debug("the case moved while it was planned; once more")
    return complete


def _is_history(parts: Parts, said: sa.Row[Any]) -> bool:
    """Was this there long before the hub? Then it stands on the timeline and nobody is told.

    Asked of the source's own time where it gives one: a Date header is the sender's word.
    """
    with parts.store.read() as connection:
        facts = connection.scalar(sa.select(raw.c.facts).where(raw.c.id == said.raw_id)) or {}
    came = facts.get("received", "")
    at = parse_date(came) or said.received_at
    return bool(at < parts.started - timedelta(seconds=parts.config.hub.history))


def _write(parts: Parts, said: sa.Row[Any], found: Sequence[Suggestion], todo: sa.Row[Any]) -> bool:
    """Write suggestions and deliveries; False when the case moved since it was read."""
    with parts.store.read() as connection:
        seen = connection.execute(sa.select(case).where(case.c.id == said.case_id)).one()
        who = connection.execute(sa.select(identity).where(identity.c.id == said.identity_id)).one()
    with parts.store.write() as connection:
        fence = sa.update(case).where(case.c.id == seen.id, case.c.version == seen.version)
        suggested_at = seen.suggested_at or (parts.now() if found else None)
        if not connection.execute(fence.values(suggested_at=suggested_at)).rowcount:
            return False
        _keep_suggestions(connection, parts, said, found)
        _owe_desks(connection, parts, seen, said, todo)
        if not todo.late:
            _owe_channel(connection, parts, seen, said, who, todo.turn_at, drafts=bool(found))
        doubt(connection, parts, said)
        parts.store.wake(connection, lanes_of_deliveries(connection, delivery.c.case_id == seen.id))
    return True


def _keep_suggestions(connection: Connection, parts: Parts, said: sa.Row[Any], found: Sequence[Suggestion]) -> None:
    known = set(connection.scalars(sa.select(suggestion.c.answer_id).where(suggestion.c.message_id == said.id)))
    rows = [
        {
            "case_id": said.case_id,
            "message_id": said.id,
            "answer_id": int(one.answer.partition(":")[0]),
            "matcher": "",
            "rank": one.rank,
            "score": one.score,
            "band": one.band,
            "language": one.language,
            "title": one.title,
            "text": one.text,
            "made_at": parts.now(),
        }
        for one in found
    ]
    # A second look does not change what agents were already shown, and proposes nothing to those who answered.
    if rows and not known and not _is_answered(connection, said):
        connection.execute(sa.insert(suggestion), rows)


def _is_answered(connection: Connection, said: sa.Row[Any]) -> bool:
    """Did an agent answer already? Nobody would ever say what became of a suggestion that came later."""
    reply = sa.select(message.c.id).where(
        message.c.case_id == said.case_id,
        message.c.direction == str(Direction.OUT),
        message.c.raw_id.is_not(None),
        message.c.automatic == "",
        message.c.id > said.id,
    )
    return connection.scalar(reply.limit(1)) is not None


def _owe_desks(
    connection: Connection, parts: Parts, of_case: sa.Row[Any], said: sa.Row[Any], todo: sa.Row[Any]
) -> None:
    """The enriched case, the customer's further words, and the answers, to every desk of this channel."""
    late, turn = todo.late, todo.turn_at
    for desk in desks_of(parts, of_case.instance):
        first = connection.scalar(
            sa.select(delivery.c.id).where(
                delivery.c.case_id == of_case.id, delivery.c.instance == desk.id, delivery.c.ability == "save_case"
            )
        )
        if said.automatic and first is None:
            continue  # a machine alone makes no work for agents
        owe(connection, parts, desk, "save_case", of_case, said, turn, suffix=f"/late{late}" if late else "")
        if late:
            continue
        # Not "is the case over there?": a plan may be made twice, or after that of later words.
        if _is_further(connection, said) and desk.has("AddsMessages") and said.instance != desk.id:
            owe(connection, parts, desk, "add_message", of_case, said, turn)
        if desk.has("ShowsSuggestions") and not said.automatic:
            owe(connection, parts, desk, "show", of_case, said, turn)


def _is_further(connection: Connection, said: sa.Row[Any]) -> bool:
    """Did the customer say something in this case before? A new case over there begins with those words."""
    earlier = sa.select(message.c.id).where(
        message.c.case_id == said.case_id, message.c.direction == str(Direction.IN), message.c.id < said.id
    )
    return connection.scalar(earlier.limit(1)) is not None


def _owe_channel(
    connection: Connection,
    parts: Parts,
    of_case: sa.Row[Any],
    said: sa.Row[Any],
    who: sa.Row[Any],
    turn: datetime,
    *,
    drafts: bool,
) -> None:
    """A draft where the agent writes, and the acknowledgement, once."""
    channel = parts.instances.get(said.instance)
    if channel is not None and channel.has("Drafts") and drafts:
        owe(connection, parts, channel, "draft", of_case, said, turn)
    if acknowledgement_is_owed(connection, of_case.id):
        return  # its row says what became of it; another reason would contradict it
    reason = why_not(connection, parts, of_case, said, who.value)
    if reason:
        remember(connection, of_case.id, reason)
        return
    assert channel is not None
    owe_acknowledgement(connection, parts, channel, of_case, said, who, turn)
