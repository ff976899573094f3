"""Who kept which page, by the database's own word: a record of every commit that moves a cursor or takes a lease.

A trigger of the campaign's own writes it, in the transaction that it tells of: what was rolled back is not in it. It
runs while the cursor's row is locked, so its numbers are the order of the commits. Each process says its name through
`PGOPTIONS` (see `places.Process`), so the record does not believe the epoch that a writer claims to write under.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg

RECORD = """
CREATE TABLE campaign_commit (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
    instance text NOT NULL, source text NOT NULL, took boolean NOT NULL, epoch integer NOT NULL,
    owner text NOT NULL, life text NOT NULL, stood integer NOT NULL, stands integer NOT NULL
);
CREATE FUNCTION campaign_record() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO campaign_commit (instance, source, took, epoch, owner, life, stood, stands)
    VALUES (NEW.instance, NEW.source, NEW.epoch <> OLD.epoch, NEW.epoch, NEW.owner,
            current_setting('campaign.life', true),
            coalesce((OLD.value ->> 'n')::integer, 0), coalesce((NEW.value ->> 'n')::integer, 0));
    RETURN NULL;
END $$;
CREATE TRIGGER campaign_record AFTER UPDATE OF value, epoch ON cursor FOR EACH ROW EXECUTE FUNCTION campaign_record();
"""


@dataclass(frozen=True, slots=True)
class Commit:
    """A lease taken, or a page kept, by one life of a process."""

    life: str
    took: bool
    epoch: int
    """Where the row stands; the writer may have begun under an earlier one."""
    stood: int
    stands: int
    """The cursor before and after."""


@dataclass(slots=True)
class Found:
    """What a record shows of one source."""

    pages: int = 0
    takes: int = 0
    overlapping: list[Commit] = field(default_factory=list)
    """Pages kept by a process whose lease another had taken by then, or that brought the cursor back."""


def record(url: str) -> None:
    """Begin to write down what happens in a hub's database."""
    with psycopg.connect(url) as connection:
        connection.execute(RECORD)


def commits(url: str, instance: str) -> Iterator[Commit]:
    """All so far, in their order."""
    query = "SELECT life, took, epoch, stood, stands FROM campaign_commit WHERE instance = %s ORDER BY number"
    with psycopg.connect(url) as connection:
        yield from (Commit(*row) for row in connection.execute(query, (instance,)))


def owner(url: str, instance: str) -> str:
    """The life that took the lease last; it may have ended since. Empty where nobody ever did."""
    query = "SELECT life FROM campaign_commit WHERE instance = %s AND took ORDER BY number DESC LIMIT 1"
    with psycopg.connect(url) as connection:
        row = connection.execute(query, (instance,)).fetchone()
    return str(row[0]) if row else ""


def look(record: Iterator[Commit]) -> Found:
    """Whether pages were kept by the owner of the moment alone. Epochs are counted one by one."""
    found, taker = Found(), ""
    for one in record:
        if one.took:
            found.takes += 1
            taker = one.life
            assert one.epoch == found.takes, f"a lease was taken without a new epoch: {one}"
            continue
        found.pages += 1
        # One that was overtaken, and took the lease again since, is known by its cursor alone.
        if one.life != taker or one.epoch != found.takes or one.stands < one.stood:
            found.overlapping.append(one)
    return found
