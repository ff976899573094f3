"""Step 8, plan: what is owed to whom. Decided outside, written in one short transaction.

The transaction locks the case, so that what it reads of it still holds when it ends. A delivery's
key names instance, ability, case and cause, so a plan made twice owes nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.instances import Instance
from hub.pipeline.acknowledge import acknowledgement_is_owed, remember, why_not
from hub.pipeline.enrich import enrich, learned, verify_orders
from hub.pipeline.lookups import Facts
from hub.pipeline.owe import Debt, cause_of, owe, owe_acknowledgement
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
from hub.store.lanes import out_lane

_LATE = (60, 600, 3600, 21600)
"""Seconds after which a source of facts that was away is asked again."""
_SOON, _LATER, _PATIENCE = timedelta(seconds=10), timedelta(minutes=10), timedelta(days=1)
"""When it is looked whether an answer has come; when at most, where many questions wait; and for how long in all."""


# Made once, not at every use: docs/decisions/0012-what-a-message-costs.md
_TODO = (
    sa.select(
        step,
        raw.c.source_key,
        raw.c.facts,
        raw.c.received_at,
        sa.exists().where(event.c.raw_id == raw.c.id).label("happened"),
    )
    .join(raw, raw.c.id == step.c.raw_id)
    .where(step.c.raw_id == sa.bindparam("of"), step.c.stage == "plan")
)
_earlier = message.alias()
_SAID = (
    sa.select(
        message,
        message_body.c.text,
        message_body.c.reply,
        identity.c.value.label("address"),
        identity.c.name.label("known_as"),
        sa.exists().where(message_order.c.message_id == message.c.id).label("orders"),
        # Did the customer say something in this case before? A new case over there begins with those words.
        sa.exists()
        .where(
            _earlier.c.case_id == message.c.case_id,
            _earlier.c.direction == str(Direction.IN),
            _earlier.c.id < message.c.id,
        )
        .label("further"),
    )
    .join(message_body, message_body.c.message_id == message.c.id)
    .join(identity, identity.c.id == message.c.identity_id)
    .where(message.c.raw_id == sa.bindparam("of"))
    .order_by(message.c.id)
)
_HAPPENED = sa.select(event.c.identity_id).where(event.c.raw_id == sa.bindparam("of"))
_NUMBERS = sa.select(message_order.c.number).where(message_order.c.message_id == sa.bindparam("of"))
_CASES = (
    sa.select(case)
    .where(case.c.id.in_(sa.bindparam("of", expanding=True)))
    .order_by(case.c.id)  # in one order, so that two who lock several never wait for each other in a ring
    .with_for_update()
)
_SAME = (step.c.raw_id == sa.bindparam("of"), step.c.stage == "plan", step.c.late == sa.bindparam("looks"))
"""Still as it was read: a worker that was frozen takes no later look away."""
_FINISHED = sa.delete(step).where(*_SAME)


@dataclass(frozen=True, slots=True)
class Plan:
    """What was decided for one customer message before it is written."""

    said: sa.Row[Any]
    cause: str
    found: Sequence[Suggestion]
    news: bool
    """Whether the desks do not have yet what a late look shows."""


def plan_raw(parts: Parts, answers: Answers, raw_id: int) -> None:
    """Do everything that is left for one raw, then remove its step."""
    with parts.store.read() as connection:
        todo = connection.execute(_TODO, {"of": raw_id}).one_or_none()
        if todo is None:
            return
        if todo.turn_at <= todo.received_at:  # another worker may have read it: this one hears of it here
            parts.crowd.came(parts.now())
        said = connection.execute(_SAID, {"of": raw_id}).all()
        happened = connection.scalars(_HAPPENED, {"of": raw_id}).all() if todo.happened else []
    facts = max((enrich(parts, one) for one in happened), default=Facts.HERE)
    plans: list[Plan] = []
    for place, one in enumerate(said):
        if one.direction == str(Direction.OUT):
            answered(parts, one)
            continue
        facts = max(facts, _ask(parts, one))
        news = bool(todo.late) and one.case_id is not None and _is_news(parts, one)
        if one.case_id is None or (todo.late and facts and not news) or _is_history(parts, one, todo):
            continue
        found: list[Suggestion] = []
        if not one.automatic:
            found = suggest(parts, answers, one.subject, one.reply or one.text, one.language)
        plans.append(Plan(one, cause_of(todo.instance, todo.source_key, place), found, news))
    _write(parts, todo, plans, facts)


def _ask(parts: Parts, said: sa.Row[Any]) -> Facts:
    """Ask the sources of facts about a customer's message; says whether facts are still missing."""
    orders: Sequence[str] = ()
    if said.orders:
        with parts.store.read() as connection:
            orders = connection.scalars(_NUMBERS, {"of": said.id}).all()
    facts = enrich(parts, said.identity_id, orders)
    if orders:
        verify_orders(parts, said.id)
    return facts


def _is_news(parts: Parts, said: sa.Row[Any]) -> bool:
    with parts.store.read() as connection:
        return learned(connection, said)


def _is_history(parts: Parts, said: sa.Row[Any], todo: sa.Row[Any]) -> bool:
    """Was this there long before the hub? Then it stands on the timeline and nobody is told.

    Asked of the source's own time where it gives one: a Date header is the sender's word.
    """
    at = parse_date((todo.facts or {}).get("received", "")) or said.received_at
    return bool(at < parts.started - timedelta(seconds=parts.config.hub.history))


