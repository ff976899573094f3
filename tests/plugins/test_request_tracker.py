"""`request_tracker` against a real Request Tracker 5 whose mail goes through Postfix into Dovecot."""

from __future__ import annotations

import email
import email.policy
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.sdk import (
    AuthError,
    Case,
    ConfigError,
    Customer,
    Direction,
    Effect,
    Identity,
    Message,
    OrderOnCase,
    Proof,
    Rejected,
    Suggestion,
    Unavailable,
)
from plugins.crm.request_tracker.crm import RequestTracker as Desk
from plugins.crm.request_tracker.settings import RequestTrackerSettings
from tests.plugins.lent import lend
from tests.servers.dovecot import Dovecot
from tests.servers.ports import wait_for
from tests.servers.postfix import Postfix
from tests.servers.rt import RequestTracker

FIELDS = {
    "case": "Case",
    "order": "Order",
    "order_state": "Order State",
    "sender": "Sender",
    "language": "Language",
    "customer": "Customer",
    "segment": "Segment",
    "earlier_cases": "Earlier Cases",
    "timeline": "Timeline",
    "answers": "Answers",
}
NUMBERS = itertools.count(1)


def make(rt: RequestTracker, **changes: Any) -> Desk:
    values: dict[str, Any] = {"url": rt.url, "token": rt.token, "queue": "Support", "fields": FIELDS, "language": "fr"}
    return Desk(RequestTrackerSettings.model_validate(values | changes), lend(id="desk"))


@pytest.fixture
def desk(request_tracker: RequestTracker) -> Desk:
    return make(request_tracker)


@pytest.fixture
def alice(dovecot: Dovecot) -> str:
    return dovecot.new_mailbox("customer.example")


def a_case(requester: str = "", **changes: Any) -> Case:
    who = Identity("email", requester, "Alice Martin") if requester else Identity("phone", "+33612345678")
    values: dict[str, Any] = {
        "number": f"TR-2026-{next(NUMBERS):06}",
        "subject": "Où est ma commande ?",
        "language": "fr",
        "opened_at": datetime(2026, 3, 1, tzinfo=UTC),
        "state": "open",
        "brand": "Maison Tresse",
        "channel": "support",
        "requester": who,
        "proof": Proof.VERIFIED,
        "customer": Customer("Alice Martin", (who,), segment="or", language="fr", earlier_cases=2),
        "orders": (OrderOnCase("CMD-2026-0042", Proof.VERIFIED, state="expédiée", known=True),),
        "first_text": "Bonjour,\nje n'ai rien reçu.",
        "link": "https://hub.example/cases/1",
    }
    return Case(**(values | changes))


def a_message(sender: str, text: str = "Toujours rien reçu 😕", **changes: Any) -> Message:
    who = Identity("email", sender, "Alice Martin")
    values = {
        "direction": Direction.IN,
        "sender": who,
        "customer": who,
        "at": datetime(2026, 3, 1, 10, 0, tzinfo=UTC),
        "subject": "Re: Où est ma commande ?",
        "text": text,
        "proof": Proof.VERIFIED,
        "message_id": f"<m{next(NUMBERS)}.{time.time_ns()}@customer.example>",
    }
    return Message(**(values | changes))


def suggestions(*titles: str) -> list[Suggestion]:
    return [
        Suggestion(f"{i}:fr", title, f"Bonjour,\n\n{title} !", "fr", 0.92 - i / 10, "sure", i + 1)
        for i, title in enumerate(titles)
    ]


def effect(name: str, case: str = "") -> Effect:
    return Effect(f"desk/{name}/{next(NUMBERS)}", known={"case": case} if case else {})


def mails(dovecot: Dovecot, user: str) -> list[Any]:
    return [email.message_from_bytes(m, policy=email.policy.default) for m in dovecot.messages(user)]


def words(mail: Any) -> str:
    return str(mail.get_body(("plain",)).get_content())


def collect(
    desk: Desk, cursor: Mapping[str, Any], until: Callable[[list[Any]], bool]
) -> tuple[list[Any], dict[str, Any]]:
    """Poll as the hub does until `until` holds of what was read."""
    found: list[Any] = []
    held: dict[str, Any] = dict(cursor)

    def poll() -> bool:
        nonlocal held
        for page in desk.changes(held):
            held = dict(page.cursor)
            found.extend(m for raw in page.raws for m in desk.read(raw))
        return until(found)

    wait_for(poll, 30, "replies to be reported")
    return found, held


def start(desk: Desk) -> dict[str, Any]:
    (page,) = desk.changes({})
    assert page.raws == ()
    return dict(page.cursor)


# --- cases


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


# --- what the settings get wrong


