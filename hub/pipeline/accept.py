"""Receive by HTTP: the component checks, the hub commits, then the reply leaves."""

from __future__ import annotations

import sqlalchemy as sa

from hub.instances import Bug, Instance
from hub.pipeline.parts import Parts
from hub.pipeline.receive import receive
from hub.sdk import Accepts, AuthError, ConfigError, Page, Rejected, Reply, Request, Unavailable
from hub.store import ILL

BUSY = Reply(503, b"not now; try again in a minute\n", headers={"Retry-After": "60"})
"""What a sender hears when its words could not be kept. Never 200: a sender that hears 200 forgets."""


def accept(parts: Parts, instance: Instance, request: Request) -> Reply:
    """Hand a request to the component and keep what it holds, durably, before anyone says "received".

    Whatever a stranger at the door does, it says nothing about the far side: the call is not judged.
    """
    assert isinstance(instance.component, Accepts)
    try:
        accepted = instance.call(instance.component.accept, request, judged=False)
    except AuthError as error:
        return Reply(403, f"{error}\n".encode())
    except Rejected as error:
        return Reply(400, f"{error}\n".encode())
    except (ConfigError, Unavailable, Bug) as error:
        if isinstance(error.__cause__, ILL):  # it asked for its state
            parts.troubles.ill("intake", error.__cause__)
        return BUSY
    if accepted.raws:
        try:
            receive(parts.store, instance.id, Page(accepted.raws, {}), parts.now(), flow=parts.flow)
        except sa.exc.SQLAlchemyError as error:
            parts.troubles.ill("intake", error)
            return BUSY
        parts.troubles.well("intake")
    return accepted.reply
