"""What the simulator found (tests/sim), each finding told again in a few lines."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from hub.pipeline import replay, voices
from hub.pipeline.settle import interrupted
from hub.sdk import AuthError, Unavailable
from hub.store.cases import delivery, suggestion
from hub.store.health import alert
from hub.store.intake import message, step
from tests.world import Desk, Killed, World, rows

QUESTION = "Bonjour, où est ma commande ?"


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.hub.stop()


def test_a_plan_made_again_after_a_crash_does_not_take_the_first_words_for_further_ones(world, monkeypatch):
    def dies(*_args: Any, **_kwargs: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("hub.pipeline.plan._finish", dies)
        world.mail(text=QUESTION)
        with pytest.raises(Killed):
            world.go(1)
    world.restart()
    world.go(3)
    assert [one.ability for one in rows(world, delivery, delivery.c.instance == "desk")] == ["save_case", "show"]
    assert world.far.words == []


def _late(world: World, seconds: float) -> Any:
    """The desk takes the next case in, but only after a while; whoever asked does not hear of it."""

    def take(self: Any, case: Any, effect: Any) -> str:
        world.far.call("save_case")
        due = world.clock.now() + timedelta(seconds=seconds)
        world.far.trouble = lambda _what: _arrive(world, case, effect, due)
        raise Unavailable("read timed out", maybe_done=True)

    return take


def _arrive(world: World, case: Any, effect: Any, due: Any) -> None:
    if world.clock.now() >= due and effect.key not in world.far.effects:
        world.far.tickets["77"] = {"case": case.number, "value": case}
        world.far.effects[effect.key] = "77"


def test_retry_now_does_not_look_before_the_far_side_has_settled(world, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("tests.world.Desk.save_case", _late(world, 4.5))
        world.mail(text=QUESTION)
        world.go(1)
    owed = rows(world, delivery, delivery.c.ability == "save_case")[0]
    replay.retry_now(world.hub.store, world.clock.now(), owed.id)
    world.go(8)
    assert len(world.far.tickets) == 1
    assert rows(world, delivery, delivery.c.ability == "save_case")[0].result == "77"


def test_after_a_crash_in_a_long_call_the_far_side_settles_from_the_crash_on(world, monkeypatch):
    def dies(self: Any, case: Any, effect: Any) -> str:

        world.clock.at += timedelta(seconds=25)  # the desk is slow, and the hub dies while it waits
        due = world.clock.now() + timedelta(seconds=4)
        world.far.trouble = lambda _what: _arrive(world, case, effect, due)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("tests.world.Desk.save_case", dies)
        world.mail(text=QUESTION)
        with pytest.raises(Killed):
            world.go(1)
    world.restart()
    world.go(8)
    assert len(world.far.tickets) == 1
    assert rows(world, delivery, delivery.c.ability == "save_case")[0].result == "77"


def test_an_agent_who_answers_before_we_know_the_ticket_is_heard(world, monkeypatch):
    real = Desk.save_case

    def lost(self: Any, case: Any, effect: Any) -> str:
        real(self, case, effect)
        raise Unavailable("read timed out", maybe_done=True)

    with monkeypatch.context() as patched:
        patched.setattr(Desk, "save_case", lost)
        world.mail(text=QUESTION)
        world.go(0.5)
    world.reply("1", "Votre commande est en route.")
    world.reply("99", "Said on a ticket that is none of ours.")
    world.go(1)
    assert len(rows(world, step)) == 2
    world.go(12)
    said = rows(world, message, message.c.direction == "out", message.c.raw_id.is_not(None))
    assert [(one.case_id, one.agent_id) for one in said] == [(1, 1)]
    assert rows(world, step) == []


def test_two_people_whose_mail_programs_use_one_message_id_have_a_case_each(world):
    same, chloe = "<1@broken.example>", "chloe@customer.example"
    world.mail(id=same, text=QUESTION)
    world.mail(**{"from": "bruno@customer.example"}, id=same, text="Comment retourner un article ?")
    world.go(1)
    world.mail(**{"from": chloe}, id=same, text="Merci beaucoup")
    world.mail(**{"from": chloe}, id=same, text="Et encore ceci")
    world.mail(**{"from": "bruno@customer.example"}, refs=[same], text="Je précise")
    world.go(1)
    said = rows(world, message, message.c.direction == "in")
    assert [(one.sender[:5], one.case_id) for one in said] == [
        ("alice", 1), ("bruno", 2), ("chloe", 3), ("chloe", 3), ("bruno", 2)
    ]  # fmt: skip


def test_a_second_look_proposes_nothing_to_an_agent_who_answered(world, monkeypatch):
    def away(what: str) -> None:
        if what in ("suggest", "find_customers"):
            raise Unavailable("no route to host")

    world.far.trouble = away
    world.mail(text=QUESTION)
    world.go(1)
    world.far.trouble = lambda _what: None
    world.reply("1", "Votre commande est en route.")
    world.go(2)
    world.clock.at += timedelta(seconds=120)
    world.go(2)
    assert rows(world, step) == []
    assert rows(world, suggestion) == []


def test_words_read_again_do_not_double_those_the_case_begins_with(world, monkeypatch):
    """The later mail's raw is older, as it was kept unread; both are planned in one look."""
    world.mail(text="Je précise", refs=["<root@customer.example>"], broken=True)
    world.mail(text=QUESTION, id="<root@customer.example>")
    with monkeypatch.context() as patched:
        patched.setattr("hub.engine.embedded.Embedded._start_plans", lambda _engine: None)
        world.go(0.5)
        real = json.loads
        patched.setattr("tests.world.json.loads", lambda data: {**real(data), "broken": False})
        replay.replay_raw(world.hub.store, world.clock.now())
        world.go(0.5)
    world.go(3)
    assert world.far.words == [("1", "Je précise")]


