"""Two at the same work: a worker was frozen or cut off, another one took over, and the first goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from hub.engine.rescue import Rescue
from hub.engine.sources import sources_of
from hub.pipeline import deliver, record
from hub.pipeline.read import Culprit
from hub.pipeline.replay import settle_unsure
from hub.pipeline.settle import abandoned, done, set_state, unsure
from hub.sdk import Unavailable
from hub.store.cases import delivery
from hub.store.health import alert
from hub.store.intake import message, message_copy, step
from tests.world import Killed, World, rows


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.hub.stop()


def fetch(world: World) -> None:
    """What lies in the mailbox is kept, and not read yet."""
    for source in sources_of(world.hub.parts, world.hub.engine.wake, world.hub.engine._stop):
        if source.instance.id == "support":
            source.tick()


def test_a_page_that_another_one_recorded_meanwhile_is_left_alone(world, monkeypatch):
    """One has read its page and stands still; another reads and records it; then the first goes on."""
    for n in range(3):
        world.mail(text=f"Bonjour {n}", content_key="" if n == 2 else f"key {n}", **{"from": f"c{n}@customer.example"})
    fetch(world)
    read: list[Any] = []
    with monkeypatch.context() as patched:
        patched.setattr(record, "_record", lambda _parts, items: read.extend(items))
        record.record_page(world.hub.parts, "support")
    assert len(read) == 3
    for _ in range(2):
        record._record(world.hub.parts, read)
        assert [one.stage for one in rows(world, step)] == ["plan"] * 3
    assert len(rows(world, message)) == 3
    assert rows(world, message_copy) == []
    world.go(3)
    record._record(world.hub.parts, read)
    assert rows(world, step) == []
    assert len(world.far.tickets) == 3


def test_what_another_one_could_read_is_not_set_aside(world):
    world.mail(text="Bonjour")
    fetch(world)
    (raw,) = rows(world, step)
    record.record_page(world.hub.parts, "support")
    record.set_aside(world.hub.parts, [Culprit(raw.raw_id, "took too long")])
    assert [(one.stage, one.state) for one in rows(world, step)] == [("plan", "waiting")]
    assert rows(world, alert) == []


def under_way(world: World, ability: str) -> Any:
    """A delivery whose call is under way: its row as the caller had read it before."""
    world.mail(text="Bonjour, où est ma commande ?")
    heads: list[Any] = []

    def look(what: str) -> None:
        if what == ability and not heads:
            (row,) = rows(world, delivery, delivery.c.ability == ability)
            with world.hub.store.write() as connection:  # as it was, for a moment
                was = sa.update(delivery).where(delivery.c.id == row.id)
                connection.execute(was.values(attempts=row.attempts - 1, state="waiting"))
                heads.append(connection.execute(deliver._HEAD, {"of": row.lane}).one())
                connection.execute(was.values(attempts=row.attempts, state=row.state))
            raise Killed

    world.far.trouble = look
    with pytest.raises(Killed):
        world.go(5)
    world.far.trouble = lambda _what: None
    return heads[0]


def states(world: World, head: Any) -> tuple[str, str]:
    (row,) = rows(world, delivery, delivery.c.id == head.id)
    return row.state, row.reason


def test_a_call_that_ends_in_time_says_what_became_of_it(world):
    head = under_way(world, "save_case")
    set_state(world.hub.parts, head, "waiting", "away", due_in=5.0, attempts=1)
    assert states(world, head) == ("waiting", "away")


def test_a_call_that_fails_late_does_not_undo_what_another_one_did(world):
    head = under_way(world, "save_case")
    world.restart()  # another one looks, finds nothing, and does it
    world.go(12)
    assert states(world, head) == ("done", "")
    for late in (set_state, unsure):
        late(world.hub.parts, head, *(["waiting"] if late is set_state else []), "no answer within 30 s")
        assert states(world, head) == ("done", "")


def test_a_call_that_fails_late_leaves_another_ones_attempt_alone(world):
    head = under_way(world, "save_case")
    with world.hub.store.write() as connection:
        again = sa.update(delivery).where(delivery.c.id == head.id)
        connection.execute(again.values(state="sending", attempts=head.attempts + 2, reason="another one's"))
    set_state(world.hub.parts, head, "rejected", "no")
    unsure(world.hub.parts, head, "no answer")
    assert states(world, head) == ("sending", "another one's")
    assert rows(world, alert) == []


def test_a_mail_that_went_out_after_all_is_no_longer_unsure(world):
    head = under_way(world, "send")
    world.restart()
    world.go(3)
    assert states(world, head)[0] == "unsure"
    done(world.hub.parts, world.hub.instances["support"], head, "<1@hub.example>")
    assert states(world, head)[0] == "done"
    assert [one.closed_at is None for one in rows(world, alert, alert.c.key.startswith("unsure"))] == [False]


@pytest.mark.parametrize(("ability", "settle", "then"), [("save_case", 5, "done"), ("send", 0, "unsure")])
def test_what_was_begun_in_an_abandoned_lane_is_left_alone_for_as_long_as_a_call_may_last(world, ability, settle, then):
    """Its job is gone, and its caller may be alive: only after that may one look for it, or call it unsure."""
    head = under_way(world, ability)
    limit = world.hub.instances[head.instance].limit
    with world.hub.store.write() as connection:
        abandoned(connection, world.hub.parts, [head.lane])
    (row,) = rows(world, delivery, delivery.c.id == head.id)
    assert (row.due_at - world.clock.now()).total_seconds() == 2 * limit + settle
    world.go(3)
    assert states(world, head)[0] == "sending"
    world.restart()
    world.go(80)
    assert states(world, head)[0] == then


def test_what_a_silent_worker_had_begun_is_left_alone_as_long(world):
    """It may be cut off from the database alone, and its call go on: its far side would be asked too early."""
    head, given = under_way(world, "save_case"), asyncio.Event()

    class Manager:
        async def get_stalled_jobs(self, **_: Any) -> list[Any]:
            return [SimpleNamespace(lock=f"out/{head.lane}")]

        async def retry_job(self, _job: Any) -> None:
            given.set()

    async def nothing(*_: Any, **__: Any) -> list[Any]:
        return []

    async def look() -> None:
        app: Any = SimpleNamespace(job_manager=Manager(), connector=SimpleNamespace(execute_query_all_async=nothing))
        running = asyncio.create_task(Rescue(app, world.hub.parts, (), (), 12.0).run())
        await given.wait()
        running.cancel()

    # On a thread of its own: a browser's loop may run in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, look()).result(30)
    (row,) = rows(world, delivery, delivery.c.id == head.id)
    instance = world.hub.instances["desk"]
    assert (row.due_at - row.started_at).total_seconds() == 2 * instance.limit + instance.settle


def test_what_a_human_lets_be_sent_is_not_undone_by_a_call_that_fails_late(world):
    head = under_way(world, "send")
    unsure(world.hub.parts, head, "the hub ended while it was being sent")
    settle_unsure(world.hub.store, world.clock.now(), head.id, sent=False)
    (again,) = rows(world, delivery, delivery.c.id == head.id)
    with world.hub.store.read() as connection:
        newer = connection.execute(deliver._HEAD, {"of": again.lane}).one()
    assert deliver._mark_sending(world.hub.parts, world.hub.instances[head.instance], newer)
    set_state(world.hub.parts, head, "waiting", "no answer within 30 s")
    assert states(world, head) == ("sending", "")


def _fails(times: int, really: Any, ability: str) -> Any:
    """`really`, after the database was away for so many times."""
    left = [times]

    def either(*args: Any) -> Any:
        if left[0] and any(getattr(one, "ability", "") == ability for one in args):
            left[0] -= 1
            raise sa.exc.OperationalError("UPDATE", {}, Exception("server closed the connection"))
        return really(*args)

    return either


@pytest.mark.parametrize(("failures", "state"), [(2, "done"), (9, "unsure")])
def test_what_the_far_side_answered_is_written_down_on_another_connection(world, monkeypatch, failures, state):
    monkeypatch.setattr(deliver, "done", _fails(failures, done, "send"))
    world.mail(text="Bonjour, où est ma commande ?")
    for _ in range(3):
        with contextlib.suppress(sa.exc.OperationalError):  # as the engine does
            world.go(3)
    (sent,) = rows(world, delivery, delivery.c.ability == "send")
    assert (sent.state, len(world.far.sent)) == (state, 1)


def test_a_probe_that_the_database_cut_short_keeps_nobody_away(world, monkeypatch):
    def away(what: str) -> None:
        if what in ("save_case", "find"):
            raise Unavailable("no route to host")

    world.far.trouble = away
    world.mail(text="Bonjour")
    world.go(3)
    desk = world.hub.instances["desk"]
    assert desk.waits()
    world.far.trouble = lambda _what: None
    monkeypatch.setattr(deliver, "_look", _fails(1, deliver._look, "save_case"))
    for _ in range(2):
        with contextlib.suppress(sa.exc.OperationalError):
            world.go(12)
    assert world.far.tickets
    assert desk.health.state == "green"


def _numbers(world: World) -> list[int]:
    """The raws on the timeline, in the order in which they were recorded."""
    return [one.raw_id for one in rows(world, message) if one.raw_id is not None]


def test_a_page_that_the_database_cut_short_is_recorded_before_the_next_one(world, monkeypatch):
    """The next one is read already while the first is recorded; the first one fails, and both wait."""
    for n in range(150):
        world.mail(text=f"Bonjour {n}")
    fetch(world)
    with monkeypatch.context() as patched:

        def cut(*_args: Any) -> None:
            raise sa.exc.OperationalError("INSERT", {}, Exception("server closed the connection"))

        patched.setattr(record, "_record", cut)
        patched.setattr(world.hub.parts.readers, "may_hang", lambda _component: False, raising=False)
        with pytest.raises(sa.exc.OperationalError):
            record.record_page(world.hub.parts, "support")
    assert record.record_page(world.hub.parts, "support") == 100
    assert record.record_page(world.hub.parts, "support") == 50
    assert _numbers(world) == list(range(1, 151))


def test_nothing_passes_what_its_reader_has_not_finished(world):
    for n in range(150):
        world.mail(text=f"Bonjour {n}")
    fetch(world)
    with world.hub.store.write() as connection:  # as a reader leaves the rest of a page that takes long
        soon = world.clock.now() + timedelta(seconds=0.5)
        connection.execute(sa.update(step).where(step.c.raw_id.in_(range(61, 101))).values(due_at=soon))
    assert record.record_page(world.hub.parts, "support") == 60
    assert record.record_page(world.hub.parts, "support") == 0
    world.go(2)
    assert _numbers(world)[:150] == list(range(1, 151))
