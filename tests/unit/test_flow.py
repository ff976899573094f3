"""Whose turn it is: a flood steps aside, nobody else does."""

from __future__ import annotations

import sqlalchemy as sa

from hub.engine.sources import sources_of
from hub.flow import CALM, FREE, SENDERS, STEP, Crowd, Flow
from hub.mail.glance import sender_of
from hub.store.cases import delivery
from hub.store.intake import message, message_body, step
from tests.world import START, World


def test_a_senders_first_messages_have_their_turn_at_once():
    flow = Flow()
    assert [flow.turn("support", "a@x.example", START) for _ in range(FREE)] == [START] * FREE
    later = [flow.turn("support", "a@x.example", START) for _ in range(3)]
    assert later == sorted(later)
    assert later[-1] > START


def test_a_flood_of_one_is_nobody_elses_flood():
    flow = Flow()
    last = [flow.turn("support", "a@x.example", START) for _ in range(1000)][-1]
    assert last == START + (999 - FREE) * STEP
    assert flow.turn("support", "b@x.example", START) == START
    assert flow.turn("contact", "a@x.example", START) == START
    assert flow.turn("support", "", START) == START


def test_a_quiet_sender_is_free_again():
    flow = Flow()
    for _ in range(100):
        flow.turn("support", "a@x.example", START)
    calm = START + 100 * STEP
    assert flow.turn("support", "a@x.example", calm) == calm


def test_a_crowd_is_there_for_a_while_after_somebody_came():
    crowd = Crowd()
    assert not crowd.here(START)
    crowd.came(START)
    assert crowd.here(START)
    assert not crowd.here(START + CALM)


def test_the_later_turns_of_a_flood_are_no_crowd(tmp_path):
    world = World(tmp_path)
    for n in range(FREE + 60):
        world.mail(text=f"Bonjour {n}", sender_fact="flood@x.example", **{"from": "flood@x.example"})
    world.go(5)
    assert world.hub.parts.crowd.here(world.clock.now())  # its first mails are anybody's
    for n in range(60):
        world.mail(text=f"Encore {n}", sender_fact="flood@x.example", **{"from": "flood@x.example"})
    world.go(CALM.total_seconds() + 6, step=0.5)
    assert not world.hub.parts.crowd.here(world.clock.now())
    world.hub.stop()


def test_words_do_not_overtake_each_other_when_the_counting_begins_anew(tmp_path):
    """A flood's last mail came after a restart, in its turn at once, while those before it still wait for theirs."""
    world = World(tmp_path)
    for n in range(FREE + 200):
        world.mail(text=f"Bonjour {n}", sender_fact="flood@x.example", **{"from": "flood@x.example"})
    _poll(world)
    world.restart()
    world.mail(text="Encore", sender_fact="flood@x.example", **{"from": "flood@x.example"})
    _poll(world)
    with world.hub.store.read() as connection:
        turns = connection.execute(sa.select(step.c.raw_id, step.c.turn_at).order_by(step.c.raw_id)).all()
    assert turns[-1].turn_at < turns[-2].turn_at
    world.go(400)
    with world.hub.store.read() as connection:
        words = sa.select(message_body.c.text).join(message).where(message.c.direction == "in").order_by(message.c.id)
        said = connection.scalars(words).all()
    assert said == [*(f"Bonjour {n}" for n in range(FREE + 200)), "Encore"]
    world.hub.stop()


def _poll(world: World) -> None:
    for source in sources_of(world.hub.parts, world.hub.engine.wake, world.hub.engine._stop):
        if source.instance.id == "support":
            source.tick()


def test_it_remembers_so_many_and_no_more():
    flow = Flow()
    for n in range(SENDERS + 50):
        flow.turn("support", f"c{n}@x.example", START)
    assert len(flow._next) == SENDERS


def test_a_glance_finds_the_sender():
    assert sender_of(b"Subject: x\r\nFrom: Alice <Alice@X.example>\r\n\r\nFrom: bob@y.example") == "alice@x.example"
    assert sender_of(b"Subject: nobody\r\n\r\nhello") == ""
    assert sender_of(b"") == ""


def test_others_are_read_planned_and_served_before_a_flood(tmp_path):
    """Two hundred mails of one sender wait; Bob's, which came last, is in the desk after the first look."""
    world = World(tmp_path)
    for n in range(200):
        world.mail(text=f"Bonjour {n}", sender_fact="flood@x.example", **{"from": "flood@x.example"})
    world.mail(text="Bonjour, où est ma commande ?", sender_fact="bob@x.example", **{"from": "bob@x.example"})
    order: list[str] = []
    real = world.hub.instances["desk"].component.save_case

    def save_case(case, effect):
        order.append(case.requester.value)
        return real(case, effect)

    world.hub.instances["desk"].component.save_case = save_case
    world.go(60, step=0.5)
    assert order.index("bob@x.example") <= FREE + 2
    with world.hub.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).where(delivery.c.turn_at > delivery.c.created_at)) > 100
    assert len(order) == 201  # nobody else waits, so the flood passes at full speed
    world.hub.stop()
