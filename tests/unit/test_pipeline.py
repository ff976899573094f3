"""The pipeline through its own doors, with far sides in memory; what is counted is counted there."""

from __future__ import annotations

import pytest

from hub.pipeline.replay import replay_delivery, replay_raw, settle_unsure
from hub.sdk import Identity, OrderFacts, Profile, Rejected, Unavailable
from hub.store.cases import case, delivery, suggestion
from hub.store.customers import customer, identity, link
from hub.store.health import alert
from hub.store.intake import message, message_copy, message_order, raw, step
from hub.store.people import account, agent
from tests.world import World, rows


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.hub.stop()


def test_a_mail_becomes_a_ticket_with_answers_and_one_acknowledgement(world):
    world.mail(
        subject="Ma commande CMD-2026-0042", text="Bonjour, où est ma commande CMD-2026-0042 ? Je n'ai rien reçu."
    )
    world.go()
    assert [t["case"] for t in world.far.tickets.values()] == ["TR-2026-000001"]
    assert len(world.far.comments) == 1
    ((outgoing, _key),) = world.far.sent
    assert "TR-2026-000001" in outgoing.subject
    assert outgoing.language == "fr"
    assert outgoing.in_reply_to == "<0@customer.example>"
    value = world.far.tickets["1"]["value"]
    assert [(o.number, str(o.proof)) for o in value.orders] == [("CMD-2026-0042", "claimed")]
    assert rows(world, suggestion)[0].title == "Où est ma commande ?"
    assert not rows(world, step)


def test_an_answer_to_the_acknowledgement_is_the_same_case_and_ticket(world):
    world.mail(text="Bonjour, où est ma commande ?")
    world.go()
    acknowledgement = rows(world, message, message.c.direction == "out")[0].message_id
    world.mail(text="Toujours rien reçu depuis hier !", refs=[acknowledgement])
    world.go()
    assert len(world.far.tickets) == 1
    assert world.far.words == [("1", "Toujours rien reçu depuis hier !")]
    assert len(world.far.sent) == 1
    assert len(world.far.comments) == 2


def test_mails_that_share_an_ancestor_nobody_saw_are_one_case(world):
    world.mail(text="Une première question sur ma commande", refs=["<unseen@x.example>"])
    world.mail(text="Une seconde question sur ma commande", refs=["<unseen@x.example>"])
    world.go()
    assert len(rows(world, case)) == 1


def test_an_open_form_opens_its_own_case_and_is_not_acknowledged(world):
    world.mail(text="Bonjour, où est ma commande ?")
    world.go()
    world.mail(
        text="Le formulaire, maintenant, pour ma commande", opens_case=True, may=False, refs=["<0@customer.example>"]
    )
    world.go()
    assert len(world.far.tickets) == 2
    assert len(world.far.sent) == 1


def test_the_same_mail_in_two_mailboxes_is_one_message(world):
    world.mail(text="Bonjour, où est ma commande ?")
    world.go()
    world.go(channel="contact")
    assert len(rows(world, message, message.c.direction == "in")) == 1
    assert [c.instance for c in rows(world, message_copy)] == ["contact"]
    assert len(world.far.tickets) == 1


def test_the_same_message_id_with_other_words_is_another_message(world):
    world.mail(text="Votre colis part aujourd'hui", id="<same@dhl.example>")
    world.mail(text="Votre colis est arrivé à Lyon", id="<same@dhl.example>")
    world.go()
    assert len(rows(world, message, message.c.direction == "in")) == 2


def test_what_cannot_be_read_is_kept_and_the_rest_goes_on(world):
    world.mail(broken=True, **{"from": "eve@customer.example"})
    world.mail(text="Bonjour, où est ma commande ?")
    world.go()
    (kept,) = rows(world, step)
    assert (kept.state, kept.reason) == ("kept", "ValueError while it was read")
    assert len(world.far.tickets) == 1
    assert [a.key for a in rows(world, alert, alert.c.closed_at.is_(None))] == ["kept-unread"]
    assert replay_raw(world.hub.store, world.clock.now(), kept.raw_id) == 1
    world.go()
    assert rows(world, step)[0].state == "kept"


