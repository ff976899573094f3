"""Step 4, thread: which case does a message continue, or does it open one?

Message-IDs decide: every mail of a case leaves its own and those it names in `message_ref`, so
two mails that share an ancestor nobody saw still meet, in any order of arrival.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.pipeline.parts import Parts
from hub.pipeline.read import Item
from hub.rules import threading
from hub.rules.numbers import finder, format_number
from hub.sdk import Direction, Event, Identity, Message
from hub.store import next_ids, upsert
from hub.store.base import to_ms
from hub.store.cases import case, case_counter, case_ref
from hub.store.customers import identity
from hub.store.intake import message_ref


@dataclass(slots=True)
class Said:
    """A message on its way to the timeline."""

    item: Item
    message: Message
    customer: Identity
    language: str
    orders: tuple[str, ...]
    case_id: int | None = None
    copy_of: int | None = None
    orphan: bool = False  # of a case in a desk that we do not keep: no business of ours

    @property
    def content_key(self) -> str:
        """The message's content key, in the 64 characters that its column has."""
        key = self.message.content_key
        return key if len(key) <= 64 else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class Known:
    """A case that knows a Message-ID: as a mail's own (`own`), or only named by one. `identity_id` opened it."""

    case_id: int
    opened: int
    own: bool
    identity_id: int


@dataclass(slots=True)
class Happened:
    """An event on its way to the timeline."""

    item: Item
    event: Event
    customer: Identity


@dataclass(slots=True)
class Page:
    """What one page of raws holds."""

    said: list[Said] = field(default_factory=list)
    happened: list[Happened] = field(default_factory=list)
    raw_ids: list[int] = field(default_factory=list)


def thread(connection: Connection, parts: Parts, said: Sequence[Said], ids: dict[tuple[str, str], int]) -> None:
    """Give each message its case, opening those that are missing; copies keep the case of their original."""
    now = parts.now()
    there = _remote_cases(connection, said)
    known = _known_refs(connection, said)
    numbered = _named_in_subject(connection, parts, said, ids)
    opened: list[Said] = []
    for one in said:
        if one.copy_of is not None:
            continue
        sender = ids[one.customer.kind, one.customer.value]
        one.case_id = _choose(one, known, there, sender) or numbered.get(id(one))
        if one.case_id is None and _opens(one):
            opened.append(one)
            one.case_id = -len(opened)  # stands for the row that is about to be made
        if one.case_id is not None:
            for reference in references_of(one.message):
                own = reference == one.message.message_id
                known.setdefault(reference, []).append(Known(one.case_id, to_ms(now), own, sender))
    numbers = _open(connection, parts, opened, ids)
    for one in said:
        if one.case_id is not None and one.case_id < 0:
            one.case_id = numbers[-one.case_id - 1]
    _keep_refs(connection, said)


def references_of(message: Message) -> list[str]:
    """Its own Message-ID and those it names, oldest first."""
    return [r[:500] for r in (*message.references, message.message_id) if r]


def _choose(one: Said, known: dict[str, list[Known]], there: dict[tuple[str, str], int], sender: int) -> int | None:
    message = one.message
    if message.remote_case:
        return there.get((one.item.instance, message.remote_case))
    if message.opens_case:
        return None
    references = references_of(message)
    evidence = {r: _evidence(message, known.get(r, []), r, sender) for r in references}
    return threading.choose(references, evidence)


def _evidence(message: Message, known: list[Known], reference: str, sender: int) -> list[tuple[int, int]]:
    """The cases that `reference` leads this sender to.

    Some mail programs give every mail the same Message-ID: that somebody else's mail bears it too proves nothing.
    """
    if reference == message.message_id and reference not in message.references:
        known = [k for k in known if not k.own or k.identity_id == sender]
    if len({k.identity_id for k in known if k.own}) > 1:
        known = [k for k in known if k.identity_id == sender] or known
    return [(k.case_id, k.opened) for k in known]


def _named_in_subject(
    connection: Connection, parts: Parts, said: Sequence[Said], ids: dict[tuple[str, str], int]
) -> dict[int, int]:
    """Cases whose number a subject names, where the case is the sender's own (T03); by the message's `id()`.

    For mail programs that drop References. A number alone proves nothing: it travels in forwarded mails.
    """
    numbers = finder(parts.config.hub.case_number)
    named = {
        id(one): (one, found[0].upper())
        for one in said
        if one.copy_of is None and not one.message.opens_case and (found := numbers.search(one.message.subject))
    }
    if not named:
        return {}
    rows = connection.execute(
        sa.select(sa.func.upper(case.c.number).label("number"), case.c.id, identity.c.customer_id)
        .join(identity, identity.c.id == case.c.identity_id)
        .where(case.c.number.in_({n for _, number in named.values() for n in (number, number.lower())}))
    )
    owners = {row.number: row for row in rows}
    senders = {key: ids[one.customer.kind, one.customer.value] for key, (one, _) in named.items()}
    whose = sa.select(identity.c.id, identity.c.customer_id).where(identity.c.id.in_(senders.values()))
    customers = {row.id: row.customer_id for row in connection.execute(whose)}
    return {
        key: owners[number].id
        for key, (_, number) in named.items()
        if number in owners and owners[number].customer_id == customers[senders[key]]
    }


