"""A case becomes one ticket, and stays one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.sdk import Identity, OrderOnCase, Proof
from plugins.crm.request_tracker.crm import RequestTracker as Desk
from tests.plugins.request_tracker.world import a_case, effect, suggestions
from tests.servers.rt import RequestTracker


def test_a_case_becomes_an_enriched_ticket_of_the_customer(request_tracker: RequestTracker, desk: Desk) -> None:
    case = a_case("nadia@customer.example")
    ticket = desk.save_case(case, effect("save"))
    (found,) = request_tracker.tickets(f"id = {ticket}")
    assert found["requestors"] == ["nadia@customer.example"]
    assert found["Subject"] == "Où est ma commande ?"
    assert found["fields"] == {
        "Case": case.number,
        "Order": "CMD-2026-0042",
        "Order State": "expédiée (vérifié)",
        "Sender": "nadia@customer.example (vérifié)",
        "Language": "fr",
        "Customer": "Alice Martin",
        "Segment": "or",
        "Earlier Cases": "2",
        "Timeline": "https://hub.example/cases/1",
        "Answers": "",
    }
    assert request_tracker.texts(ticket, "Create") == [case.first_text]


def test_the_same_case_twice_changes_nothing(request_tracker: RequestTracker, desk: Desk) -> None:
    case = a_case("nadia@customer.example")
    ticket = desk.save_case(case, effect("save"))
    before = request_tracker.history(ticket)
    assert desk.save_case(case, effect("save", ticket)) == ticket
    assert desk.save_case(case, effect("save")) == ticket  # found by its number: the hub died before it knew the id
    assert request_tracker.history(ticket) == before
    assert len(request_tracker.tickets(f"'CF.{{Case}}' = '{case.number}'")) == 1


def test_only_what_differs_is_written(request_tracker: RequestTracker, desk: Desk) -> None:
    case = a_case("nadia@customer.example")
    ticket = desk.save_case(case, effect("save"))
    before = len(request_tracker.history(ticket))
    orders = (OrderOnCase("CMD-2026-0042", Proof.CLAIMED, state="livrée", known=True),)
    desk.save_case(replace(case, orders=orders, customer=replace(case.customer, segment="")), effect("save", ticket))
    (found,) = request_tracker.tickets(f"id = {ticket}")
    assert found["fields"]["Order State"] == "livrée (déclaré, non vérifié)"
    assert found["fields"]["Segment"] == ""
    assert len(request_tracker.history(ticket)) == before + 2


def test_no_case_number_can_break_out_of_a_query(request_tracker: RequestTracker, desk: Desk) -> None:
    desk.save_case(a_case(), effect("save"))
    for number in ("x' OR id > '0", "x\\' OR id > 0 OR 'CF.{Case}' = 'x", 'x" \\'):
        case = a_case(number=number)
        ticket = desk.save_case(case, effect("save"))
        (found,) = request_tracker.tickets(f"id = {ticket}")
        assert found["fields"]["Case"] == number
        assert desk.save_case(case, effect("save")) == ticket


def test_a_number_that_is_counted_again_does_not_lead_to_a_strangers_ticket(
    request_tracker: RequestTracker, desk: Desk
) -> None:
    """The hub's database was restored from a backup: its next number is on somebody's ticket already."""
    before = a_case("nadia@customer.example")
    hers = desk.save_case(before, effect("save"))
    later = datetime.now(UTC) + timedelta(hours=1)
    again = replace(before, requester=Identity("email", "paul@customer.example"), opened_at=later)
    his = desk.save_case(again, effect("save"))
    assert his != hers
    assert desk.save_case(again, effect("save", his)) == his
    assert [t["requestors"] for t in request_tracker.tickets(f"id = {hers} OR id = {his}")] == [
        ["nadia@customer.example"],
        ["paul@customer.example"],
    ]


def test_a_display_name_is_no_second_requestor(request_tracker: RequestTracker, desk: Desk) -> None:
    who = Identity("email", "eve@customer.example", 'Eve" <root@shop.example>, boss@shop.example')
    ticket = desk.save_case(replace(a_case("eve@customer.example"), requester=who), effect("save"))
    (found,) = request_tracker.tickets(f"id = {ticket}")
    assert found["requestors"] == ["eve@customer.example"]


def test_a_customer_without_mail_has_a_ticket_without_requestor(request_tracker: RequestTracker, desk: Desk) -> None:
    ticket = desk.save_case(a_case(), effect("save"))
    (found,) = request_tracker.tickets(f"id = {ticket}")
    assert found["requestors"] == []


def test_a_late_twin_is_merged_into_the_first_ticket(
    request_tracker: RequestTracker, desk: Desk, monkeypatch: Any
) -> None:
    case = a_case("nadia@customer.example")
    first = desk.save_case(case, effect("save"))
    # The search before creating found nothing: the request held for lost was still on its way.
    monkeypatch.setattr(desk._tickets, "find", lambda number, effect: None)
    assert desk.save_case(case, effect("save")) == first
    assert len(request_tracker.tickets(f"'CF.{{Case}}' = '{case.number}'")) == 1


def test_a_ticket_merged_into_another_case_is_left_alone(request_tracker: RequestTracker, desk: Desk) -> None:
    one, two = a_case("nadia@customer.example"), a_case("nadia@customer.example")
    first, second = desk.save_case(one, effect("save")), desk.save_case(two, effect("save"))
    request_tracker.call("PUT", f"ticket/{second}", json={"MergeInto": int(first)})
    assert desk.save_case(replace(two, language="en"), effect("save", second)) == second
    (found,) = request_tracker.tickets(f"id = {first}")
    assert (found["fields"]["Case"], found["fields"]["Language"]) == (one.number, "fr")
    desk.show(two, suggestions("Colis"), effect("show", second))
    assert request_tracker.tickets(f"id = {first}")[0]["fields"]["Answers"] == ""
    assert len(request_tracker.history(first, "Comment")) == 1
