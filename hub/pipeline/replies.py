"""An agent answered in a tool: who it was, what became of the suggestions, and the case is answered."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.pipeline.acknowledge import give_back
from hub.pipeline.parts import Parts
from hub.rules import outcome
from hub.sdk import Outcome
from hub.store.cases import case, delivery, suggestion
from hub.store.customers import identity
from hub.store.intake import message, message_body
from hub.store.people import account, agent


def answered(parts: Parts, said: sa.Row[Any]) -> None:
    """Record an agent's reply `said`. Doing it twice changes nothing."""
    if said.case_id is None or said.automatic:
        return  # a desk's own automatic words are nobody's answer
    with parts.store.read() as connection:
        open_ones = connection.execute(
            sa.select(suggestion.c.id, suggestion.c.message_id, suggestion.c.text)
            .where(
                suggestion.c.case_id == said.case_id,
                suggestion.c.outcome == "",
                suggestion.c.message_id < said.id,
            )
            .order_by(suggestion.c.message_id, suggestion.c.rank)
        ).all()
    verdicts: list[tuple[int, Outcome, float]] = []
    for _, group in groupby(open_ones, key=lambda row: row.message_id):
        rows = list(group)
        judged = outcome.judge(said.reply or said.text, [row.text for row in rows])
        verdicts += [(row.id, became, near) for row, (became, near) in zip(rows, judged, strict=True)]
    with parts.store.write() as connection:
        who = _agent(connection, parts, said)
        connection.execute(sa.update(message).where(message.c.id == said.id).values(agent_id=who))
        for number, became, near in verdicts:
            connection.execute(
                sa.update(suggestion)
                .where(suggestion.c.id == number)
                .values(outcome=str(became), outcome_at=said.at, similarity=near)
            )
        _answer_case(connection, parts, said, who)


def _answer_case(connection: Connection, parts: Parts, said: sa.Row[Any], who: int | None) -> None:
    now = parts.now()
    of_case = connection.execute(sa.select(case).where(case.c.id == said.case_id)).one()
    newer = sa.select(message.c.id).where(
        message.c.case_id == said.case_id,
        message.c.direction == "in",
        message.c.at > said.at,
        message.c.automatic == "",
    )
    facts: dict[str, Any] = {"changed_at": now}
    if connection.scalar(newer.limit(1)) is None:
        facts["state"] = "answered"
    if of_case.answered_at is None:
        facts |= {"answered_at": said.at, "answered_by": who, "answered_on": said.instance}
    # The delivery first, then the case, as everywhere: two that lock them crosswise would end each other.
    withdraw_acknowledgement(connection, said.case_id, "an agent answered before it was sent")
    connection.execute(sa.update(case).where(case.c.id == said.case_id).values(**facts))


def withdraw_acknowledgement(connection: Connection, case_id: int, reason: str) -> None:
    """An acknowledgement that was not sent yet is not owed any more."""
    waiting = connection.execute(
        sa.select(delivery.c.id, delivery.c.message_id, delivery.c.created_at, identity.c.value)
        .join(message, message.c.id == delivery.c.message_id)
        .join(identity, identity.c.id == message.c.identity_id)
        .where(delivery.c.case_id == case_id, delivery.c.ability == "send", delivery.c.state == "waiting")
    ).all()
    for row in waiting:
        connection.execute(
            sa.update(delivery).where(delivery.c.id == row.id).values(state="skipped", reason=reason, message_id=None)
        )
        connection.execute(sa.delete(message_body).where(message_body.c.message_id == row.message_id))
        connection.execute(sa.delete(message).where(message.c.id == row.message_id))
        connection.execute(sa.update(case).where(case.c.id == case_id).values(acknowledge_reason=reason))
        give_back(connection, row.value, row.created_at)


def _agent(connection: Connection, parts: Parts, said: sa.Row[Any]) -> int | None:
    """The agent behind the account that wrote; met for the first time, one is made."""
    login = said.facts.get("account", "")
    if not login:
        return None
    mine = sa.and_(account.c.instance == said.instance, account.c.remote_id == login)
    known = connection.scalar(sa.select(account.c.agent_id).where(mine))
    if known is not None:
        return int(known)
    email = said.facts.get("account_email", "").lower() or None
    number = connection.scalar(sa.select(agent.c.id).where(agent.c.email == email)) if email else None
    if number is None:
        name = said.facts.get("account_name") or login
        number = connection.scalar(
            sa.insert(agent).values(name=name[:200], email=email, created_at=parts.now()).returning(agent.c.id)
        )
    connection.execute(sa.insert(account).values(instance=said.instance, remote_id=login, agent_id=number))
    return int(number)