def _opens(one: Said) -> bool:
    """A person's new words open a case; a machine's mail and what we say ourselves do not."""
    if one.message.direction is Direction.OUT:
        one.orphan = bool(one.message.remote_case)  # said on a ticket that the hub does not keep
        return False
    return not one.message.automatic


def _remote_cases(connection: Connection, said: Sequence[Said]) -> dict[tuple[str, str], int]:
    wanted = {(one.item.instance, one.message.remote_case) for one in said if one.message.remote_case}
    found: dict[tuple[str, str], int] = {}
    for instance in {i for i, _ in wanted}:  # one instance at a time, as the index is
        remote = [r for i, r in wanted if i == instance]
        rows = connection.execute(
            sa.select(case_ref.c.remote_id, case_ref.c.case_id).where(
                case_ref.c.instance == instance, case_ref.c.remote_id.in_(remote)
            )
        )
        found |= {(instance, r): number for r, number in rows}
    return found


def _known_refs(connection: Connection, said: Sequence[Said]) -> dict[str, list[Known]]:
    wanted = {r for one in said if one.copy_of is None for r in references_of(one.message)}
    known: dict[str, list[Known]] = {}
    if wanted:
        rows = connection.execute(
            sa.select(message_ref.c.ref, message_ref.c.case_id, case.c.opened_at, message_ref.c.own, case.c.identity_id)
            .join(case, case.c.id == message_ref.c.case_id)
            .where(message_ref.c.ref.in_(wanted))
        )
        for reference, number, opened, own, identity_id in rows:
            known.setdefault(reference, []).append(Known(number, to_ms(opened), own, identity_id))
    return known


def _open(connection: Connection, parts: Parts, opened: list[Said], ids: dict[tuple[str, str], int]) -> Sequence[int]:
    """Open cases for `opened`; returns their ids in order."""
    if not opened:
        return ()
    now = parts.now()
    numbers = _next_numbers(connection, parts, now, len(opened))
    made = next_ids(connection, case, len(opened))
    rows = [
        {"id": case_id, **_row(parts, one, number, ids, now)}
        for case_id, one, number in zip(made, opened, numbers, strict=True)
    ]
    connection.execute(sa.insert(case), rows)
    remote = [
        {"case_id": number, "instance": one.item.instance, "remote_id": one.message.remote_case}
        for one, number in zip(opened, made, strict=True)
        if one.message.remote_case
    ]
    if remote:  # born in the desk: it has its ticket already
        connection.execute(sa.insert(case_ref), remote)
    return made


def _row(parts: Parts, one: Said, number: str, ids: dict[tuple[str, str], int], now: datetime) -> dict[str, Any]:
    return {
        "number": number,
        "identity_id": ids[one.customer.kind, one.customer.value],
        "instance": one.item.instance,
        "brand": parts.brand_of(one.item.instance)[0],
        "subject": one.message.subject,
        "language": one.language or parts.config.hub.languages[0],
        "state": "open",
        "proof": str(one.message.proof),
        "opened_at": now,
        "changed_at": now,
    }


def _next_numbers(connection: Connection, parts: Parts, now: datetime, count: int) -> list[str]:
    """The next `count` case numbers of this year: the counter moves in the same transaction."""
    insert = upsert(connection, case_counter).values(year=now.year, last=count)
    last = connection.scalar(
        insert.on_conflict_do_update(index_elements=["year"], set_={"last": case_counter.c.last + count}).returning(
            case_counter.c.last
        )
    )
    pattern = parts.config.hub.case_number
    return [format_number(pattern, now.year, int(last) - count + 1 + i) for i in range(count)]


def _keep_refs(connection: Connection, said: Sequence[Said]) -> None:
    """Remember whose Message-IDs these are. `own` marks a mail's own ID against those it only names."""
    rows: dict[tuple[str, int], bool] = {}
    for one in said:
        if one.copy_of is None and one.case_id is not None and not one.message.opens_case:
            for reference in references_of(one.message):
                own = reference == one.message.message_id
                rows[reference, one.case_id] = own or rows.get((reference, one.case_id), False)
    if rows:
        insert = upsert(connection, message_ref)
        news = sa.and_(insert.excluded.own, sa.not_(message_ref.c.own))  # it was named before it came
        connection.execute(
            insert.on_conflict_do_update(index_elements=["ref", "case_id"], set_={"own": True}, where=news),
            [{"ref": r, "case_id": c, "own": own} for (r, c), own in rows.items()],
        )