def test_a_clock_set_back_lets_no_later_words_overtake(world, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("hub.engine.embedded.Embedded._start_plans", lambda _engine: None)
        world.mail(text=QUESTION, id="<root@customer.example>")
        world.mail(text="Premièrement", refs=["<root@customer.example>"])
        world.go(1)
    world.clock.at -= timedelta(seconds=30)
    world.mail(text="Deuxièmement", refs=["<root@customer.example>"])
    world.go(40)
    assert [text for _, text in world.far.words] == ["Premièrement", "Deuxièmement"]


def test_a_desk_that_gives_no_number_has_a_bug(world, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(Desk, "save_case", lambda *_args: "")
        world.mail(text=QUESTION)
        world.go(1)
    assert [(one.ability, one.state) for one in rows(world, delivery, delivery.c.instance == "desk")] == [
        ("save_case", "rejected"),
        ("show", "held"),
    ]
    replay.replay_delivery(world.hub.store, world.clock.now())
    world.go(2)
    assert {one.state for one in rows(world, delivery, delivery.c.instance == "desk")} == {"done"}


def test_health_that_could_not_be_written_is_written_at_the_next_call(world, monkeypatch):
    desk = world.hub.instances["desk"]
    desk.failed(AuthError("the password was refused"))

    def full(*_args: Any, **_kwargs: Any) -> Any:
        raise sa.exc.OperationalError("COMMIT", {}, Exception("disk I/O error"))

    with monkeypatch.context() as patched:
        patched.setattr(world.hub.store, "write", full)
        assert desk.call(lambda: "answer") == "answer"
    assert rows(world, alert, alert.c.closed_at.is_(None))
    desk.call(lambda: "answer")
    assert rows(world, alert, alert.c.closed_at.is_(None)) == []


def test_a_voice_that_could_not_be_written_down_is_listened_to_again(world, monkeypatch):
    """The database goes away in that moment: else every acknowledgement would wait for its patience to end."""
    world.far.voice = ""
    real = voices.upsert

    def away(*_args: Any) -> Any:
        monkeypatch.setattr(voices, "upsert", real)
        raise sa.exc.OperationalError("the database is away", None, Exception())

    monkeypatch.setattr(voices, "upsert", away)
    world.mail(text=QUESTION)
    with contextlib.suppress(sa.exc.OperationalError):  # an engine of its own threads only tells it
        world.go(3)
    world.mail(text=QUESTION, **{"from": "bob@customer.example"})
    world.go(30)
    assert len(world.far.sent) == 2


def test_a_plugin_that_stumbles_while_it_looks_opens_no_second_ticket(world):
    """The desk took the case and its answer was lost; then its plugin has a bug, and the customer writes again."""
    answers = iter(["lost"])

    def trouble(what: str) -> None:
        if what == "find" and world.clock.now() < healed:
            raise KeyError(what)

    real = Desk.save_case

    def save_case(self: Any, case: Any, effect: Any) -> str:
        number = real(self, case, effect)
        if next(answers, ""):
            raise Unavailable("the answer was lost", maybe_done=True)
        return number

    healed = world.clock.now() + timedelta(seconds=8)
    world.far.trouble = trouble
    world.hub.instances["desk"].component.save_case = save_case.__get__(world.hub.instances["desk"].component)
    world.mail(text=QUESTION)
    world.go(6)
    assert [one.state for one in rows(world, delivery, delivery.c.ability == "save_case")] == ["sending"]
    world.mail(text="Et mon colis ?", refs=["<0@customer.example>"])
    world.go(20)
    assert len(world.far.tickets) == 1
    assert {one.state for one in rows(world, delivery, delivery.c.instance == "desk")} == {"done"}


def test_a_plugin_that_always_stumbles_while_it_looks_leaves_it_to_a_human(world, monkeypatch):
    def trouble(what: str) -> None:
        if what == "find":
            raise KeyError(what)
        if what == "save_case":
            raise Unavailable("the answer was lost", maybe_done=True)

    monkeypatch.setattr("hub.pipeline.deliver.LOOKS", 3)
    world.far.trouble = trouble
    world.mail(text=QUESTION)
    world.go(20)
    (case,) = rows(world, delivery, delivery.c.ability == "save_case")
    assert (case.state, case.reason.partition(":")[0]) == ("unsure", "the hub could not find out whether it is there")


def test_a_process_that_starts_again_and_again_keeps_no_retry_back(world):
    """Another worker's, which dies as soon as it has started: what merely waits is not begun."""
    well = world.clock.now() + timedelta(seconds=3)

    def trouble(what: str) -> None:
        if what == "save_case" and world.clock.now() < well:
            raise Unavailable("busy for a moment")

    world.far.trouble = trouble
    world.mail(text=QUESTION)
    world.go(2)
    for _ in range(10):
        interrupted(world.hub.parts)
        world.go(4)
    assert len(world.far.tickets) == 1