def _write(parts: Parts, todo: sa.Row[Any], plans: Sequence[Plan], facts: Facts) -> None:
    """Write suggestions and deliveries, and that it is done: all of it or nothing."""
    with parts.store.write() as connection:
        cases = {}
        if plans:  # locked: if the customer writes again meanwhile, that waits for us, or we see it
            rows = connection.execute(_CASES, {"of": [one.said.case_id for one in plans]})
            cases = {row.id: row for row in rows}
        for one in plans:
            _write_one(connection, parts, cases[one.said.case_id], one, todo)
        _finish(connection, parts, todo, facts, news=any(one.news for one in plans))


def _write_one(connection: Connection, parts: Parts, of_case: sa.Row[Any], plan: Plan, todo: sa.Row[Any]) -> None:
    if plan.found:
        suggested = sa.update(case).where(case.c.id == of_case.id, case.c.suggested_at.is_(None))
        connection.execute(suggested.values(suggested_at=parts.now()))
        _keep_suggestions(connection, parts, plan.said, plan.found)
    debts = _owed_to_desks(connection, parts, of_case, plan, todo)
    if not todo.late:
        debts += _owed_to_channel(connection, parts, of_case, plan)
    owe(connection, debts, todo.turn_at, parts.now())
    doubt(connection, parts, plan.said)
    behind = todo.turn_at > parts.now()
    parts.store.wake(connection, [out_lane(one.lane, behind=behind) for one in debts])


def _finish(connection: Connection, parts: Parts, todo: sa.Row[Any], facts: Facts, *, news: bool) -> None:
    """Done; or, where facts are missing, a late look. Nothing waits for it: what is said meanwhile is planned."""
    wait = _until_next_look(todo, parts.now(), facts)
    if wait is None:
        connection.execute(_FINISHED, {"of": todo.raw_id, "looks": todo.late})
        return
    due = parts.now() + wait
    # What the desks are told once more needs a number of its own.
    late = todo.late + 1 if news or facts is Facts.AWAY else max(1, todo.late)
    values = {"late": late, "attempts": 0, "reason": "waits for facts of a source that is slow"}
    if facts is Facts.AWAY:
        values |= {"reason": "waits for facts of a source that was away"}
    again = sa.update(step).where(*_SAME).values(due_at=due, turn_at=due, **values)
    connection.execute(again, {"of": todo.raw_id, "looks": todo.late})


def _until_next_look(todo: sa.Row[Any], now: datetime, facts: Facts) -> timedelta | None:
    """None when there is none any more."""
    if facts is Facts.HERE:
        return None
    age = now - todo.received_at
    if facts is Facts.AWAY or age > _PATIENCE:
        return timedelta(seconds=_LATE[todo.late]) if todo.late < len(_LATE) else None
    # A thousand questions to a slow source take hours: what waits long is looked at seldom.
    return _SOON if facts is Facts.COMING else min(max(age, _SOON), _LATER)


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
    if not known and not _is_answered(connection, said):
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


def _owed_to_desks(
    connection: Connection, parts: Parts, of_case: sa.Row[Any], plan: Plan, todo: sa.Row[Any]
) -> list[Debt]:
    """The enriched case, the customer's further words, and the answers, to every desk of this channel."""
    said, owed = plan.said, []
    for desk in desks_of(parts, of_case.instance):
        if said.automatic and not _knows(connection, desk, of_case):
            continue  # a machine alone makes no work for agents
        abilities = ([f"save_case/late{todo.late}"] if plan.news else []) if todo.late else ["save_case"]
        if not todo.late:
            # Not "is the case over there?": a plan may be made twice, or after that of later words.
            if said.further and desk.has("AddsMessages") and said.instance != desk.id:
                abilities.append("add_message")
            if desk.has("ShowsSuggestions") and not said.automatic:
                abilities.append("show")
        owed += [_debt(desk, one, of_case, plan) for one in abilities]
    return owed


def _debt(instance: Instance, what: str, of_case: sa.Row[Any], plan: Plan) -> Debt:
    """`what` is an ability; one that is owed once more for the same words says so behind a slash."""
    ability, slash, suffix = what.partition("/")
    key = f"{instance.id}/{ability}/{of_case.number}/{plan.cause}{slash}{suffix}"
    return Debt(key, instance.id, ability, of_case.id, plan.said.id)


def _knows(connection: Connection, desk: Instance, of_case: sa.Row[Any]) -> bool:
    """Was the case ever owed to this desk?"""
    first = sa.select(delivery.c.id).where(
        delivery.c.case_id == of_case.id, delivery.c.instance == desk.id, delivery.c.ability == "save_case"
    )
    return connection.scalar(first.limit(1)) is not None


def _owed_to_channel(connection: Connection, parts: Parts, of_case: sa.Row[Any], plan: Plan) -> list[Debt]:
    """A draft where the agent writes, and the acknowledgement, once."""
    said, owed = plan.said, []
    channel = parts.instances.get(said.instance)
    if channel is not None and channel.has("Drafts") and plan.found:
        owed.append(_debt(channel, "draft", of_case, plan))
    if acknowledgement_is_owed(connection, of_case.id):
        return owed  # its row says what became of it; another reason would contradict it
    reason = why_not(connection, parts, of_case, said, said.address)
    if reason:
        remember(connection, of_case.id, reason)
        return owed
    assert channel is not None
    return [*owed, owe_acknowledgement(connection, parts, channel, of_case, said)]
