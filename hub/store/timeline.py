"""The braid: all messages and events of a customer, an order or a case, newest first.

A page costs a handful of set-based queries whatever it holds. Each identity gives its own
newest rows from its own index and the few are merged: with `IN` over the identities a
database would sort everything these ever said. Paging is by key, never by offset, so that
what arrives meanwhile neither repeats nor hides an entry.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store.intake import event, message, message_order
from hub.store.reading_entries import Entry, as_json, ms, read_entries
from hub.store.reading_subject import Candidate, Subject, find, of_customer

__all__ = ["Candidate", "Entry", "Subject", "TimelinePage", "as_json", "entries_of_case", "find", "of_customer", "page"]

MOST = 200
"""Entries on a page, at most."""


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """Some entries, newest first, and the cursor of the next page (None: this was the last)."""

    entries: tuple[Entry, ...]
    next: str | None


def page(connection: Connection, subject: Subject, before: str | None = None, limit: int = 50) -> TimelinePage:
    """The entries of `subject` older than the cursor `before`. Raises ValueError for a damaged cursor."""
    limit = max(1, min(limit, MOST))
    cursor = _opened(before) if before else None
    marks = [(row.at, 1, row.id) for row in _rows(connection, _message_places(subject, cursor, limit + 1))]
    marks += [(row.at, 0, row.id) for row in _rows(connection, _event_places(subject, cursor, limit + 1))]
    marks.sort(reverse=True)
    more, marks = len(marks) > limit, marks[:limit]
    found = read_entries(connection, [m[2] for m in marks if m[1]], [m[2] for m in marks if not m[1]])
    entries = tuple(found[rank, i] for _, rank, i in marks)
    return TimelinePage(entries, _sealed(marks[-1]) if more else None)


def entries_of_case(connection: Connection, case_id: int, limit: int = MOST) -> tuple[Entry, ...]:
    """A case's messages, oldest first, as one reads a conversation."""
    newest = page(connection, Subject("case", "", "", case_id=case_id), limit=limit).entries
    return tuple(reversed(newest))


# -- where the entries are -------------------------------------------------------------------

Mark = tuple[int, int, int]  # milliseconds, 1 message or 0 event, id: the total order of a timeline


def _sealed(mark: Mark) -> str:
    return base64.urlsafe_b64encode(".".join(map(str, mark)).encode()).decode().rstrip("=")


def _opened(cursor: str) -> Mark:
    try:
        at, rank, row = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split(".")
        return int(at), int(rank), int(row)
    except (ValueError, binascii.Error) as error:
        raise ValueError("this page's cursor is damaged: start again from the first page") from error


def _rows(connection: Connection, query: sa.Select[Any] | None) -> Sequence[Any]:
    return [] if query is None else connection.execute(query).all()


def _older(table: sa.FromClause, rank: int, cursor: Mark | None) -> list[sa.ColumnElement[bool]]:
    """What comes after the cursor in (at, rank, id), all descending."""
    if cursor is None:
        return []
    at, cursor_rank, row = cursor
    if rank == cursor_rank:
        return [ms(table) <= at, sa.or_(ms(table) < at, table.c.id < row)]
    return [ms(table) <= at if rank < cursor_rank else ms(table) < at]


def _newest(
    table: sa.FromClause,
    source: sa.FromClause,
    rank: int,
    cursor: Mark | None,
    limit: int,
    *where: sa.ColumnElement[bool],
) -> sa.Select[Any]:
    """The next `limit` places of one strand."""
    return (
        sa.select(ms(table).label("at"), table.c.id.label("id"))
        .select_from(source)
        .where(*where, *_older(table, rank, cursor))
        .order_by(table.c.at.desc(), table.c.id.desc())
        .limit(limit)
    )


def _braided(strands: list[sa.Select[Any]], limit: int) -> sa.Select[Any] | None:
    """The newest of several strands, each read from its own index."""
    if len(strands) < 2:
        return strands[0] if strands else None
    each = sa.union_all(*(sa.select(s.subquery()) for s in strands)).subquery()
    return sa.select(each.c.at, each.c.id).order_by(each.c.at.desc(), each.c.id.desc()).limit(limit)


def _message_places(subject: Subject, cursor: Mark | None, limit: int) -> sa.Select[Any] | None:
    if subject.kind == "case":
        return _newest(message, message, 1, cursor, limit, message.c.case_id == subject.case_id)
    if subject.kind == "order":
        return _newest(message, message, 1, cursor, limit, _about_order(subject.number))
    strands = [_newest(message, message, 1, cursor, limit, message.c.identity_id == i) for i in subject.identity_ids]
    return _braided(strands, limit)


def _about_order(number: str) -> sa.ColumnElement[bool]:
    """What names the order, and all that was said in the cases where somebody named it."""
    named = sa.select(message_order.c.message_id).where(message_order.c.number == number)
    cases = sa.select(message.c.case_id).where(message.c.id.in_(named), message.c.case_id.is_not(None))
    return sa.or_(message.c.id.in_(named), message.c.case_id.in_(cases))


def _event_places(subject: Subject, cursor: Mark | None, limit: int) -> sa.Select[Any] | None:
    """Events have no case; those of an order are its owners' events that name it (``data.order``)."""
    if subject.kind == "case":
        return None
    about = [event.c.data["order"].as_string() == subject.number] if subject.kind == "order" else []
    strands = [_newest(event, event, 0, cursor, limit, event.c.identity_id == i, *about) for i in subject.identity_ids]
    return _braided(strands, limit)
