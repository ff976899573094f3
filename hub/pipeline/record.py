"""Step 5, record: a page of what was read stands on the timeline, in one short transaction.

When the page fails, its raws are tried one by one, and the culprit alone is set aside.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.log import logger
from hub.pipeline.facts import insert_events, insert_messages
from hub.pipeline.parts import Parts
from hub.pipeline.read import Culprit, Item, next_page, read_ahead, read_page
from hub.pipeline.resolve import canonical, mark_undeliverable, resolve
from hub.pipeline.thread import Happened, Page, Said, thread
from hub.pipeline.unread import set_aside, still_unread
from hub.rules.language import detect
from hub.rules.orders import find_orders
from hub.sdk import Direction, Event
from hub.store import ILL, alone, upsert
from hub.store.cases import case, delivery
from hub.store.intake import message, message_copy, step
from hub.store.lanes import lanes_of_raws

FIRST_DOUBT, DOUBT = timedelta(seconds=2), timedelta(days=7)
"""How soon, and for how long, an agent's words on an unknown ticket are looked at again."""
REST, LONGEST_REST = 10.0, 1.0
"""While others are about, a flood rests so many times as long as its page took, and never longer than so many seconds.

Read as fast as it goes, it takes the interpreter away from all who plan and deliver for the others, and is planned
no sooner.
"""


def record_page(parts: Parts, instance: str) -> int:
    """Read and record the next raws of an instance; returns how many were taken."""
    rows = next_page(parts, instance)
    if not rows:
        return 0
    begun = parts.clock.monotonic()
    try:
        taken = _read_and_record(parts, instance, rows)
    except BaseException:
        # What was begun with lies behind this page, and must not be taken before it.
        parts.ahead.pop(instance, None)
        raise
    if any(row.flood for row in rows):
        now = parts.clock.monotonic()
        parts.rests_until[instance] = now + min(REST * (now - begun), LONGEST_REST)
    return taken


def _read_and_record(parts: Parts, instance: str, rows: Sequence[Any]) -> int:
    done = read_page(parts, instance, rows)
    if len(done) == len(rows):  # else the rest of this page comes first
        read_ahead(parts, instance, rows)
    items = [one for one in done if isinstance(one, Item)]
    culprits = [one for one in done if isinstance(one, Culprit)]
    try:
        _record(parts, items)
    except ILL:
        raise  # the database itself is ill: the page waits, nobody is to blame
    except Exception as error:  # noqa: BLE001 - find the culprit, below; the others go on
        logger().warning("page failed, going one by one", error=type(error).__name__, raws=len(items))
        culprits += _one_by_one(parts, items)
    if culprits:
        set_aside(parts, culprits)
    return len(rows)


def _one_by_one(parts: Parts, items: Sequence[Item]) -> list[Culprit]:
    culprits = []
    for item in items:
        try:
            _record(parts, [item])
        except ILL:
            raise
        except Exception as error:  # noqa: BLE001 - this one alone is set aside
            logger(instance=item.instance).error("kept unread", raw=item.raw_id, error=type(error).__name__)
            culprits.append(Culprit(item.raw_id, f"{type(error).__name__} while it was recorded"))
    return culprits


def _record(parts: Parts, items: Sequence[Item]) -> None:
    if not items:
        return
    page = _prepare(parts, items)
    now = parts.now()
    with parts.store.write() as connection:
        # Who is whose, and which mail belongs to which case, is decided by one at a time.
        alone(connection, "customers")
        # Asked here, not before: a worker that was frozen meanwhile would find its own messages, recorded by
        # another one, take them for copies, and remove what is still to be done with them.
        unread = still_unread(connection, page.raw_ids)
        if len(unread) < len(items):
            page = _prepare(parts, [item for item in items if item.raw_id in unread])
        _find_copies(connection, page.said)
        fresh = [one for one in page.said if one.copy_of is None]
        ids = resolve(connection, [*(one.customer for one in fresh), *(h.customer for h in page.happened)], now)
        thread(connection, parts, fresh, ids)
        kept = [one for one in fresh if not one.orphan]
        insert_messages(connection, kept, ids)
        _keep_copies(connection, page.said)
        insert_events(connection, page.happened, ids)
        _touch_cases(connection, kept, now)
        for one in kept:
            if one.message.bounced:
                mark_undeliverable(connection, one.message.bounced, one.message.subject)
        later = _until_the_case_is_known(connection, page, now)
        _next_steps(connection, page, kept, {*page.raw_ids} - later, now)
        parts.store.wake(connection, lanes_of_raws(connection, page.raw_ids))


