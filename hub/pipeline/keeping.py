"""Keep raws, in as few statements as there can be: web threads wait for what is pushed, a mailbox for its page.

So both databases are spoken to below Core (docs/decisions/0009, 0016). On PostgreSQL a statement is a round trip, for
whose answer a thread waits, and then for the interpreter that the others have taken meanwhile: all is one statement.
On SQLite it is the preparing of statements that costs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.flow import Flow, number_of
from hub.mail.glance import sender_of
from hub.sdk import Raw
from hub.store.base import At, to_ms
from hub.store.intake import LONGEST_KEY, raw, step

_POSTGRESQL = """
WITH given AS (
    SELECT *
    FROM unnest(
        %s::text[], %s::text[], %s::text[], %s::int[], %s::json[], %b::bytea[], %s::bigint[], %s::int[], %s::int[]
    ) WITH ORDINALITY AS g (instance, source_key, sha256, size, facts, data, turn_at, sender, flood, place)
), kept AS (
    INSERT INTO raw (instance, source_key, received_at, sha256, size, facts, data)
    SELECT instance, source_key, %s, sha256, size, facts, data FROM given ORDER BY place
    ON CONFLICT DO NOTHING
    RETURNING id, instance, source_key
)
INSERT INTO step (raw_id, stage, state, instance, due_at, turn_at, flood)
SELECT kept.id, 'read', 'waiting', instance, %s, given.turn_at, CASE
    WHEN given.flood > 0 OR given.sender = 0 THEN given.flood
    WHEN (SELECT 1 FROM step
          WHERE state = 'waiting' AND stage = 'read' AND step.instance = given.instance AND step.flood = given.sender
          LIMIT 1) = 1 THEN given.sender
    ELSE 0 END
FROM kept LEFT JOIN given USING (instance, source_key)
"""
"""To the left: were a key kept otherwise than it was given, it would have no turn, which the table refuses. A raw
without a step would never be read."""
_SQLITE_RAW = """
INSERT INTO raw (instance, source_key, received_at, sha256, size, facts, data)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_SQLITE_STEP = """
INSERT INTO step (raw_id, stage, state, instance, due_at)
SELECT id, 'read', 'waiting', instance, ? FROM raw WHERE id > ?
"""
_BEHIND = (
    sa.update(step)
    .where(
        step.c.raw_id
        == sa.select(raw.c.id)
        .where(
            raw.c.instance == sa.bindparam("of"),
            raw.c.source_key == sa.bindparam("called"),
            raw.c.id > sa.bindparam("last"),  # what was here before keeps its place
        )
        .scalar_subquery()
    )
    .values(turn_at=sa.bindparam("turn", type_=At), flood=sa.bindparam("of_flood"))
)
# Asked on SQLite: on PostgreSQL the statement above does.
_asked = sa.func.json_each(sa.bindparam("senders")).table_valued("value").c.value
_in_flood = step.c.state == "waiting", step.c.stage == "read", step.c.instance == sa.bindparam("of")
_ANY_FLOOD = sa.select(step.c.raw_id).where(*_in_flood, step.c.flood > 0).limit(1)
_FLOODS = sa.select(_asked).where(
    sa.select(1).where(*_in_flood, step.c.flood == _asked).limit(1).scalar_subquery() == 1
)


@dataclass(frozen=True, slots=True)
class _Given:
    """One that came in, and its turn."""

    instance: str
    key: str
    """The raw's own, as the table keeps it."""
    raw: Raw
    sender: str
    turn_at: datetime
    flood: int

    def row(self) -> tuple[str, str, str, int, str, bytes]:
        """In the order in which both statements take it, without the time."""
        one = self.raw
        digest = hashlib.sha256(one.data).hexdigest()
        facts = {name: _text(said) if isinstance(said, str) else said for name, said in one.facts.items()}
        return self.instance, self.key, digest, len(one.data), json.dumps(facts), one.data


def stored_key(key: str) -> str:
    """A source's key as both databases can hold it, the same at every call.

    A source may have any key: the name of a file need not be text. A page that cannot be kept for one key's sake
    would come again and again, and nothing behind it would.
    """
    plain = _text(key).replace("\0", "\ufffd")
    if plain == key and len(key) <= LONGEST_KEY:
        return key
    # Two of them must not become one: the second would be lost.
    return f"{plain[: LONGEST_KEY - 65]}#{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _text(said: str) -> str:
    """Without what UTF-8 has no bytes for: lone surrogates, by which Python shows a file's name that is no text."""
    return said if said.isascii() else said.encode("utf-8", "backslashreplace").decode()