def test_an_agents_reply_stands_under_the_agent_and_judges_the_suggestions(world):
    world.mail(text="Bonjour, où est ma commande ? Je n'ai rien reçu")
    world.go()
    world.reply("1", "Bonjour Alice,\nVotre commande est en route, elle arrive sous trois jours ouvrés.\nMarie")
    world.go()
    assert rows(world, suggestion)[0].outcome == "used"
    assert [(a.name, a.email) for a in rows(world, agent)] == [("Marie Dupont", "marie@shop.example")]
    assert [(a.instance, a.remote_id) for a in rows(world, account)] == [("desk", "marie")]
    (answered,) = rows(world, case)
    assert (answered.state, answered.answered_on) == ("answered", "desk")
    world.mail(text="Merci beaucoup, bonne journée", refs=["<rt-0@desk.example>"])
    world.go()
    assert len(world.far.tickets) == 1
    assert rows(world, case)[0].state == "open"


def test_a_reply_on_a_ticket_that_is_not_ours_is_nobodys_business(world):
    world.reply("99", "Bonjour")
    world.go()
    assert not rows(world, message)
    assert len(rows(world, raw)) == 1
    assert not rows(world, step)


def test_a_crash_between_the_call_and_its_record_leaves_one_ticket(world):
    desk = world.hub.instances["desk"].component
    real = desk.save_case

    def dying(case, effect):
        real(case, effect)
        raise SystemExit  # the answer never comes home

    desk.save_case = dying
    world.mail(text="Bonjour, où est ma commande ?")
    with pytest.raises(SystemExit):
        world.go()
    assert len(world.far.tickets) == 1
    world.restart()
    world.go(20)
    assert len(world.far.tickets) == 1
    assert world.far.calls.count("save_case") == 1
    assert len(world.far.comments) == 1


def test_a_crash_while_mail_is_sent_shows_unsure_and_is_never_repeated(world):
    def die(what):
        if what == "send":
            raise SystemExit

    world.mail(text="Une première question sur ma commande", **{"from": "bob@customer.example"})
    world.go()
    world.far.trouble = die
    world.mail(text="Bonjour, où est ma commande ?")
    with pytest.raises(SystemExit):
        world.go()
    world.far.trouble = lambda _what: None
    world.restart()
    world.go(20)
    assert len(world.far.sent) == 1
    (unsure,) = rows(world, delivery, delivery.c.state == "unsure")
    assert unsure.ability == "send"
    assert rows(world, message, message.c.direction == "out")[1].state == "unsure"
    assert settle_unsure(world.hub.store, world.clock.now(), unsure.id, sent=False)
    world.go()
    assert len(world.far.sent) == 2


def test_a_desk_that_is_away_is_waited_for_and_the_rest_goes_on(world):
    away = {"desk": True}

    def trouble(what):
        if away["desk"] and what in ("find", "save_case", "add_message", "show"):
            raise Unavailable("connection refused")

    world.far.trouble = trouble
    world.far.voice = ""
    world.mail(text="Bonjour, où est ma commande ?")
    world.go(130)
    assert world.far.tickets == {}
    assert len(world.far.sent) == 1  # after two minutes of silence from the desk
    tries = sum(world.far.calls.count(what) for what in ("find", "save_case"))
    assert 3 <= tries <= 20
    away["desk"] = False
    world.go(300)
    assert len(world.far.tickets) == 1
    assert len(world.far.comments) == 1
    assert world.hub.instances["desk"].health.state == "green"


def test_what_is_refused_waits_for_a_human_and_what_needs_it_is_held(world):
    def trouble(what):
        if what == "save_case":
            raise Rejected("422")

    world.far.trouble = trouble
    world.mail(text="Bonjour, où est ma commande ?")
    world.mail(text="Une autre question sur ma commande", **{"from": "bob@customer.example"})
    world.go()
    states = {(d.ability, d.state) for d in rows(world, delivery) if d.instance == "desk"}
    assert states == {("save_case", "rejected"), ("show", "held")}
    world.far.trouble = lambda _what: None
    assert replay_delivery(world.hub.store, world.clock.now()) == 4
    world.go()
    assert len(world.far.tickets) == 2
    assert len(world.far.comments) == 2


def test_a_desk_that_greets_by_itself_silences_the_hub_with_one_alert(world):
    world.far.voice = "the queue Support sends its own automatic reply"
    world.mail(text="Bonjour, où est ma commande ?")
    world.mail(text="Une autre question sur ma commande", **{"from": "bob@customer.example"})
    world.go()
    assert len(world.far.tickets) == 2
    assert world.far.sent == []
    assert [a.key for a in rows(world, alert)] == ["voice:desk"]
    assert not rows(world, message, message.c.direction == "out")
    assert "automatic reply" in rows(world, case)[0].acknowledge_reason


