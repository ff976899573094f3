"""What agents do comes back; what Request Tracker says by itself is recognised."""

from __future__ import annotations

from hub.sdk import Direction, Proof
from plugins.crm.request_tracker.crm import RequestTracker as Desk
from tests.plugins.request_tracker.world import a_case, a_message, collect, effect, mails, make, start, suggestions
from tests.servers.dovecot import Dovecot
from tests.servers.ports import wait_for
from tests.servers.rt import RequestTracker


def test_an_agents_answer_comes_back_and_threads(
    request_tracker: RequestTracker, desk: Desk, dovecot: Dovecot, alice: str
) -> None:
    case = a_case(alice)
    ticket = desk.save_case(case, effect("save"))
    cursor = start(desk)
    desk.add_message(case, a_message(alice), effect("add", ticket))
    desk.show(case, suggestions("Colis"), effect("show", ticket))
    request_tracker.comment("agent2", ticket, "Je regarde.")
    number = request_tracker.reply("agent1", ticket, "Bonjour,\nvotre colis arrive demain.")
    (reply,), cursor = collect(desk, cursor, bool)
    assert reply.direction is Direction.OUT
    assert (reply.account, reply.account_name, reply.account_email) == ("agent1", "Amina Diallo", "agent1@shop.example")
    assert (reply.remote_case, reply.remote_id) == (ticket, str(number))
    assert reply.customer.value == alice
    assert reply.reply == "Bonjour,\nvotre colis arrive demain."
    wait_for(lambda: mails(dovecot, alice), 20, "the answer in the customer's mailbox")
    (mail,) = mails(dovecot, alice)
    # What the customer's program will name in References is what we know the reply by.
    assert mail["Message-ID"] == reply.message_id
    assert set(mail["References"].split()) <= set(reply.references)
    assert reply.facts["desk_message_id"] in reply.references
    assert reply.facts["desk_message_id"] != reply.message_id
    # Nothing again, and what comes next alone.
    assert [p.raws for p in desk.changes(cursor) if p.raws] == []
    request_tracker.reply("agent2", ticket, "<p>Encore <b>pardon</b></p><p>Bruno</p>", "text/html")
    (second,), _ = collect(desk, cursor, bool)
    assert (second.account, second.account_name) == ("agent2", "Bruno Lefèvre")
    assert second.text == "Encore pardon\n\nBruno"
    assert "<b>pardon</b>" in second.html


def test_a_customers_mail_that_went_to_rt_directly_is_reported_as_claimed(
    request_tracker: RequestTracker, desk: Desk, alice: str
) -> None:
    case = a_case(alice)
    ticket = desk.save_case(case, effect("save"))
    foreign = request_tracker.create(alice, "Rien à voir", "bonjour")
    cursor = start(desk)
    head = f"Subject: [tresse-test #{ticket}] x\nMessage-ID: <direct@customer.example>\nContent-Type: text/plain; charset=utf-8\n"
    assert request_tracker.gate(f"From: {alice}\n{head}\nme revoilà".encode()).startswith("ok")
    assert request_tracker.gate(f"From: lea@elsewhere.example\n{head}\nje suis sa sœur".encode()).startswith("ok")
    away = f"From: {alice}\nAuto-Submitted: auto-replied\n{head}\nabsente"
    assert request_tracker.gate(away.encode()).startswith("ok")
    request_tracker.reply("agent1", foreign, "pas pour le hub")
    found, _ = collect(desk, cursor, lambda m: len(m) >= 3)
    assert [(m.direction, m.proof, m.sender.value, m.reply) for m in found] == [
        (Direction.IN, Proof.CLAIMED, alice, "me revoilà"),
        (Direction.IN, Proof.CLAIMED, "lea@elsewhere.example", "je suis sa sœur"),
        (Direction.IN, Proof.CLAIMED, alice, "absente"),
    ]
    assert [bool(m.automatic) for m in found] == [False, False, True]
    assert {m.remote_case for m in found} == {ticket}
    assert not any(m.may_acknowledge for m in found)


def test_replies_in_a_further_queue_are_read(request_tracker: RequestTracker, alice: str) -> None:
    desk = make(request_tracker, queues=["Noisy"])
    ticket = desk.save_case(a_case(alice), effect("save"))
    cursor = start(desk)
    request_tracker.call("PUT", f"ticket/{ticket}", json={"Queue": "Noisy"})
    request_tracker.reply("agent1", ticket, "de l'autre file")
    (reply,), _ = collect(desk, cursor, bool)
    assert (reply.remote_case, reply.facts["queue"]) == (ticket, "Noisy")


def test_a_queue_that_greets_by_itself_is_recognised(request_tracker: RequestTracker, desk: Desk, alice: str) -> None:
    noisy = make(request_tracker, queue="Noisy")
    ticket = noisy.save_case(a_case(alice), effect("save"))
    said = noisy.speaks(ticket)
    assert said
    assert "queue Noisy" in said
    assert 'acknowledge = "desk"' in said
    assert [n.path for n in noisy.check()] == ["queue"]
    quiet = desk.save_case(a_case(alice), effect("save"))
    assert desk.speaks(quiet) == ""
    request_tracker.reply("agent1", quiet, "Bonjour")
    assert desk.speaks(quiet) == ""
    assert desk.speaks("999999") is None
