"""Answers as the knowledge base's pages list them: wordings, phrasings, and how often they served."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.answers import answer, phrasing, variant
from hub.store.cases import suggestion
from hub.store.reading_entries import filled


@dataclass(frozen=True, slots=True)
class VariantRow:
    """One wording: the question as people ask it, and the text ready to paste."""

    id: int
    language: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class PhrasingRow:
    """Another way to ask for it."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """An answer with its wordings. `proposed` and `used` count suggestions."""

    id: int
    ref: str
    title: str
    state: str
    changed_at: datetime
    variants: tuple[VariantRow, ...]
    phrasings: tuple[PhrasingRow, ...]
    proposed: int
    used: int


def answers(
    connection: Connection,
    *,
    search: str = "",
    language: str = "",
    state: str = "",
    before: int | None = None,
    limit: int = 50,
) -> tuple[list[AnswerRow], int | None]:
    """Answers, newest first, and the id to go on `before` (None: these were the last)."""
    query = sa.select(answer.c.id).order_by(answer.c.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(answer.c.id < before)
    if state:
        query = query.where(answer.c.state == state)
    if language:
        query = query.where(answer.c.id.in_(sa.select(variant.c.answer_id).where(variant.c.language == language)))
    for word in search.lower().split()[:8]:
        query = query.where(_holds(word))
    ids = list(connection.scalars(query))
    return _rows(connection, ids[:limit]), ids[limit - 1] if len(ids) > limit else None


def answer_row(connection: Connection, answer_id: int) -> AnswerRow | None:
    """One answer, or None."""
    return next(iter(_rows(connection, [answer_id])), None)


def _holds(word: str) -> sa.ColumnElement[bool]:
    """Every word must stand somewhere in a wording or a phrasing; a base of answers is small enough to look."""
    said = sa.func.lower(variant.c.title + " " + variant.c.text).contains(word, autoescape=True)
    asked = sa.func.lower(phrasing.c.text).contains(word, autoescape=True)
    return (
        answer.c.id.in_(sa.select(variant.c.answer_id).where(said))
        | answer.c.id.in_(sa.select(phrasing.c.answer_id).where(asked))
        | sa.func.lower(answer.c.ref).contains(word, autoescape=True)
    )


def _rows(connection: Connection, ids: list[int]) -> list[AnswerRow]:
    found = {r.id: r for r in connection.execute(sa.select(answer).where(answer.c.id.in_(ids)))}
    wordings: dict[int, list[VariantRow]] = {}
    query: sa.Select[Any] = sa.select(variant).where(variant.c.answer_id.in_(ids)).order_by(variant.c.id)
    for row in connection.execute(query).mappings():
        wordings.setdefault(row["answer_id"], []).append(filled(VariantRow, row))
    asked: dict[int, list[PhrasingRow]] = {}
    query = sa.select(phrasing).where(phrasing.c.answer_id.in_(ids)).order_by(phrasing.c.id)
    for row in connection.execute(query).mappings():
        asked.setdefault(row["answer_id"], []).append(filled(PhrasingRow, row))
    served = {
        owner: (proposed, used)
        for owner, proposed, used in connection.execute(
            sa.select(
                suggestion.c.answer_id,
                sa.func.count(),
                sa.func.sum(sa.case((suggestion.c.outcome.in_(("used", "edited")), 1), else_=0)),
            )
            .where(suggestion.c.answer_id.in_(ids))
            .group_by(suggestion.c.answer_id)
        )
    }
    return [
        AnswerRow(
            id=i,
            ref=found[i].ref,
            title=found[i].title,
            state=found[i].state,
            changed_at=found[i].changed_at,
            variants=tuple(wordings.get(i, ())),
            phrasings=tuple(asked.get(i, ())),
            proposed=served.get(i, (0, 0))[0],
            used=served.get(i, (0, 0))[1],
        )
        for i in ids
        if i in found
    ]