def test_an_unknown_case_field_is_named_before_a_ticket_is_made(request_tracker: RequestTracker) -> None:
    desk = make(request_tracker, fields=FIELDS | {"case": "Cases"})
    before = len(request_tracker.tickets())
    with pytest.raises(ConfigError, match="did you mean 'Case'") as caught:
        desk.save_case(a_case(), effect("save"))
    assert caught.value.path == "fields.case"
    assert len(request_tracker.tickets()) == before
    with pytest.raises(ConfigError, match="did you mean 'Case'"):
        desk.check()


def test_another_unknown_field_is_logged_once_and_noticed(request_tracker: RequestTracker) -> None:
    desk = make(request_tracker, fields=FIELDS | {"segment": "Segmnt"})
    case = a_case("nadia@customer.example")
    ticket = desk.save_case(case, effect("save"))
    desk.save_case(case, effect("save", ticket))
    log: Any = desk.context.log
    assert [event for level, event, _ in log.lines if level == "warning"] == ["custom field not kept"]
    (notice,) = [n for n in desk.check() if n.path == "fields.segment"]
    assert "did you mean 'Segment'" in notice.text


def test_an_unknown_queue_is_a_mistake_in_the_settings(request_tracker: RequestTracker) -> None:
    desk = make(request_tracker, queue="Suport")
    for call in (desk.check, lambda: desk.save_case(a_case(), effect("save"))):
        with pytest.raises(ConfigError, match="did you mean 'Support'") as caught:
            call()
        assert caught.value.path == "queue"
    with pytest.raises(ConfigError) as caught:
        make(request_tracker, queues=["Nope"]).check()
    assert caught.value.path == "queues"


def test_a_bad_token_is_an_auth_error(request_tracker: RequestTracker) -> None:
    desk = make(request_tracker, token="1-14-0123456789abcdef")
    for call in (desk.check, lambda: desk.save_case(a_case(), effect("save")), lambda: list(desk.changes({}))):
        with pytest.raises(AuthError) as caught:
            call()
        assert "0123456789abcdef" not in str(caught.value)
        assert caught.value.path == "token"


def test_a_wrong_address_is_named(request_tracker: RequestTracker) -> None:
    with pytest.raises(ConfigError) as caught:
        make(request_tracker, url=request_tracker.url + "/nowhere").check()
    assert caught.value.path == "url"


def test_a_wrong_mail_gate_is_noticed(request_tracker: RequestTracker) -> None:
    desk = make(request_tracker, mail_gate=request_tracker.url + "/REST/1.0/NoAuth/nowhere")
    assert "mail_gate" in [n.path for n in desk.check()]
    case = a_case("nadia@customer.example")
    ticket = desk.save_case(case, effect("save"))
    with pytest.raises(ConfigError) as caught:
        desk.add_message(case, a_message("nadia@customer.example"), effect("add", ticket))
    assert caught.value.path == "mail_gate"


def test_good_settings_pass_without_a_word(desk: Desk) -> None:
    assert desk.check() == []


# --- the customer's further words


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


# --- suggestions


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


# --- what agents do


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


def test_a_page_that_was_not_stored_comes_again(request_tracker: RequestTracker, desk: Desk, alice: str) -> None:
    ticket = desk.save_case(a_case(alice), effect("save"))
    cursor = start(desk)
    number = request_tracker.reply("agent1", ticket, "une fois")

    def keys() -> list[str]:
        return [raw.key for page in desk.changes(cursor) for raw in page.raws]

    wait_for(keys, 30, "the reply")
    assert keys() == keys() == [f"transaction/{number}"]


def test_replies_in_a_further_queue_are_read(request_tracker: RequestTracker, alice: str) -> None:
    desk = make(request_tracker, queues=["Noisy"])
    ticket = desk.save_case(a_case(alice), effect("save"))
    cursor = start(desk)
    request_tracker.call("PUT", f"ticket/{ticket}", json={"Queue": "Noisy"})
    request_tracker.reply("agent1", ticket, "de l'autre file")
    (reply,), _ = collect(desk, cursor, bool)
    assert (reply.remote_case, reply.facts["queue"]) == (ticket, "Noisy")


# --- two voices


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


# --- outages


def test_a_stopped_rt_is_unavailable_at_once_and_comes_back(
    request_tracker: RequestTracker, desk: Desk, alice: str
) -> None:
    case = a_case(alice)
    ticket = desk.save_case(case, effect("save"))
    cursor = start(desk)
    request_tracker.kill()
    try:
        begun = time.monotonic()
        for call in (
            desk.check,
            lambda: desk.save_case(case, effect("save", ticket)),
            lambda: desk.add_message(case, a_message(alice), effect("add", ticket)),
            lambda: list(desk.changes(cursor)),
        ):
            with pytest.raises(Unavailable) as caught:
                call()
            assert not caught.value.maybe_done
        assert time.monotonic() - begun < 2
    finally:
        request_tracker.start()
    assert desk.save_case(case, effect("save", ticket)) == ticket