def _prepare(parts: Parts, items: Sequence[Item]) -> Page:
    """Everything that needs no database: canonical addresses, languages, order numbers."""
    page = Page(raw_ids=[item.raw_id for item in items])
    hub = parts.config.hub
    for item in items:
        for one in item.said:
            customer = canonical(one.customer, hub.country, item.instance)
            if isinstance(one, Event):
                page.happened.append(Happened(item, one, customer))
                continue
            words = f"{one.subject}\n{one.reply or one.text}"
            orders = find_orders(words, parts.order_patterns(item.instance))
            orders = tuple(dict.fromkeys((*(o.upper() for o in one.order_numbers), *orders)))
            page.said.append(Said(item, one, customer, detect(words, hub.languages, one.language), orders))
    return page


def _find_copies(connection: Connection, said: Sequence[Said]) -> None:
    """The same mail in a second mailbox, and our own mail come back (L05, M06), is a copy."""
    keys = {one.content_key for one in said if one.content_key}
    own = {one.message.message_id for one in said if one.message.message_id}
    known: dict[str, int] = {}
    if keys:
        rows = connection.execute(sa.select(message.c.content_key, message.c.id).where(message.c.content_key.in_(keys)))
        known = dict(rows.all())
    ours: dict[str, int] = {}
    if own:
        sent = sa.select(message.c.message_id, message.c.id).where(
            message.c.message_id.in_(own), message.c.direction == str(Direction.OUT), message.c.raw_id.is_(None)
        )
        ours = dict(connection.execute(sent).all())
    for one in said:
        one.copy_of = known.get(one.content_key) or ours.get(one.message.message_id)
        if one.copy_of is None and one.content_key:
            known[one.content_key] = -one.item.raw_id  # a second one in this page is a copy of this


def _keep_copies(connection: Connection, said: Sequence[Said]) -> None:
    copies = [one for one in said if one.copy_of is not None]
    if not copies:
        return
    within = {-one.copy_of for one in copies if one.copy_of is not None and one.copy_of < 0}
    originals: dict[int, int] = {}
    if within:
        rows = connection.execute(sa.select(message.c.raw_id, message.c.id).where(message.c.raw_id.in_(within)))
        originals = dict(rows.all())
    rows_to_keep = []
    for one in copies:
        assert one.copy_of is not None
        original = one.copy_of if one.copy_of > 0 else originals[-one.copy_of]
        rows_to_keep.append({"raw_id": one.item.raw_id, "message_id": original, "instance": one.item.instance})
    # A raw of several messages is named once: it is the raw that came again.
    connection.execute(upsert(connection, message_copy).on_conflict_do_nothing(), rows_to_keep)


def _touch_cases(connection: Connection, kept: Sequence[Said], now: datetime) -> None:
    """A customer's new words open the case again; a machine's do not (L03)."""
    spoken = {
        one.case_id
        for one in kept
        if one.case_id is not None and one.message.direction is Direction.IN and not one.message.automatic
    }
    if spoken:
        connection.execute(
            sa.update(case)
            .where(case.c.id.in_(spoken))
            .values(state="open", changed_at=now, version=case.c.version + 1)
        )


def _until_the_case_is_known(connection: Connection, page: Page, now: datetime) -> set[int]:
    """Raws to read again later: said on a ticket that may be ours, whose number we may not have heard yet.

    An agent is quicker than a lost answer. What was said on a desk's other tickets is read a few times
    more for it, at doubling distances, and only while a case is on its way to that desk.
    """
    later: set[int] = set()
    for item in {one.item.raw_id: one.item for one in page.said if one.orphan}.values():
        age = now - item.received_at
        doubtful = sa.select(delivery.c.id).where(
            delivery.c.instance == item.instance,
            delivery.c.state.in_(("waiting", "sending", "rejected", "unsure")),
            delivery.c.ability == "save_case",
            delivery.c.attempts > 0,
        )
        if age < DOUBT and len(item.said) == 1 and connection.scalar(doubtful.limit(1)) is not None:
            later.add(item.raw_id)
            again = sa.update(step).where(step.c.raw_id == item.raw_id)
            connection.execute(again.values(due_at=now + max(FIRST_DOUBT, age), reason="waits for its case"))
    return later


def _next_steps(
    connection: Connection, page: Page, kept: Sequence[Said], through: Collection[int], now: datetime
) -> None:
    """What is left to do goes on as `plan`; the rows of everything else that is `through` go."""
    onward: dict[int, int | None] = {h.item.raw_id: None for h in page.happened}
    onward |= {one.item.raw_id: one.case_id for one in kept}
    if onward:
        first = sa.select(sa.func.min(message.c.id)).where(message.c.raw_id == sa.bindparam("which")).scalar_subquery()
        place = sa.func.coalesce(first, 0)
        connection.execute(
            sa.update(step)
            .where(step.c.raw_id == sa.bindparam("which"))
            .values(stage="plan", case_id=sa.bindparam("of_case"), place=place, attempts=0, due_at=now, reason=""),
            [{"which": raw_id, "of_case": case_id} for raw_id, case_id in onward.items()],
        )
    gone = [raw_id for raw_id in through if raw_id not in onward]
    if gone:
        connection.execute(sa.delete(step).where(step.c.raw_id.in_(gone)))