def test_machines_are_recorded_and_make_no_work(world):
    world.mail(text="Je suis absent jusqu'au 3 décembre", automatic="Auto-Submitted: auto-replied", may=False)
    world.go()
    assert rows(world, message)[0].automatic
    assert not rows(world, case)
    assert world.far.tickets == {}


def test_an_out_of_office_never_reopens_a_case(world):
    world.mail(text="Bonjour, où est ma commande ?")
    world.go()
    world.reply("1", "Votre commande est en route.")
    world.go()
    world.mail(text="Je suis absent", automatic="Auto-Submitted", may=False, refs=["<0@customer.example>"])
    world.go()
    assert rows(world, case)[0].state == "answered"
    assert len(rows(world, message, message.c.case_id == 1)) == 4


def test_acknowledgements_are_capped_per_sender(world):
    for n in range(5):
        world.mail(text=f"Une question numéro {n} sur ma commande")
    world.go()
    assert len(world.far.sent) == 2
    assert "per_sender_day" in rows(world, case)[4].acknowledge_reason


def test_old_mail_stands_on_the_timeline_and_nobody_is_told(world):
    world.mail(text="Bonjour, où est ma commande ?", at="2026-11-01T10:00:00+00:00")
    world.go()
    assert len(rows(world, message)) == 1
    assert world.far.tickets == {}
    assert world.far.sent == []


def test_a_single_profile_joins_its_addresses_and_several_join_nothing(world):
    alice = (Identity("email", "alice@customer.example"), Identity("phone", "+33612345678"))
    world.far.profiles = [
        Profile("12", "Alice Martin", "gold", "fr", alice),
        Profile("13", "Bob", identities=(Identity("email", "family@customer.example"),)),
        Profile("14", "Eve", identities=(Identity("email", "family@customer.example"),)),
    ]
    world.far.orders["CMD-2026-0042"] = OrderFacts("CMD-2026-0042", "shipped", (alice[0],))
    world.mail(text="Bonjour, où est ma commande CMD-2026-0042 ?", proof="verified")
    world.mail(text="Une autre question sur ma commande", **{"from": "family@customer.example"})
    world.go()
    value = world.far.tickets["1"]["value"]
    assert (value.customer.name, value.customer.segment) == ("Alice Martin", "gold")
    assert {(i.kind, i.value) for i in value.customer.identities} == {(i.kind, i.value) for i in alice}
    assert [(str(o.proof), o.state, o.facts["owner"]) for o in value.orders] == [("verified", "shipped", "same")]
    assert [o.proof for o in rows(world, message_order)] == ["verified"]
    assert len(rows(world, link)) == 1
    assert len({i.customer_id for i in rows(world, identity)}) == 2


def test_another_ones_order_number_is_a_claim_and_joins_nobody(world):
    world.far.orders["CMD-2026-0042"] = OrderFacts(
        "CMD-2026-0042", "shipped", (Identity("email", "alice@customer.example"),)
    )
    world.mail(text="Où est ma commande CMD-2026-0042 ?", proof="verified", **{"from": "eve@customer.example"})
    world.go()
    (order,) = world.far.tickets["1"]["value"].orders
    assert (str(order.proof), order.facts["owner"]) == ("claimed", "other")
    assert len(rows(world, customer)) == 1
    assert [o.proof for o in rows(world, message_order)] == ["claimed"]


def test_a_rescan_after_a_new_numbering_takes_nothing_twice(world):
    from hub.pipeline.receive import receive
    from hub.sdk import Page, Raw

    world.mail(text="Bonjour, où est ma commande ?")
    world.go()
    again = Raw("other-key", world.far.mails[0].data)
    assert receive(world.hub.store, "support", Page((again,), {}, rescan=True), world.clock.now(), "poll") == 0
    assert receive(world.hub.store, "support", Page((again,), {}), world.clock.now()) == 1
    world.go()
    assert len(world.far.tickets) == 1


def test_a_second_hub_on_the_same_database_is_refused_with_a_sentence(world):
    from hub.sdk import ConfigError

    with pytest.raises(ConfigError, match="another hub"):
        world._open()
