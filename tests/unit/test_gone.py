"""What an instance leaves behind that was taken out of the configuration, with others' processes still at work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from hub.pipeline.gone import PATIENCE, Gone
from hub.pipeline.replay import replay_delivery
from hub.sdk import AuthError, Unavailable
from hub.store.cases import delivery
from hub.store.health import alert, instance_health
from hub.store.lanes import lane
from hub.store.sides import begin_sides, say_known
from tests.world import CONFIG, World

DESK = '[crm.desk]\nuse = "desk"\n'
MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.hub.stop()


def configure(world: World, *, desk: bool) -> None:
    """Start anew with a desk in the configuration, or without."""
    text = world.file.read_text("utf-8").replace(DESK, "")
    world.file.write_text(text + DESK if desk else text, "utf-8")
    world.restart()


def pass_(world: World, time: timedelta) -> None:
    """Let the hub look every minute."""
    end = world.clock.now() + time
    while world.clock.now() < end:
        world.clock.at += MINUTE
        world.hub.engine.look()


def states(world: World, instance: str = "desk") -> set[tuple[str, str]]:
    with world.hub.store.read() as connection:
        rows = connection.execute(sa.select(delivery).where(delivery.c.instance == instance))
        return {(row.ability, row.state) for row in rows}


def alerts(world: World) -> list[str]:
    with world.hub.store.read() as connection:
        return list(connection.scalars(sa.select(alert.c.key).where(alert.c.closed_at.is_(None)).order_by(alert.c.key)))


def one(world: World, query: sa.Select[Any]) -> Any:
    with world.hub.store.read() as connection:
        return connection.scalar(query)


def down(what: str) -> None:
    if what == "save_case":
        raise Unavailable("connection refused")


def owed_to_a_desk_that_is_away(world: World) -> None:
    world.far.trouble = down
    world.mail(text="Bonjour, où est ma commande ?")
    world.go()
    assert states(world) == {("save_case", "waiting"), ("show", "waiting")}


def test_what_is_owed_to_an_instance_that_is_gone_waits_for_a_human_after_a_while(world):
    owed_to_a_desk_that_is_away(world)
    configure(world, desk=False)
    pass_(world, PATIENCE - MINUTE)
    assert states(world) == {("save_case", "waiting"), ("show", "waiting")}
    pass_(world, 2 * MINUTE)
    assert states(world) == {("save_case", "rejected"), ("show", "rejected")}
    reasons = sa.select(delivery.c.reason).where(delivery.c.state == "rejected").distinct()
    assert one(world, reasons) == "desk is not configured any more, or is switched off; put it back and replay"
    assert alerts(world) == ["rejected:desk"]
    assert one(world, sa.select(lane.c.key).where(lane.c.queue == "desk")) is None
    world.far.trouble = lambda _what: None
    configure(world, desk=True)
    assert replay_delivery(world.hub.store, world.clock.now(), instance="desk") == 2
    world.go()
    assert (len(world.far.tickets), len(world.far.comments), alerts(world)) == (1, 1, [])


def test_what_was_being_sent_may_have_gone_out(world):
    owed_to_a_desk_that_is_away(world)
    with world.hub.store.write() as connection:
        connection.execute(sa.update(delivery).where(delivery.c.ability == "save_case").values(state="sending"))
    configure(world, desk=False)
    pass_(world, PATIENCE + MINUTE)
    assert states(world) == {("save_case", "unsure"), ("show", "rejected")}
    assert alerts(world) == ["rejected:desk", "unsure:desk"]


def test_an_instance_that_could_not_be_made_is_configured_all_the_same(world):
    owed_to_a_desk_that_is_away(world)
    world.file.write_text(world.file.read_text("utf-8").replace('use = "desk"', 'use = "nowhere"'), "utf-8")
    world.restart()
    pass_(world, 2 * PATIENCE)
    assert states(world) == {("save_case", "waiting"), ("show", "waiting")}
    assert "instance:desk" in alerts(world)


def test_the_alert_of_an_instance_that_is_gone_closes(world):
    desk = world.hub.instances["desk"]
    with pytest.raises(AuthError):
        desk.call(refuse)
    assert alerts(world) == ["instance:desk"]
    configure(world, desk=False)
    world.hub.engine.look()
    assert alerts(world) == []
    assert one(world, sa.select(instance_health.c.side).where(instance_health.c.instance == "desk")) is None


def refuse() -> None:
    raise AuthError("the password is refused")


# -- an upgrade: this process has an older configuration than another one -----------------------------


def looks(world: World, gone: Gone, time: timedelta, *, said_by_another: bool) -> None:
    end = world.clock.now() + time
    while world.clock.now() < end:
        world.clock.at += MINUTE
        if said_by_another:
            with world.hub.store.write() as connection:
                say_known(connection, {"newer"}, world.clock.now())
        gone.look()


@pytest.fixture
def older(world) -> Gone:
    """A worker beside others; the instance `newer`, of which it knows nothing, is red and is owed something."""
    refused = {"instance": "newer", "side": "out", "health": "red", "since": world.clock.now(), "failures": 4}
    owed = {"key": "k", "instance": "newer", "ability": "show", "lane": "newer/1", "state": "waiting"}
    now = world.clock.now()
    with world.hub.store.write() as connection:
        connection.execute(sa.insert(instance_health).values(**refused, retry_at=now + timedelta(hours=1)))
        connection.execute(sa.insert(alert).values(key="instance:newer", instance="newer", text="x", opened_at=now))
        connection.execute(sa.insert(delivery).values(**owed, due_at=now, created_at=now))
    gone = Gone(world.hub.parts)
    gone._alone = False
    return gone


def test_a_process_that_starts_leaves_the_circuits_of_others_as_they_are(world, older):
    circuit = sa.select(instance_health.c.retry_at).where(instance_health.c.instance == "newer")
    before = one(world, circuit)
    with world.hub.store.write() as connection:
        begin_sides(connection, set(world.hub.instances), {}, world.clock.now())
    assert one(world, circuit) == before is not None
    assert alerts(world) == ["instance:newer"]


def test_what_another_process_works_with_is_left_to_it_however_long_it_takes(world, older):
    looks(world, older, 6 * PATIENCE, said_by_another=True)
    assert states(world, "newer") == {("show", "waiting")}
    assert alerts(world) == ["instance:newer"]
    looks(world, older, PATIENCE, said_by_another=False)
    assert states(world, "newer") == {("show", "waiting")}, "its last word is not ten minutes old yet"
    looks(world, older, 5 * MINUTE, said_by_another=False)
    assert states(world, "newer") == {("show", "rejected")}
    assert alerts(world) == ["rejected:newer"]
    assert one(world, sa.select(instance_health.c.side).where(instance_health.c.instance == "newer")) is None


def test_patience_begins_anew_after_the_database_was_away(world, older):
    looks(world, older, PATIENCE - 2 * MINUTE, said_by_another=False)
    world.clock.at += timedelta(hours=1)  # nobody could say anything
    looks(world, older, PATIENCE - 2 * MINUTE, said_by_another=False)
    assert states(world, "newer") == {("show", "waiting")}


def test_each_process_says_what_it_has(world, older):
    """Or another one would take it for gone."""
    other = Gone(world.hub.parts)
    other._alone, other._configured = False, {"support"}
    owed = {"key": "d", "instance": "desk", "ability": "show", "lane": "desk/1", "state": "waiting"}
    at = world.clock.now()
    with world.hub.store.write() as connection:
        connection.execute(sa.insert(delivery).values(**owed, due_at=at + timedelta(days=1), created_at=at))
    end = at + 2 * PATIENCE
    while world.clock.now() < end:
        world.clock.at += MINUTE
        older.look()
        other.look()
    assert states(world) == {("show", "waiting")}


def test_the_sample_of_this_file_has_a_desk():
    assert DESK in CONFIG
