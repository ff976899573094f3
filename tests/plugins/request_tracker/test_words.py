"""The customer's further words and the suggested answers, each once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.sdk import Identity, OrderOnCase, Proof, Rejected
from plugins.crm.request_tracker.crm import RequestTracker as Desk
from tests.plugins.request_tracker.world import a_case, a_message, effect, make, suggestions
from tests.servers.ports import wait_for
from tests.servers.postfix import Postfix
from tests.servers.rt import RequestTracker


def test_further_words_stand_there_as_the_customers(request_tracker: RequestTracker, desk: Desk, alice: str) -> None:
    case = a_case(alice)
    ticket = desk.save_case(case, effect("save"))
    said = a_message(alice, subject="Re: commande\r\nX-Evil: yes", references=("<first@customer.example>",))
    once = effect("add", ticket)
    transaction = desk.add_message(case, said, once)
    (found,) = request_tracker.history(ticket, "Correspond")
    assert found["id"] == transaction
    assert found["Creator"]["EmailAddress"] == alice
    (part,) = request_tracker.attachments(transaction)
    assert part["text"].strip() == said.text
    assert f"<{part['MessageId']}>" == said.message_id
    assert "\nX-Evil" not in part["Headers"]
    # The hub asks again, or was killed before it could note what it did: still once.
    assert desk.find("add_message", once) == transaction
    assert desk.add_message(case, said, once) == transaction
    assert len(request_tracker.history(ticket, "Correspond")) == 1


def test_a_refusal_of_the_gate_is_no_business_of_the_customers(
    request_tracker: RequestTracker, postfix: Postfix, alice: str
) -> None:
    desk = make(request_tracker, queue="Locked")
    case = a_case(alice)
    ticket = desk.save_case(case, effect("save"))
    with pytest.raises(Rejected, match="ReplyToTicket"):
        desk.add_message(case, a_message(alice), effect("add", ticket))
    # RT sends the complaint for the sender last; without Errors-To it goes to the customer.
    wait_for(lambda: "to=<postmaster@shop.example>" in postfix.log(), 20, "RT's complaint")
    assert f"to=<{alice}>" not in postfix.log()


def test_a_machines_words_become_a_comment(request_tracker: RequestTracker, desk: Desk, alice: str) -> None:
    case = a_case(alice)
    ticket = desk.save_case(case, effect("save"))
    once = effect("add", ticket)
    said = a_message(alice, "Je suis en congé.", automatic="Auto-Submitted: auto-replied")
    transaction = desk.add_message(case, said, once)
    assert desk.add_message(case, said, once) == transaction == desk.find("add_message", once)
    assert request_tracker.history(ticket, "Correspond") == []
    (comment,) = request_tracker.texts(ticket, "Comment")
    assert "Je suis en congé." in comment
    assert "automatique" in comment


def test_without_a_gate_or_an_address_words_become_a_comment(request_tracker: RequestTracker, desk: Desk) -> None:
    gateless = make(request_tracker, mail_gate=False)
    case = a_case("nadia@customer.example")
    ticket = gateless.save_case(case, effect("save"))
    gateless.add_message(case, a_message("nadia@customer.example"), effect("add", ticket))
    caller = replace(a_message(""), sender=Identity("phone", "+33612345678"))
    desk.add_message(case, caller, effect("add", ticket))
    assert len(request_tracker.history(ticket, "Comment")) == 2
    assert request_tracker.history(ticket, "Correspond") == []


def test_find_knows_nothing_of_what_was_not_done(desk: Desk) -> None:
    case = a_case("nadia@customer.example")
    assert desk.find("show", effect("show")) is None
    ticket = desk.save_case(case, effect("save"))
    for ability in ("show", "add_message", "save_case"):
        assert desk.find(ability, effect(ability, ticket)) is None


def test_answers_stand_in_the_field_and_in_one_comment(request_tracker: RequestTracker, desk: Desk) -> None:
    case = a_case(
        "nadia@customer.example",
        orders=(OrderOnCase("CMD-1", Proof.CLAIMED, facts={"owner": "other"}, known=True, state="payée"),),
    )
    ticket = desk.save_case(case, effect("save"))
    once = effect("show", ticket)
    comment = desk.show(case, suggestions("Colis en route", "Délais", "Retour", "Un de trop"), once)
    field = request_tracker.tickets(f"id = {ticket}")[0]["fields"]["Answers"]
    (text,) = request_tracker.texts(ticket, "Comment")
    for shown in (field, text):
        assert "1. Colis en route (sûr, 92 %)\n\nBonjour,\n\nColis en route !" in shown.replace("\r", "")
        assert "3. Retour" in shown
        assert "Un de trop" not in shown
    assert f"Tresse {case.number} · " in text
    assert "Canal : Maison Tresse · support" in text
    assert "CMD-1 appartient à un autre client" in text
    before = request_tracker.history(ticket)
    assert desk.show(case, suggestions("Colis en route", "Délais", "Retour"), once) == comment
    assert desk.find("show", once) == comment
    assert request_tracker.history(ticket) == before
    # The next message of the customer: the field follows, and a second comment stands beside the first.
    desk.show(case, suggestions("Remboursement"), effect("show", ticket))
    assert "Remboursement" in request_tracker.tickets(f"id = {ticket}")[0]["fields"]["Answers"]
    assert len(request_tracker.history(ticket, "Comment")) == 2


def test_answers_that_fit_no_more_leave_the_field(request_tracker: RequestTracker, desk: Desk) -> None:
    """RT does not find a value longer than 255 bytes when it is asked to remove it, and says 200."""
    case = a_case("nadia@customer.example")
    ticket = desk.save_case(case, effect("save"))
    long = [replace(s, text="Très long. " * 60) for s in suggestions("Colis en route")]
    desk.show(case, long, effect("show", ticket))
    assert "Très long." in request_tracker.tickets(f"id = {ticket}")[0]["fields"]["Answers"]
    desk.show(case, [], effect("show", ticket))
    assert request_tracker.tickets(f"id = {ticket}")[0]["fields"]["Answers"] == ""


def test_facts_without_a_field_are_in_the_comment(request_tracker: RequestTracker) -> None:
    desk = make(request_tracker, fields={"case": "Case"}, language="en")
    case = a_case("nadia@customer.example")
    ticket = desk.save_case(case, effect("save"))
    desk.show(case, [], effect("show", ticket))
    (text,) = request_tracker.texts(ticket, "Comment")
    for line in (
        "Sender: nadia@customer.example (verified)",
        "Customer: Alice Martin",
        "Segment: or",
        "Earlier cases: 2",
        "Order: CMD-2026-0042",
        "Order state: expédiée (verified)",
        "Timeline: https://hub.example/cases/1",
        "No approved answer fits this message.",
    ):
        assert line in text


def test_a_third_persons_words_are_not_mailed_to_the_customer(
    request_tracker: RequestTracker, postfix: Postfix, desk: Desk, alice: str
) -> None:
    """Somebody to whom a mail of the case was forwarded answers: RT would mail that on to its requestor."""
    case = a_case(alice)
    ticket = desk.save_case(case, effect("save"))
    said = a_message("bob@customer.example", "Ce message ne la regarde pas.")
    desk.add_message(case, said, effect("add", ticket))
    assert request_tracker.history(ticket, "Correspond") == []
    (comment,) = request_tracker.texts(ticket, "Comment")
    assert "Ce message ne la regarde pas." in comment
    assert "bob@customer.example" in comment
    assert f"to=<{alice}>" not in postfix.log()
