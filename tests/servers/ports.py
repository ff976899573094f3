"""Ports for private servers: on loopback, free, and likely to stay free while a server is down."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable

_RANGE = range(18000, 32000)
"""Below Linux's ephemeral range (32768 and up): a port whose server is stopped for an outage test
must not be taken meanwhile by somebody's outgoing connection."""


def free_ports(count: int) -> list[int]:
    """That many different free ports on 127.0.0.1. Raises RuntimeError when there are none."""
    found: list[int] = []
    for port in random.sample(_RANGE, len(_RANGE)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} free ports between {_RANGE.start} and {_RANGE.stop}")


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        # As servers do it: the remains of closed connections (TIME_WAIT) are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(what: Callable[[], object], seconds: float, why: str) -> None:
    """Wait until `what()` is true. Raises TimeoutError naming `why` after `seconds`."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {why}")
        time.sleep(0.02)
