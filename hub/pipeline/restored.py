"""After a restore: what the lost hub may have done already is looked for, or a human decides; it is not repeated.

What was fetched between the backup and the crash is fetched again, for the cursor is the backup's.
Its effects may be out there already, and no row tells. So for everything that lay at its source
before the lost hub ended, and for everything that was owed at the moment of the backup:

* a far side that can be searched (`Finds`) is searched before it is written to;
* at a blind one (mail) the delivery is "unsure" from the start, with one alert for each such instance.

There is no lower bound in time: a mailbox that was away at the backup gave its old mail afterwards.
docs/decisions/0010-after-a-restore.md
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.pipeline.parts import Parts
from hub.pipeline.settle import mark_unsure
from hub.rules.dates import parse_date
from hub.store import Store
from hub.store.cases import delivery
from hub.store.intake import raw
from hub.store.restored import Restored, end_all_sessions, skip_numbers, write_restored

CLOCKS = timedelta(minutes=1)
"""How far the clocks of the hub and of a mail server may be apart."""
CATCHING_UP = timedelta(hours=1)
"""What comes from a source that gives no time counts as fetched again for so long."""


@dataclass(frozen=True, slots=True)
class Marked:
    """What a restore left to decide: deliveries now unsure, those looked for first, case numbers passed over."""

    unsure: int
    looked_for: int
    numbers: int


def mark_restored(store: Store, restored: Restored, searchable: Collection[str]) -> Marked:
    """Put the guard up, in one transaction, before a hub works on the restored rows.

    `searchable` are the instances whose far sides can be asked.
    """
    with store.write(durable=True) as connection:
        write_restored(connection, restored)
        numbers = skip_numbers(connection, restored)
        end_all_sessions(connection)
        rows = connection.execute(
            sa.select(delivery).where(delivery.c.state.in_(("waiting", "sending", "held"))).order_by(delivery.c.id)
        ).all()
        unsure, looked_for = _guard(connection, rows, searchable, restored.at)
    return Marked(unsure, looked_for, numbers)


def doubt(connection: Connection, parts: Parts, said: sa.Row[Any]) -> None:
    """In the transaction that planned `said`: guard what it owes, where that may have been done before."""
    if parts.restored is None or not _was_there(connection, said, parts.restored):
        return
    fresh = sa.select(delivery).where(
        delivery.c.case_id == said.case_id,
        delivery.c.state == "waiting",
        delivery.c.attempts == 0,
        delivery.c.reason == "",  # a human's decision has one
    )
    rows = connection.execute(fresh.order_by(delivery.c.id)).all()
    searchable = {i.id for i in parts.having("Finds")}
    _guard(connection, rows, searchable, parts.now())


def _was_there(connection: Connection, said: sa.Row[Any], restored: Restored) -> bool:
    """Whether `said` lay at its source while the lost hub may still have worked."""
    facts = connection.scalar(sa.select(raw.c.facts).where(raw.c.id == said.raw_id)) or {}
    came = parse_date(facts.get("received", ""))
    if came is not None:
        return came <= restored.until + CLOCKS
    # The sender's own date alone would let a clock that runs ahead have its mail acknowledged twice.
    return bool(said.at <= restored.until or said.received_at <= restored.at + CATCHING_UP)


def _guard(
    connection: Connection, rows: Collection[sa.Row[Any]], searchable: Collection[str], now: datetime
) -> tuple[int, int]:
    blind = [r for r in rows if r.instance not in searchable]
    others = [r.id for r in rows if r.instance in searchable and not (r.attempts and r.started_at)]
    for row in blind:
        mark_unsure(connection, row, "it may have been sent before the restore", now)
    if others:  # who has tried before looks before it writes
        begun = {"started_at": now, "attempts": delivery.c.attempts + 1}
        connection.execute(sa.update(delivery).where(delivery.c.id.in_(others)).values(**begun))
    return len(blind), len(others)
