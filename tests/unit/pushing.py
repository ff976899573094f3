"""One push into a world: its component takes whatever comes."""

from __future__ import annotations

import pytest

from hub.pipeline.accept import accept
from hub.sdk import Accepted, Raw, Reply, Request
from tests.world import World


def push(world: World, key: str, monkeypatch: pytest.MonkeyPatch, method: str = "POST") -> Reply:
    """What the sender of `key` hears."""
    door = world.hub.instances["support"]
    said = b'{"from": "a@customer.example", "text": "bonjour"}'

    def takes(_self: object, _request: Request) -> Accepted:
        world.far.call("accept")
        return Accepted((Raw(key, said),), Reply(202))

    monkeypatch.setattr(type(door.component), "accept", takes, raising=False)
    return accept(world.hub.parts, door, Request(method, "", {}, {}, b"", "192.0.2.1"))
