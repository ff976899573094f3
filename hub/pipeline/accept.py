"""Receive by HTTP: the component checks, the hub commits, then the reply leaves."""

from __future__ import annotations

from typing import cast

from hub.instances import Bug, Instance
from hub.pipeline.parts import Parts
from hub.pipeline.together import NotKept
from hub.sdk import Accepts, AuthError, ConfigError, Rejected, Reply, Request, Unavailable
from hub.store import ILL

BUSY = Reply(503, b"not now; try again in a minute\n", headers={"Retry-After": "60"})
"""What a sender hears when its words could not be kept. Never 200: a sender that hears 200 forgets."""
_READING = {"GET", "HEAD", "OPTIONS"}
"""A form's page can be shown on a full disk."""


def accept(parts: Parts, instance: Instance, request: Request) -> Reply:
    """Hand a request to the component and keep what it holds, durably, before anyone says "received".

    Whatever a stranger at the door does, it says nothing about the far side: the call is not judged.
    """
    component = cast("Accepts", instance.component)  # has("Accepts") said so; isinstance looks at every method anew
    if request.method not in _READING and not parts.room.left():
        return BUSY  # before the component counts what will not be kept
    try:
        accepted = instance.visit(component.accept, request)
    except AuthError as error:
        return Reply(403, f"{error}\n".encode())
    except Rejected as error:
        return Reply(400, f"{error}\n".encode())
    except (ConfigError, Unavailable, Bug) as error:
        if isinstance(error.__cause__, ILL):  # it asked for its state
            parts.troubles.ill("intake", error.__cause__)
        return BUSY
    if accepted.raws:
        if not parts.room.left():
            return BUSY
        try:
            parts.pushes.keep(instance.id, accepted.raws)
        except NotKept:
            return BUSY
        parts.troubles.well("intake")
    return accepted.reply
