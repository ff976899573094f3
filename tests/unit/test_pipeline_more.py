"""What the pipeline does when something around it is ill, late, repeated or forged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from hub.engine.embedded import AHEAD
from hub.log import configure
from hub.pipeline import deliver, due, enrich, plan
from hub.pipeline.accept import accept
from hub.pipeline.parts import Parts
from hub.pipeline.replay import replay_raw, settle_unsure
from hub.pipeline.replies import withdraw_acknowledgement
from hub.sdk import Identity, OrderFacts, Profile, Request, Unavailable
from hub.store.cases import case, delivery
from hub.store.customers import customer, identity, link
from hub.store.health import alert
from hub.store.intake import message, message_copy, step
from hub.store.joining import join
from hub.store.people import throttle
from tests import databases
from tests.world import World, rows

QUESTION = "Bonjour, où est ma commande ?"


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.hub.stop()


def fail_once(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, times: int = 1) -> None:
    real, left = getattr(module, name), [times]

    def failing(*args: Any, **kwargs: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise KeyError("a bug of our own")
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, failing)


def read_several(world: World, monkeypatch: pytest.MonkeyPatch, channel: str = "support") -> None:
    """A channel whose raws hold several messages each: their texts are separated by bars."""
    post = world.hub.instances[channel].component
    real = type(post).read

    def read(raw: Any) -> list[Any]:
        import dataclasses

        (one,) = real(post, raw)
        return [
            dataclasses.replace(
                one, text=t, reply=t, message_id=f"<{n}.{t}>", content_key=t and f"{t}{one.sender.value}"
            )
            for n, t in enumerate(one.text.split("|"))
        ]

    monkeypatch.setattr(post, "read", read)


# -- planning ------------------------------------------------------------------------------


def test_a_plan_that_failed_once_still_owes_everything(world, monkeypatch):
    fail_once(monkeypatch, plan, "suggest")
    world.mail(text=QUESTION)
    world.go(10)
    assert len(world.far.tickets) == 1
    assert len(world.far.comments) == 1
    assert len(world.far.sent) == 1
    assert not rows(world, step)


def test_a_message_that_could_not_be_planned_is_told_and_planned_again_not_read_again(world, monkeypatch):
    fail_once(monkeypatch, plan, "suggest", times=20)
    world.mail(text=QUESTION)
    world.go(200)
    (kept,) = rows(world, step)
    assert (kept.state, kept.stage) == ("kept", "plan")
    assert [a.key for a in rows(world, alert, alert.c.closed_at.is_(None))] == ["kept-unread"]
    monkeypatch.undo()
    assert replay_raw(world.hub.store, world.clock.now(), kept.raw_id) == 1
    world.go()
    assert len(world.far.tickets) == 1
    assert len(world.far.sent) == 1
    assert not rows(world, message_copy)
    assert not rows(world, step)


def test_the_alert_of_kept_messages_stands_until_the_last_one_went(world):
    world.mail(broken=True)
    world.mail(broken=True, **{"from": "bob@customer.example"})
    world.go()
    first, _second = rows(world, step)
    with world.hub.store.write() as connection:
        connection.execute(sa.update(step).where(step.c.raw_id != first.raw_id).values(instance="support"))
    replay_raw(world.hub.store, world.clock.now(), first.raw_id)
    assert len(rows(world, alert, alert.c.closed_at.is_(None))) == 1
    replay_raw(world.hub.store, world.clock.now())
    assert not rows(world, alert, alert.c.closed_at.is_(None))


def test_a_crm_that_answers_nonsense_hurts_no_case(world):
    alice = (Identity("email", "alice@customer.example"),)
    world.far.profiles = [Profile("12", "Alice", identities=alice), Profile("12", "Alice M", identities=alice)]
    naive = world.clock.now().replace(tzinfo=None)
    world.far.orders["CMD-2026-0042"] = OrderFacts("CMD-2026-0042", "shipped", alice, placed_at=naive)
    world.mail(text=f"{QUESTION} CMD-2026-0042")
    world.go()
    assert len(world.far.tickets) == 1
    assert len(world.far.sent) == 1
    assert not rows(world, step)


def test_a_case_with_thousands_of_mails_leaves_planners_to_others(world, monkeypatch):
    if databases.with_lanes():
        pytest.skip("planners of the embedded engine")
    world.mail(text=QUESTION)
    world.go()
    for n in range(600):
        world.mail(text=f"{QUESTION} {n}", refs=["<0@customer.example>"])
    world.mail(text=QUESTION, **{"from": "bob@customer.example"})
    asked: list[str] = []
    engine = world.hub.engine
    monkeypatch.setattr(engine, "_submit", lambda _t, key, *_a, **_more: (asked.append(key), engine._busy.add(key)))
    for source in _sources(world):
        source.tick()
    while engine.look():
        pass
    engine.look()
    assert "plan/2" in asked
    engine._busy.clear()


def _sources(world: World) -> list[Any]:
    from hub.engine.sources import sources_of

    found = sources_of(world.hub.parts, world.hub.engine.wake, world.hub.engine._stop)
    return [one for one in found if one.instance.id == "support"]


def test_two_messages_of_one_raw_both_reach_the_desk(world, monkeypatch):
    world.mail(text=QUESTION)
    world.go()
    read_several(world, monkeypatch)
    world.mail(text="Encore une question|Et encore une autre", refs=["<0@customer.example>"])
    world.go()
    assert [words for _, words in world.far.words] == ["Encore une question", "Et encore une autre"]
    assert len(world.far.comments) == 3


def test_a_raw_of_copies_alone_is_not_set_aside(world, monkeypatch):
    read_several(world, monkeypatch, "support")
    read_several(world, monkeypatch, "contact")
    world.mail(text="Une première question|Une seconde question")
    world.go()
    world.go(channel="contact")
    assert not rows(world, step)
    assert len(rows(world, message, message.c.direction == "in")) == 2
    assert len(rows(world, message_copy)) == 1


def test_new_words_on_an_old_conversation_reach_the_desk(world):
    world.mail(text="Une vieille histoire de commande", at="2026-11-01T10:00:00+00:00")
    world.go()
    world.mail(text="Et maintenant la suite, où est-elle ?", refs=["<0@customer.example>"])
    world.go()
    value = world.far.tickets["1"]["value"]
    assert "vieille" in value.first_text
    assert [words for _, words in world.far.words] == ["Et maintenant la suite, où est-elle ?"]


# -- acknowledging -------------------------------------------------------------------------


def _counted(world: World, key: str = "ack") -> int:
    return sum(one.count for one in rows(world, throttle) if one.key == key)


def test_an_acknowledgement_planned_twice_counts_once(world, monkeypatch):
    def die(*_args: Any, **_kwargs: Any) -> None:
        raise SystemExit

    world.far.voice = None  # it waits to hear the desk
    monkeypatch.setattr(plan, "_finish", die)
    world.mail(text=QUESTION)
    with pytest.raises(SystemExit):
        world.go()
    monkeypatch.undo()
    world.restart()
    world.go()
    assert (_counted(world), _counted(world, "ack:alice@customer.example")) == (1, 1)


def test_what_was_withdrawn_does_not_count(world):
    world.far.voice = None
    world.mail(text=QUESTION)
    world.go()
    world.reply("1", "Bonjour Alice, elle est en route.")
    world.go()
    assert not world.far.sent
    assert (_counted(world), _counted(world, "ack:alice@customer.example")) == (0, 0)


def test_a_further_mail_does_not_explain_away_an_acknowledgement_that_is_owed(world):
    world.far.voice = None
    world.mail(text=QUESTION)
    world.mail(text="Toujours rien reçu", refs=["<0@customer.example>"])
    world.go()
    assert rows(world, case)[0].acknowledge_reason == ""
    world.go(130)
    assert len(world.far.sent) == 1


def test_an_acknowledgement_withdrawn_at_the_last_moment_stays_withdrawn(world):
    world.far.voice = None
    world.mail(text=QUESTION)
    world.go()
    (head,) = rows(world, delivery, delivery.c.ability == "send")
    with world.hub.store.write() as connection:
        withdraw_acknowledgement(connection, head.case_id, "an agent answered before it was sent")
    world.clock.at += timedelta(minutes=3)
    deliver._deliver(world.hub.parts, world.hub.instances["support"], head)
    assert not world.far.sent
    assert rows(world, delivery, delivery.c.id == head.id)[0].state == "skipped"


def test_a_desk_is_heard_once_a_start(world, monkeypatch):
    asked: list[str] = []
    desk = world.hub.instances["desk"].component
    monkeypatch.setattr(desk, "speaks", lambda ticket: asked.append(ticket) or "it greets")
    for n in range(3):
        world.mail(text=QUESTION, **{"from": f"c{n}@customer.example"})
    world.go()
    assert asked == ["1"]


def test_a_machines_words_from_the_desk_are_no_answer(world, monkeypatch):
    import dataclasses

    desk = world.hub.instances["desk"].component
    real = type(desk).read
    monkeypatch.setattr(
        desk, "read", lambda raw: [dataclasses.replace(one, automatic="Auto-Submitted") for one in real(desk, raw)]
    )
    world.far.voice = None
    world.mail(text=QUESTION)
    world.go()
    world.reply("1", "Votre demande a bien été reçue.")
    world.go()
    assert rows(world, case)[0].state == "open"
    assert rows(world, case)[0].answered_at is None


# -- delivering ----------------------------------------------------------------------------


def _owe(world: World, instance: str, lane: str, count: int, due: float = 0.0, **more: Any) -> None:
    now = world.clock.now()
    row = {"instance": instance, "ability": "show", "lane": lane, "state": "waiting", "created_at": now}
    with world.hub.store.write() as connection:
        known = connection.scalar(sa.select(sa.func.count()).select_from(delivery)) or 0
        connection.execute(
            sa.insert(delivery),
            [{**row, "key": f"k{known + n}", "due_at": now + timedelta(seconds=due), **more} for n in range(count)],
        )


def _due(world: World, lanes: int = 8, floods: int = 8) -> dict[str, str]:
    free = dict.fromkeys(world.hub.instances, due.Capacity(lanes, floods))
    with world.hub.store.read() as connection:
        return {one.name: one.instance for one in due.due_lanes(connection, world.hub.parts, free)}


def test_a_backlog_of_one_instance_hides_no_other(world):
    for n in range(600):
        _owe(world, "desk", f"desk/{n}", 1)
    _owe(world, "gone", "gone/1", 600)
    _owe(world, "support", "support/1", 1)
    found = _due(world)
    assert found["support/1"] == "support"
    assert "gone" not in found.values()


def test_a_long_lane_hides_no_other_of_its_instance(world):
    _owe(world, "desk", "desk/1", 600)
    _owe(world, "desk", "desk/2", 1)
    assert set(_due(world)) == {"desk/1", "desk/2"}


def test_no_more_lanes_are_handed_out_than_threads_can_take_soon(world):
    """What is handed out has had its turn: a flood of lanes there would be in front of whoever comes next."""
    for n in range(50):
        _owe(world, "desk", f"desk/{n}", 1, turn_at=world.clock.now() + timedelta(seconds=60))
    _owe(world, "desk", "desk/99", 1)
    found = list(_due(world, 4))
    assert found[0] == "desk/99"
    assert len(found) == 4
    assert len(_due(world, 4, floods=1)) == 2


@pytest.mark.parametrize("others", [True, False])
def test_a_flood_has_one_thread_while_others_are_about_and_all_of_them_else(world, monkeypatch, others):
    if databases.with_lanes():
        pytest.skip("threads of the embedded engine")
    for n in range(50):
        _owe(world, "desk", f"desk/{n}", 1, turn_at=world.clock.now() + timedelta(seconds=60))
    if others:
        world.hub.parts.crowd.came(world.clock.now())
    engine = world.hub.engine
    monkeypatch.setattr(engine._drainers["desk"], "submit", lambda *_args: None)
    for _ in range(3):
        engine._start_lanes()
    assert len(engine._behind) == (1 if others else AHEAD * engine._drainers["desk"].size)
    engine._busy.clear()


def test_a_lane_whose_head_waits_is_not_looked_at(world):
    _owe(world, "desk", "desk/1", 1, due=60, attempts=3)
    _owe(world, "desk", "desk/1", 2)
    assert _due(world) == {}
    world.clock.at += timedelta(seconds=61)
    assert set(_due(world)) == {"desk/1"}


def test_a_lane_that_makes_no_call_leaves_the_probe_to_others(world):
    world.far.voice = None
    world.mail(text=QUESTION)
    support = world.hub.instances["support"]
    world.go()
    support.failed(Unavailable("connection refused"))
    world.clock.at = support.health.retry_at
    (head,) = rows(world, delivery, delivery.c.ability == "send")
    with world.hub.store.write() as connection:
        connection.execute(sa.update(delivery).where(delivery.c.id == head.id).values(due_at=world.clock.now()))
    deliver.drain(world.hub.parts, support, head.lane)  # it waits for the desk's voice: no call is made
    assert support.ready()


def test_two_cases_with_one_number_over_there_are_shown_and_do_not_spin(world):
    desk = world.hub.instances["desk"].component
    real = desk.save_case
    desk.save_case = lambda value, effect: real(value, effect) and "1"
    world.mail(text=QUESTION)
    world.mail(text=QUESTION, **{"from": "bob@customer.example"})
    world.go(10)
    assert world.far.calls.count("save_case") == 2
    (refused,) = rows(world, delivery, delivery.c.state == "rejected")
    assert "another case" in refused.reason


def test_a_bug_of_our_own_sets_one_delivery_aside(world, monkeypatch):
    from hub.pipeline import call

    fail_once(monkeypatch, call, "build_case")
    world.mail(text=QUESTION)
    world.mail(text=QUESTION, **{"from": "bob@customer.example"})
    world.go()
    (refused,) = rows(world, delivery, delivery.c.state == "rejected")
    assert "KeyError" in refused.reason
    assert len(world.far.tickets) == 1


def test_a_bug_in_a_blind_sending_is_unsure(world):
    post = world.hub.instances["support"].component
    real = post.send

    def send(outgoing: Any, effect: Any) -> str:
        real(outgoing, effect)
        raise KeyError("after the mail went out")

    post.send = send
    world.mail(text=QUESTION)
    world.go()
    assert len(world.far.sent) == 1
    assert [d.ability for d in rows(world, delivery, delivery.c.state == "unsure")] == ["send"]


def test_deciding_on_an_unsure_draft_leaves_the_customers_words_alone(world):
    world.mail(text=QUESTION, may=False)
    world.go()
    (said,) = rows(world, message)
    _owe(world, "support", "support/9", 1, ability="draft", state="unsure", message_id=said.id, case_id=said.case_id)
    (unsure,) = rows(world, delivery, delivery.c.state == "unsure")
    assert settle_unsure(world.hub.store, world.clock.now(), unsure.id, sent=True)
    assert rows(world, message)[0].state == said.state
    assert rows(world, case)[0].acknowledged_at is None


# -- receiving -----------------------------------------------------------------------------


def test_a_stranger_at_the_door_changes_no_health(world, monkeypatch):
    from hub.sdk import AuthError

    door = world.hub.instances["support"]
    request = Request("POST", "", {}, {}, b"", "192.0.2.1")
    for error, status in ((AuthError("the signature is wrong"), 403), (Unavailable("many entries at once"), 503)):

        def refuse(_request: Any, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr(type(door.component), "accept", lambda _s, r, refuse=refuse: refuse(r), raising=False)
        assert accept(world.hub.parts, door, request).status == status
        assert door.health.state == "green"
    assert not rows(world, alert)


def test_what_is_pushed_while_a_plugins_state_is_away_is_refused_and_told_once(world, monkeypatch, capsys):
    configure("INFO")
    door = world.hub.instances["support"]

    def gone(_self: Any, _request: Any) -> Any:
        cause = sa.exc.OperationalError("select", {}, Exception("connection refused"))
        raise Unavailable("the hub's own database does not answer", maybe_done=True) from cause

    monkeypatch.setattr(type(door.component), "accept", gone, raising=False)
    request = Request("POST", "", {}, {}, b"", "192.0.2.1")
    assert [accept(world.hub.parts, door, request).status for _ in range(3)] == [503] * 3
    assert capsys.readouterr().err.count("the database does not answer") == 1


# -- customers -----------------------------------------------------------------------------


def test_two_senders_nobody_can_name_are_not_each_other(world):
    world.mail(text=QUESTION, name="Eve", **{"from": "@"})
    world.mail(text=QUESTION, name="Bob", **{"from": "@"})
    world.go()
    (nobody,) = rows(world, identity, identity.c.kind == "handle")
    assert nobody.name == ""
    assert nobody.shared
    assert rows(world, customer)[0].name == ""
    assert [m.sender_name for m in rows(world, message, message.c.direction == "in")] == ["Eve", "Bob"]


def test_a_parting_outranks_a_third_address(world):
    now = world.clock.now()
    for who in ("a", "b", "c"):
        world.mail(text=QUESTION, **{"from": f"{who}@customer.example"})
    world.go()
    a, b, c = [one.id for one in rows(world, identity)]
    with world.hub.store.write() as connection:
        connection.execute(
            sa.insert(link).values(
                identity_id=a, other_id=b, kind="part", strength="verified", evidence="two people", by="admin", at=now
            )
        )
        assert join(connection, a, c, evidence="profile 1", by="files", now=now)
        assert not join(connection, b, c, evidence="profile 1", by="files", now=now)
    of = {one.id: one.customer_id for one in rows(world, identity)}
    assert of[a] == of[c] != of[b]


def test_enriching_is_asked_of_every_source(world, monkeypatch):
    """A source with a bug is no reason not to ask the next one."""
    fail_once(monkeypatch, enrich, "_customers")
    world.far.orders["CMD-2026-0042"] = OrderFacts("CMD-2026-0042", "shipped", ())
    world.mail(text=f"{QUESTION} CMD-2026-0042")
    world.go()
    assert [o.state for o in world.far.tickets["1"]["value"].orders] == ["shipped"]


def test_parts_know_the_brand_of_an_instance_that_is_gone(world):
    parts: Parts = world.hub.parts
    assert parts.brand_of("gone")[0] == ""


def test_what_every_page_and_every_look_asks_reads_an_index_and_sorts_nothing(world):
    """At hundreds of thousands of rows a scan twice a second is all the hub would do."""
    if not databases.is_sqlite():
        pytest.skip("SQLite's planner tells what it does; PostgreSQL's depends on how much there is")
    asked: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.startswith("SELECT"):
            with world.hub.store._engine.connect() as plain:
                found = plain.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                asked.extend(f"{row[3]} :: {statement}" for row in found.fetchall())

    for n in range(60):  # as many as make SQLite weigh its indexes otherwise
        world.mail(text=QUESTION, **{"from": f"c{n}@customer.example"})
        world.mail(text=QUESTION, sender_fact="flood@customer.example", **{"from": "flood@customer.example"})
    for source in _sources(world):
        source.tick()
    for engine in (world.hub.store._engine, world.hub.store._durable):
        sa.event.listen(engine, "before_cursor_execute", note)
    world.hub.engine.look()
    world.hub.engine.look()
    for engine in (world.hub.store._engine, world.hub.store._durable):
        sa.event.remove(engine, "before_cursor_execute", note)
    small = ("answer", "note", "variant", "phrasing", "instance_health", "instance", "alert", "throttle", "profile")
    scans = [
        one
        for one in asked
        if one.startswith("SCAN ") and not one.split()[1].startswith((*small, "CONSTANT", "(sub", "of_cases"))
    ]
    assert asked
    assert scans == []
    assert any("ix_step_case_id" in one for one in asked), (
        "what is due of some cases, without passing over all the others"
    )
    assert any("ix_step_state_stage_instance_flood" in one and "step.flood = " in one for one in asked), "others first"
    own = [one for one in asked if "message.raw_id IS NULL" in one]  # our own mails: there may be many
    assert own
    assert all("ix_message_sent" in one for one in own), own


def test_a_forged_bounce_marks_nobody(world):
    from hub.pipeline.resolve import mark_undeliverable
    from hub.store.customers import identity

    world.mail(text="Bonjour, où est ma commande ?", may=False)
    world.go()
    with world.hub.store.write() as connection:
        mark_undeliverable(connection, ["alice@customer.example"], "550 unknown")
    assert rows(world, identity)[0].undeliverable == ""
    world.mail(text="Bonjour, une autre question sur ma commande ?", **{"from": "bob@customer.example"})
    world.go()
    with world.hub.store.write() as connection:
        mark_undeliverable(connection, ["bob@customer.example"], "550 unknown")
    assert [i.undeliverable for i in rows(world, identity)] == ["", "550 unknown"]


def test_a_number_in_the_subject_counts_for_its_own_customer_alone(world):
    world.mail(text="Bonjour, où est ma commande ?")
    world.go()
    world.mail(text="Toujours rien, sans références", subject="RE : [tr-2026-000001]")
    world.mail(text="Je cite ce dossier aussi", subject="TR-2026-000001", **{"from": "eve@customer.example"})
    world.mail(text="Un autre numéro encore", subject="TR-2026-0000019")
    world.go()
    cases = [m.case_id for m in rows(world, message, message.c.direction == "in")]
    assert cases == [1, 1, 2, 3]
