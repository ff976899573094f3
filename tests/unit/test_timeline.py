"""The braid read back: whose timeline a key means, what a page holds, and that paging loses nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import timeline
from tests import databases
from tests.unit.braid import NOON, Braid, open_store


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    store = open_store(tmp_path)
    with store.write() as connection:
        yield connection
    store.close()


@pytest.fixture
def rows(connection: Connection) -> Braid:
    return Braid(connection)


def everything(connection: Connection, subject: timeline.Subject, limit: int) -> list[timeline.Entry]:
    entries: list[timeline.Entry] = []
    before: str | None = None
    while True:
        page = timeline.page(connection, subject, before, limit)
        entries += page.entries
        before = page.next
        if before is None:
            return entries


@pytest.mark.parametrize(
    "key", ["alice@customer.example", " alice@CUSTOMER.example ", "+33 1 99 00 12 34", "01 99 00 12 34", "crm:42"]
)
def test_every_address_of_a_customer_finds_her(connection: Connection, rows: Braid, key: str) -> None:
    rows.customer("Alice", ("email", "alice@customer.example"), ("phone", "+33199001234"), ("crm", "42"))
    rows.customer("Bob", ("email", "bob@customer.example"))
    subject = timeline.find(connection, key, "FR")
    assert subject is not None
    assert (subject.kind, subject.title, len(subject.identity_ids)) == ("customer", "Alice", 3)


def test_nobody_is_found_by_what_nobody_has(connection: Connection) -> None:
    for key in (
        "",
        "nobody@customer.example",
        "TR-2026-000001",
        "crm:",
        "customer:x",
        "customer:" + "9" * 40,
        "+33",
        "é",
    ):
        assert timeline.find(connection, key, "FR") is None


def test_a_name_lists_candidates_even_when_there_is_one(connection: Connection, rows: Braid) -> None:
    rows.customer("Alice Martin", ("email", "alice@one.example"))
    subject = timeline.find(connection, "alice martin", "FR")
    assert subject is not None
    assert subject.identity_ids == ()
    assert [c.identities for c in subject.candidates] == [("alice@one.example",)]
    assert timeline.page(connection, subject).entries == ()
    chosen = timeline.find(connection, subject.candidates[0].key, "FR")
    assert chosen is not None
    assert chosen.title == "Alice Martin"


def test_two_crms_with_a_customer_of_one_number_are_two_candidates(connection: Connection, rows: Braid) -> None:
    from hub.store.customers import profile

    for name, crm in (("Alice", "shop"), ("Bob", "desk")):
        (identity,) = rows.customer(name, ("email", f"{name}@customer.example"))
        rows.insert(
            profile, instance=crm, identity_id=identity, remote_id="12", name=name, segment="", language="",
            facts={}, fetched_at=NOON,
        )  # fmt: skip
    subject = timeline.find(connection, "crm:12", "FR")
    assert subject is not None
    assert [c.name for c in subject.candidates] == ["Alice", "Bob"]


def test_identities_are_braided_newest_first_and_bob_stays_out(connection: Connection, rows: Braid) -> None:
    mail, phone = rows.customer("Alice", ("email", "alice@customer.example"), ("phone", "+33199001234"))
    (bob,) = rows.customer("Bob", ("email", "bob@customer.example"))
    first = rows.message(mail, "un", rows.ago(30))
    call = rows.event(phone, at=rows.ago(20), title="appel", data={"seconds": 63})
    last = rows.message(phone, "deux", rows.ago(10))
    rows.message(bob, "pas moi", rows.ago(15))
    subject = timeline.find(connection, "alice@customer.example", "FR")
    assert subject is not None
    entries = timeline.page(connection, subject).entries
    assert [(e.kind, e.id) for e in entries] == [("message", last), ("event", call), ("message", first)]
    assert entries[1].data == {"seconds": 63}
    assert entries[1].identity == "phone:+33199001234"


def test_paging_gives_each_entry_once_also_with_equal_times(connection: Connection, rows: Braid) -> None:
    ids = rows.customer("Alice", ("email", "a@customer.example"), ("phone", "+33199001234"), ("handle", "@alice"))
    chance = random.Random(7)
    for _ in range(40):
        at = NOON - timedelta(milliseconds=chance.randrange(12))
        if chance.random() < 0.5:
            rows.message(chance.choice(ids), "x", at)
        else:
            rows.event(chance.choice(ids), at=at)
    subject = timeline.find(connection, "a@customer.example", "FR")
    assert subject is not None
    whole = [(e.kind, e.id) for e in timeline.page(connection, subject).entries]
    assert len(whole) == len(set(whole)) == 40
    for limit in (1, 3, 7):
        assert [(e.kind, e.id) for e in everything(connection, subject, limit)] == whole


def test_what_arrives_between_two_pages_shifts_nothing(connection: Connection, rows: Braid) -> None:
    (mail,) = rows.customer("Alice", ("email", "a@customer.example"))
    for minutes in range(6):
        rows.message(mail, str(minutes), rows.ago(minutes))
    subject = timeline.find(connection, "a@customer.example", "FR")
    assert subject is not None
    first = timeline.page(connection, subject, limit=3)
    rows.message(mail, "new", NOON + timedelta(minutes=1))
    second = timeline.page(connection, subject, first.next, 3)
    assert [e.text for e in first.entries + second.entries] == ["0", "1", "2", "3", "4", "5"]
    assert second.next is None


@pytest.mark.parametrize("cursor", ["x", "....", "MS4y", "é", "A" * 300])
def test_a_damaged_cursor_is_named(connection: Connection, rows: Braid, cursor: str) -> None:
    rows.customer("Alice", ("email", "a@customer.example"))
    subject = timeline.find(connection, "a@customer.example", "FR")
    assert subject is not None
    with pytest.raises(ValueError, match="first page"):
        timeline.page(connection, subject, cursor)


def test_a_message_brings_all_that_hangs_on_it(connection: Connection, rows: Braid) -> None:
    from hub.store.intake import message_copy

    (mail,) = rows.customer("Alice", ("email", "a@customer.example"))
    case_id = rows.case("TR-2026-000001", mail)
    agent = rows.agent("Camille Roy")
    message = rows.message(
        mail, "whole", case_id=case_id, reply="new", html="<p>x</p>", agent_id=agent, proof="claimed"
    )
    rows.order_on(message, "CMD-2026-0042")
    file = rows.file(message, "photo.jpg", "image/jpeg", 1234)
    rows.insert(message_copy, raw_id=rows.raw("sales"), message_id=message, instance="sales")
    for rank, score in ((2, 0.6), (1, 0.9)):
        answer = rows.answer(f"a{rank}", fr=("Q", "R"))
        rows.suggestion(case_id, message, answer, rank, score, outcome="used" if rank == 1 else "ignored")
    (entry,) = timeline.entries_of_case(connection, case_id)
    assert (entry.case_number, entry.agent, entry.reply, entry.text, entry.has_html) == (
        "TR-2026-000001", "Camille Roy", "new", "whole", True,
    )  # fmt: skip
    assert [(o.number, o.proof) for o in entry.orders] == [("CMD-2026-0042", "claimed")]
    assert [(f.id, f.size) for f in entry.attachments] == [(file, 1234)]
    assert entry.copies == ("sales",)
    assert [(s.rank, s.outcome) for s in entry.suggestions] == [(1, "used"), (2, "ignored")]
    assert json.loads(json.dumps(timeline.as_json(entry)))["at"] == "2026-11-23T12:00:00.000Z"


def test_an_orders_timeline_shows_who_named_it_and_never_opens_the_owners(connection: Connection, rows: Braid) -> None:
    (owner,) = rows.customer("Alice", ("email", "alice@customer.example"))
    (stranger,) = rows.customer("Mallory", ("email", "mallory@customer.example"))
    rows.shop_order("CMD-2026-0042", "shipped", [("email", "alice@customer.example")])
    rows.message(owner, "private")
    claim = rows.message(stranger, "where is CMD-2026-0042?", rows.ago(3))
    rows.order_on(claim, "CMD-2026-0042")
    shipped = rows.event(owner, "order", rows.ago(5), data={"order": "CMD-2026-0042", "state": "shipped"})
    rows.event(owner, "order", rows.ago(6), data={"order": "CMD-2026-0001"})
    subject = timeline.find(connection, "cmd-2026-0042", "FR")
    assert subject is not None
    assert subject.kind == "order"
    assert len(subject.customer_ids) == 1
    assert [(e.kind, e.id) for e in timeline.page(connection, subject).entries] == [
        ("message", claim),
        ("event", shipped),
    ]


def test_a_page_costs_the_same_queries_whatever_it_holds(connection: Connection, rows: Braid) -> None:
    counts = []
    for size in (2, 40):
        (mail,) = rows.customer(f"C{size}", ("email", f"c{size}@customer.example"))
        case_id = rows.case(f"TR-{size}", mail)
        for n in range(size):
            message = rows.message(mail, "x", rows.ago(n), case_id=case_id)
            rows.suggestion(case_id, message, rows.answer(f"{size}-{n}", fr=("Q", "R")), 1, 0.5)
            rows.event(mail, at=rows.ago(n))
        subject = timeline.find(connection, f"c{size}@customer.example", "FR")
        assert subject is not None
        asked: list[str] = []

        def note(_c: object, _cur: object, statement: str, *_rest: object, asked: list[str] = asked) -> None:
            asked.append(statement)

        sa.event.listen(connection, "before_cursor_execute", note)
        assert timeline.page(connection, subject, limit=100).entries
        sa.event.remove(connection, "before_cursor_execute", note)
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 9


def test_the_newest_of_ten_thousand_come_from_the_index(connection: Connection, rows: Braid) -> None:
    if not databases.is_sqlite():
        pytest.skip("SQLite's planner tells what it does; PostgreSQL's depends on how much there is")
    (mail, phone) = rows.customer("Alice", ("email", "a@customer.example"), ("phone", "+33199001234"))
    subject = timeline.find(connection, "a@customer.example", "FR")
    assert subject is not None
    query = timeline._message_places(subject, (5, 1, 5), 51)
    assert query is not None
    plan = " ".join(
        r[3]
        for r in connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {query.compile(connection, compile_kwargs={'literal_binds': True})}"
        )
    )
    assert plan.count("USING COVERING INDEX ix_message_identity_id_at") == 2
    assert "SCAN message" not in plan
    assert (mail, phone) == subject.identity_ids
