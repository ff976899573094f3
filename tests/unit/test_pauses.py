"""An admin says "not now": nothing is fetched and nothing goes out, what is pushed is kept, and nothing is lost."""

from __future__ import annotations

import pytest

from hub.pipeline.replay import pause
from hub.sides import IN
from hub.store.overview import health_rows
from tests.world import World


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.hub.stop()


def decide(world: World, instance: str, *, on: bool) -> bool:
    return pause(world.hub.store, world.clock.now(), instance, "marie", on=on)


def test_a_paused_desk_gets_nothing_and_everything_afterwards_in_order(world):
    assert decide(world, "desk", on=True)
    assert not decide(world, "desk", on=True)
    world.mail(text="Bonjour, où est ma commande ?", id="<1@x>")
    world.go(5)
    world.mail(text="Et mon remboursement ?", id="<2@x>", refs=["<1@x>"])
    world.go(5)
    assert not [c for c in world.far.calls if c in ("save_case", "add_message", "show")]
    assert decide(world, "desk", on=False)
    assert not decide(world, "desk", on=False)
    world.go(5)
    assert len(world.far.tickets) == 1
    assert [text for _, text in world.far.words] == ["Et mon remboursement ?"]
    assert len(world.far.comments) == 2


def test_a_paused_mailbox_is_not_read(world):
    decide(world, "support", on=True)
    world.mail(text="Bonjour")
    world.hub.engine.look()
    assert not world.hub.instances["support"].ready(IN)
    world.go(3)
    assert world.far.tickets == {}
    decide(world, "support", on=False)
    world.go(3)
    assert len(world.far.tickets) == 1


def test_a_pause_outlives_a_restart_and_says_who(world):
    decide(world, "desk", on=True)
    world.restart()
    world.mail(text="Bonjour")
    world.go(3)
    assert world.far.tickets == {}
    with world.hub.store.read() as connection:
        row = health_rows(connection)["desk"]
    assert (row.paused_by, row.paused_at is not None, row.health) == ("marie", True, "green")
