"""The life of a reader: build the component, then read what comes, one answer per raw, until the hub hangs up.

In front of an answer may stand what the plugin logged (hub/reading/lines.py).
"""

from __future__ import annotations

import os
import pickle
import socket

from hub.reading import Unread, attempt
from hub.reading.blueprint import Blueprint, build
from hub.reading.coding import encode
from hub.reading.limits import Allowance, confine
from hub.reading.lines import ReaderLog
from hub.reading.wire import Wire

READY = b"ready"
"""What a reader says that has built its component; behind it, with commas between, what it could give up."""
PAGE = 2**31
"""Bytes of a page at most; the hub makes them far smaller."""


def serve(end: socket.socket) -> None:
    """Read until the hub hangs up. Runs in the fresh child; never returns to what it was forked from."""
    code = 1
    try:
        _serve(Wire(end))
    except EOFError:
        code = 0
    except BaseException:  # noqa: BLE001, S110 - whoever waits sees the end, and has no use for a traceback
        pass
    finally:
        os._exit(code)


def _serve(wire: Wire) -> None:
    blueprint: Blueprint = pickle.loads(wire.receive(PAGE))  # noqa: S301 - from the hub
    limits = blueprint.limits
    given_up = confine(limits, os.getppid())
    allowance = Allowance(limits.cpu)
    allowance.renew()
    log = ReaderLog(blueprint.level, wire.send)
    try:
        component = build(blueprint, log)
    except BaseException as error:  # noqa: BLE001 - a constructor may raise anything
        wire.send(type(error).__name__.encode("utf-8", "replace"))
        return
    wire.send(b",".join([READY, *(what.encode() for what in given_up)]))
    while True:
        for raw in pickle.loads(wire.receive(PAGE)):  # noqa: S301 - from the hub
            allowance.renew()
            log.begin()
            outcome = attempt(component, raw)
            log.end()
            if isinstance(outcome, Unread) and outcome.error == "MemoryError":
                outcome = Unread("MemoryError", f"it needed more than {limits.memory} MB of memory to read")
            wire.send(encode(outcome, raw))
