"""One call into a writing ability, with values built from today's rows."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from hub.instances import Bug, Instance
from hub.pipeline.build import build_case, build_message, build_suggestions
from hub.pipeline.parts import Parts
from hub.sdk import (
    AddsMessages,
    Drafts,
    Effect,
    Identity,
    KeepsCases,
    Outgoing,
    Sends,
    ShowsSuggestions,
)
from hub.store.cases import case, case_ref
from hub.store.customers import identity
from hub.store.intake import message, message_body


def effect_of(parts: Parts, instance: Instance, head: sa.Row[Any]) -> Effect:
    """The effect of a delivery: its key, its cause, and what the far side calls the case."""
    with parts.store.read() as connection:
        there = connection.scalar(
            sa.select(case_ref.c.remote_id).where(
                case_ref.c.case_id == head.case_id, case_ref.c.instance == instance.id
            )
        )
        number = connection.scalar(sa.select(case.c.number).where(case.c.id == head.case_id)) or ""
        cause = connection.scalar(sa.select(message.c.message_id).where(message.c.id == head.message_id)) or ""
    known = {"number": number, **({"case": there} if there else {})}
    return Effect(head.key, cause, known)


def call_ability(parts: Parts, instance: Instance, head: sa.Row[Any]) -> str:
    """Do what the delivery owes; returns the far side's id."""
    component = instance.component
    effect = effect_of(parts, instance, head)
    if head.ability == "send":
        assert isinstance(component, Sends)
        return instance.call(component.send, _outgoing(parts, head), effect, once=head.key)
    with parts.store.read() as connection:
        of_case = build_case(connection, parts, head.case_id)
        said = build_message(connection, head.message_id)
        suggestions = build_suggestions(connection, head.message_id)
    if head.ability == "save_case":
        assert isinstance(component, KeepsCases)
        number = instance.call(component.save_case, of_case, effect, once=head.key)
        if not number:  # what follows could not say which case it is for
            raise Bug(f"{component.name} gave the case no number")
        return number
    if head.ability == "add_message":
        assert isinstance(component, AddsMessages)
        return instance.call(component.add_message, of_case, said, effect, once=head.key)
    if head.ability == "show":
        assert isinstance(component, ShowsSuggestions)
        return instance.call(component.show, of_case, suggestions, effect, once=head.key)
    assert isinstance(component, Drafts)
    return instance.call(component.draft, of_case, said, suggestions, effect, once=head.key)


def _outgoing(parts: Parts, head: sa.Row[Any]) -> Outgoing:
    with parts.store.read() as connection:
        row = connection.execute(
            sa.select(message, message_body.c.text, message_body.c.html)
            .join(message_body, message_body.c.message_id == message.c.id)
            .where(message.c.id == head.message_id)
        ).one()
        who = connection.execute(sa.select(identity).where(identity.c.id == row.identity_id)).one()
        number = connection.scalar(sa.select(case.c.number).where(case.c.id == head.case_id)) or ""
    parent = row.facts.get("in_reply_to", "")
    return Outgoing(
        kind=row.facts.get("kind", "acknowledgement"),
        to=Identity(who.kind, who.value, who.name),
        subject=row.subject,
        text=row.text,
        html=row.html,
        in_reply_to=parent,
        references=(parent,) if parent else (),
        case_number=number,
        language=row.language,
    )