def keep(connection: Connection, brought: Iterable[tuple[str, Sequence[Raw]]], now: datetime, flow: Flow) -> None:
    """Keep what instances brought, by their ids.

    What is here already stays as it is, and of a key that comes twice the first one is kept. On PostgreSQL this is one
    statement, so a connection that commits each by itself will do; on SQLite it wants a transaction.
    """
    found = [(instance, one, _sender(one)) for instance, raws in brought for one in raws]
    if not found:
        return
    sqlite = connection.dialect.name == "sqlite"
    senders = [(instance, sender) for instance, _, sender in found]
    turns = _turns(senders, _floods_here(connection, senders) if sqlite else set(), now, flow)
    given: dict[tuple[str, str], _Given] = {}
    for (instance, one, sender), (turn, flood) in zip(found, turns, strict=True):
        key = stored_key(one.key)
        given.setdefault((instance, key), _Given(instance, key, one, sender, turn, flood))
    (_to_sqlite if sqlite else _to_postgresql)(connection, list(given.values()), now)


def _to_postgresql(connection: Connection, given: Sequence[_Given], now: datetime) -> None:
    """Whether a sender's flood waits is asked by the statement itself, as `_floods_here` asks on SQLite."""
    rows = [(*one.row(), to_ms(one.turn_at), number_of(one.sender), one.flood) for one in given]
    columns = [list(column) for column in zip(*rows, strict=True)]
    connection.exec_driver_sql(_POSTGRESQL, (*columns, to_ms(now), to_ms(now)))


def _to_sqlite(connection: Connection, given: Sequence[_Given], now: datetime) -> None:
    """Nobody else writes meanwhile, so what lies behind the last id is ours."""
    last, at = connection.exec_driver_sql("SELECT coalesce(max(id), 0) FROM raw").scalar_one(), to_ms(now)
    rows = [(instance, key, at, *rest) for instance, key, *rest in (one.row() for one in given)]
    connection.exec_driver_sql(_SQLITE_RAW, rows)
    connection.exec_driver_sql(_SQLITE_STEP, (at, last))
    behind = [
        {"of": one.instance, "called": one.key, "last": last, "turn": one.turn_at, "of_flood": one.flood}
        for one in given
        if one.flood
    ]
    if behind:  # a flood; everybody else's turn is at once, which costs no statement
        connection.execute(_BEHIND, behind)


def _turns(
    senders: Iterable[tuple[str, str]], floods: set[tuple[str, int]], now: datetime, flow: Flow
) -> list[tuple[datetime, int]]:
    """When each, by instance and sender, has its turn, and the number of the sender whose flood it is read behind.

    0 for none. `floods` are those that are known of, by instance and number; what begins here is added.
    """
    found = []
    for instance, sender in senders:
        turn, number = flow.turn(instance, sender, now), number_of(sender)
        if turn > now:
            floods.add((instance, number))
        found.append((turn, number if (instance, number) in floods else 0))
    return found


def _floods_here(connection: Connection, senders: Sequence[tuple[str, str]]) -> set[tuple[str, int]]:
    """The floods of these senders that wait to be read; on SQLite.

    Behind them comes everything more of their senders, though this process may never have heard of it: else a
    customer's words could overtake each other.
    """
    return {
        (instance, number)
        for instance in {instance for instance, _ in senders}
        for number in _floods(connection, instance, {number_of(one) for of, one in senders if of == instance})
    }


def _floods(connection: Connection, instance: str, senders: Collection[int]) -> Iterable[int]:
    """Those of the senders whose flood waits to be read."""
    if not any(senders) or connection.scalar(_ANY_FLOOD, {"of": instance}) is None:
        return ()
    asked = {"of": instance, "senders": json.dumps([*senders])}
    return connection.scalars(_FLOODS, asked).all()


def _sender(one: Raw) -> str:
    """Who seems to have sent it: by the channel's word, else by a glance at its bytes."""
    return _text(str(one.facts.get("sender") or sender_of(one.data)))
