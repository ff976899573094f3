"""A mailbox in which one customer writes a lot, and what of it stands on the timeline."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from hub.engine.draining import GLANCE
from hub.engine.sources import sources_of
from hub.pipeline.record import record_page
from hub.pipeline.waiting import flood_rests
from hub.store.intake import message, message_body
from tests.world import World


def write(world: World, who: str, many: int, first: int = 0) -> None:
    for n in range(first, first + many):
        world.mail(text=f"{who} {n}", sender_fact=f"{who}@x.example", **{"from": f"{who}@x.example"})


def said(world: World) -> list[str]:
    """In the order in which it was recorded."""
    with world.hub.store.read() as connection:
        words = sa.select(message_body.c.text).join(message).where(message.c.direction == "in").order_by(message.c.id)
        return list(connection.scalars(words))


def read_all(world: World) -> None:
    """Until nothing is left, through a flood's rests."""
    while record_page(world.hub.parts, "support") or flood_rests(world.hub.parts, "support"):
        world.clock.at += timedelta(seconds=GLANCE)


def poll(world: World) -> None:
    for source in sources_of(world.hub.parts, world.hub.engine.wake, world.hub.engine._stop):
        if source.instance.id == "support":
            source.tick()
