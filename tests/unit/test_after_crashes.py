"""What the simulator found (tests/sim), each finding told again in a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from hub.store.cases import delivery
from tests.world import World

QUESTION = "Bonjour, où est ma commande ?"


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.hub.stop()


def rows(world: World, table: sa.Table, *where: Any) -> list[Any]:
    with world.hub.store.read() as connection:
        return list(connection.execute(sa.select(table).where(*where).order_by(*table.primary_key.columns)).all())


class Killed(KeyboardInterrupt):
    """As `kill -9`: nothing swallows it."""


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
