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
from hub.store.customers import identity
from hub.store.intake import message, message_body


def effect_of(head: sa.Row[Any]) -> Effect:
    """The effect of a delivery: its key, its cause, and what the far side calls the case."""
    known = {"number": head.number or "", **({"case": head.there} if head.there else {})}
    return Effect(head.key, head.cause or "", known)


def call_ability(parts: Parts, instance: Instance, head: sa.Row[Any]) -> str:
    """Do what the delivery owes; returns the far side's id. `head` is as hub/pipeline/deliver.py reads it."""
    component = instance.component
    effect = effect_of(head)
    if head.ability == "send":
        assert isinstance(component, Sends)
        return instance.call(component.send, _outgoing(parts, head), effect, once=head.key)
    with parts.store.read() as connection:
        of_case = build_case(connection, parts, head.case_id)
        if head.ability in ("add_message", "draft"):
            said = build_message(connection, head.message_id)
        if head.ability in ("show", "draft"):
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
    parent = row.facts.get("in_reply_to", "")
    return Outgoing(
        kind=row.facts.get("kind", "acknowledgement"),
        to=Identity(who.kind, who.value, who.name),
        subject=row.subject,
        text=row.text,
        html=row.html,
        in_reply_to=parent,
        references=(parent,) if parent else (),
        case_number=head.number or "",
        language=row.language,
    )
