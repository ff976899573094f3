"""The queries beside the timeline: figures, the last day, customers with what is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from hub.store.customers import profile
from hub.store.intake import step
from hub.store.overview import counts, last_day
from hub.store.reading_cases import case_view
from hub.store.reading_customers import customers, person, recent_customers
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


def test_a_message_counts_as_served_once_whatever_became_of_its_other_suggestions(
    connection: Connection, rows: Braid
) -> None:
    (who,) = rows.customer("Alice", ("email", "a@customer.example"))
    case_id = rows.case("TR-1", who)
    for outcomes in (("used", "ignored", "ignored"), ("ignored", "other"), ("", "")):
        message = rows.message(who, "x", case_id=case_id)
        for rank, outcome in enumerate(outcomes, 1):
            answer = rows.answer(f"{message}-{rank}", fr=("Q", "R"))
            rows.suggestion(case_id, message, answer, rank, 0.5, outcome=outcome)
    figures = counts(connection, NOON)
    assert (figures.judged, figures.served) == (2, 1)
    assert figures.outcomes == {"used": 1, "ignored": 3, "other": 1}


def test_the_backlog_is_as_old_as_what_is_due_longest(connection: Connection, rows: Braid) -> None:
    assert counts(connection, NOON).backlog == 0
    rows.delivery("rt", "show", "waiting", due_at=NOON + timedelta(hours=1))
    assert counts(connection, NOON).backlog == 0
    rows.insert(
        step, raw_id=rows.raw(), stage="read", state="waiting", instance="support", due_at=rows.ago(2), turn_at=NOON
    )
    assert counts(connection, NOON).backlog == 120


def test_the_last_day_by_the_hour(connection: Connection, rows: Braid) -> None:
    (who,) = rows.customer("Alice", ("email", "a@customer.example"))
    for minutes in (60 * 50, 60 * 30, 60 * 23, 61, 60, 5):
        rows.message(who, "x", rows.ago(minutes))
    rows.message(who, "x", rows.ago(61), direction="out")
    rows.event(who, at=rows.ago(61))
    hours = last_day(connection, NOON)
    assert len(hours) == 24
    assert [(24 - n, h.incoming, h.outgoing, h.events) for n, h in enumerate(hours) if h.incoming] == [
        (24, 1, 0, 0),
        (3, 1, 1, 1),
        (2, 2, 0, 0),
    ]
    assert last_day(connection, NOON + timedelta(days=9))[5].incoming == 0


def test_a_profile_known_by_two_addresses_is_told_once(connection: Connection, rows: Braid) -> None:
    mail, phone = rows.customer("Alice", ("email", "a@customer.example"), ("phone", "+33199001234"))
    for identity, segment, minutes in ((mail, "old", 9), (phone, "new", 1)):
        rows.insert(
            profile, instance="shop", identity_id=identity, remote_id="12", name="Alice", segment=segment,
            language="fr", facts={}, fetched_at=rows.ago(minutes),
        )  # fmt: skip
    found = person(connection, 1)
    assert found is not None
    assert [p.segment for p in found.profiles] == ["new"]
    assert person(connection, 99) is None


def test_customers_are_searched_by_the_beginning_of_words(connection: Connection, rows: Braid) -> None:
    rows.customer("Alice Martin", ("email", "am@customer.example"))
    rows.customer("Bob 100%", ("email", "bob_x@customer.example"))
    for words, names in (
        ("mart", ["Alice Martin"]),
        ("AM@", ["Alice Martin"]),
        ("artin", []),
        ("%", []),
        ("bob_x", ["Bob 100%"]),
        ("bob-x", []),
    ):
        assert [c.name for c in customers(connection, search=words)[0]] == names, words


def test_who_wrote_last_comes_first(connection: Connection, rows: Braid) -> None:
    (alice,) = rows.customer("Alice", ("email", "a@customer.example"))
    (bob,) = rows.customer("Bob", ("email", "b@customer.example"))
    for who in (bob, alice, bob):
        rows.message(who, "x")
    assert [c.name for c in recent_customers(connection)] == ["Bob", "Alice"]


def test_a_case_takes_the_best_proof_of_an_order(connection: Connection, rows: Braid) -> None:
    (alice,) = rows.customer("Alice", ("email", "a@customer.example"))
    case_id = rows.case("TR-1", alice)
    for proof in ("claimed", "verified", "claimed"):
        rows.order_on(rows.message(alice, "x", case_id=case_id), "CMD-1", proof)
    view = case_view(connection, "tr-1")
    assert view is not None
    assert [(o.mark.number, o.mark.proof, o.order) for o in view.orders] == [("CMD-1", "verified", None)]
