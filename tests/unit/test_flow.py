"""Whose turn it is: a flood steps aside, nobody else does."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.engine.sources import sources_of
from hub.flow import CALM, FREE, SENDERS, STEP, Crowd, Flow, number_of
from hub.mail.glance import sender_of
from hub.pipeline.receive import keep_pushed
from hub.pipeline.record import record_page
from hub.pipeline.waiting import SHARE
from hub.sdk import Raw
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
    world.go(CALM.total_seconds() + 6)
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


def test_others_are_read_before_a_flood_though_they_came_behind_it(tmp_path):
    world = World(tmp_path)
    _write(world, "flood", 300)
    _write(world, "bob", 2)
    _poll(world)
    world.hub.engine.look()
    assert {"bob 0", "bob 1"} < {*_said(world)}
    many = len(_said(world))
    for n in range(2, 6):
        _write(world, "bob", 1, n)
        _poll(world)
        world.hub.engine.look()  # what is read ahead comes first
    assert "bob 4" in _said(world)
    assert len(_said(world)) <= many + 4 * (SHARE + 1)  # no more while others are about: who comes next waits for these
    world.go(30)
    assert [one for one in _said(world) if one.startswith("flood")] == [f"flood {n}" for n in range(300)]
    world.hub.stop()


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("writes"), st.sampled_from(["a", "b", "c"]), st.sampled_from([1, 3, FREE, 70])),
            st.tuples(st.sampled_from(["reads", "polls", "restarts", "waits"])),
        ),
        max_size=20,
    )
)
@settings(max_examples=25, deadline=None)
def test_nobodys_words_are_read_in_another_order(does):
    """Whatever comes in, and whoever counts anew."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        wrote: Counter[str] = Counter()
        for what, *more in does:
            if what == "writes":
                _write(world, more[0], more[1], wrote[more[0]])
                wrote[more[0]] += more[1]
            elif what == "reads":
                record_page(world.hub.parts, "support")
            elif what == "polls":
                _poll(world)
            elif what == "restarts":
                world.restart()
            else:
                world.clock.at += timedelta(seconds=7)
        _poll(world)
        while record_page(world.hub.parts, "support"):
            pass
        said = _said(world)
        for who, many in wrote.items():
            assert [one for one in said if one.startswith(who)] == [f"{who} {n}" for n in range(many)]
        world.hub.stop()


def test_what_is_pushed_is_read_behind_its_senders_flood_whoever_took_it(tmp_path):
    """Several processes take what is pushed, and each counts for itself."""
    world = World(tmp_path)
    store, now = world.hub.store, world.clock.now()

    def push(first: int, many: int, flow: Flow) -> None:
        raws = [Raw(f"p{n}", b"{}", {"sender": "flood@x.example"}) for n in range(first, first + many)]
        with store.write() as connection:
            keep_pushed(connection, [("support", raws)], now, flow)

    push(0, FREE + 5, Flow())
    push(FREE + 5, 1, Flow())
    with store.read() as connection:
        floods = connection.scalars(sa.select(step.c.flood).order_by(step.c.raw_id)).all()
    assert floods == [0] * (FREE + 1) + [number_of("flood@x.example")] * 5
    world.hub.stop()


def _write(world: World, who: str, many: int, first: int = 0) -> None:
    for n in range(first, first + many):
        world.mail(text=f"{who} {n}", sender_fact=f"{who}@x.example", **{"from": f"{who}@x.example"})


def _said(world: World) -> list[str]:
    """In the order in which it was recorded."""
    with world.hub.store.read() as connection:
        words = sa.select(message_body.c.text).join(message).where(message.c.direction == "in").order_by(message.c.id)
        return list(connection.scalars(words))


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
    world.go(60)
    assert order.index("bob@x.example") <= FREE + 2
    with world.hub.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).where(delivery.c.turn_at > delivery.c.created_at)) > 100
    assert len(order) == 201  # nobody else waits, so the flood passes at full speed
    world.hub.stop()
