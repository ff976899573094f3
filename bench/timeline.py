"""How long a timeline takes in a base of 100,000 messages: the hub's query beside plain sqlite3.

    python -m bench.timeline [--messages 100000] [--json]

The floor reads the same newest 50 rows with bodies in one prepared statement, without attachments,
suggestions and calls: what the hub adds to it is what a person wants to see.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from hub.store import Store, metadata
from hub.store.tables import cases, customers, intake
from hub.store.timeline import find, page

START = datetime(2026, 1, 1, tzinfo=UTC)
CHUNK = 5000

FLOOR = """
SELECT m.id, m.at, m.direction, m.sender, m.sender_name, m.subject, m.proof, b.text, b.reply
FROM message m JOIN message_body b ON b.message_id = m.id
WHERE m.identity_id = ? ORDER BY m.at DESC, m.id DESC LIMIT 50
"""


def fill(store: Store, count: int) -> list[tuple[int, str]]:
    """A base of `count` messages; returns (identity, address) of every customer, the busiest first."""
    rnd = random.Random(11)
    people = max(20, count // 20)
    with store.write() as connection:
        metadata.create_all(connection)
        ids = range(1, people + 1)
        connection.execute(
            sa.insert(customers.customer), [{"id": i, "name": f"N {i}", "created_at": START} for i in ids]
        )
        connection.execute(
            sa.insert(customers.identity),
            [{"id": i, "kind": "email", "value": f"c{i}@post.example", "customer_id": i, "origin_id": i} for i in ids],
        )
        case = {
            "instance": "support",
            "brand": "",
            "subject": "s",
            "language": "fr",
            "state": "open",
            "proof": "verified",
        }
        connection.execute(
            sa.insert(cases.case),
            [
                {"id": i, "number": f"T-{i}", "identity_id": i, "opened_at": START, "changed_at": START} | case
                for i in ids
            ],
        )
    words = "Je vous écris au sujet de ma commande, qui tarde un peu. " * 12
    for first in range(1, count + 1, CHUNK):
        _insert(store, rnd, range(first, min(first + CHUNK, count + 1)), people, words)
    return [(i, f"c{i}@post.example") for i in ids]


def _insert(store: Store, rnd: random.Random, numbers: range, people: int, words: str) -> None:
    raws, messages, bodies = [], [], []
    for n in numbers:
        who = 1 + int(rnd.random() ** 3 * people)  # few write much, most write little
        at = START + timedelta(seconds=n * 60)
        raws.append({"id": n, "instance": "support", "source_key": str(n), "received_at": at, "sha256": "", "size": 0,
                     "facts": {}, "data": b""})  # fmt: skip
        messages.append({"id": n, "raw_id": n, "instance": "support", "direction": "in", "identity_id": who,
                         "case_id": who, "at": at, "received_at": at, "subject": "s", "proof": "verified",
                         "sender": f"c{who}@post.example", "content_key": str(n), "facts": {}})  # fmt: skip
        bodies.append({"message_id": n, "text": words, "reply": words})
    with store.write() as connection:
        connection.execute(sa.insert(intake.raw), raws)
        connection.execute(sa.insert(intake.message), messages)
        connection.execute(sa.insert(intake.message_body), bodies)


def timed(asked: list[tuple[int, str]], look: Callable[[int, str], int]) -> dict[str, float]:
    """p50 and p99 in milliseconds, and the mean rows seen."""
    seconds, seen = [], 0
    for who, address in asked:
        begun = time.perf_counter()
        seen += look(who, address)
        seconds.append(time.perf_counter() - begun)
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50_ms": round(cuts[49] * 1e3, 3), "p99_ms": round(cuts[98] * 1e3, 3), "rows": round(seen / len(asked), 1)}


def measure(path: Path, count: int, looks: int) -> dict[str, dict[str, float]]:
    """Fill a base at `path` and time both, alternately, for random and for the busiest customers."""
    store = Store(f"sqlite:///{path}")
    people = fill(store, count)
    plain = sqlite3.connect(path)

    def hub(_who: int, address: str) -> int:
        with store.read() as connection:
            subject = find(connection, address, "FR")
            assert subject is not None
            return len(page(connection, subject).entries)

    def floor(who: int, _address: str) -> int:
        return len(plain.execute(FLOOR, (who,)).fetchall())

    rnd = random.Random(5)
    asked = {"random": [rnd.choice(people) for _ in range(looks)], "busiest": people[:5] * (looks // 5)}
    found: dict[str, dict[str, float]] = {}
    for name, whom in asked.items():
        timed(whom[:20], hub)  # the first look-ups fill the caches of both
        found[f"sqlite3, {name}"] = timed(whom, floor)
        found[f"hub, {name}"] = timed(whom, hub)
    plain.close()
    store.close()
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--messages", type=int, default=100_000)
    arguments.add_argument("--looks", type=int, default=500)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder) / "tresse.db", options.messages, options.looks)
    if options.json:
        print(json.dumps({"messages": options.messages, **found}))
        return
    print(f"Newest 50 of a timeline, {options.messages:,} messages in the base")
    print(f"{'':24}{'p50 ms':>10}{'p99 ms':>10}{'rows':>8}")
    for name, row in found.items():
        print(f"{name:24}{row['p50_ms']:>10}{row['p99_ms']:>10}{row['rows']:>8}")


if __name__ == "__main__":
    main()
