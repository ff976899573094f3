"""What a reader gives up before it reads anything: memory, files, network, rights.

Limits of the system hold on every Unix. The rest is Linux, and best effort: a container or an older
kernel may refuse it, and the reader reads all the same. So it says what it could give up, and the hub
says where that was not enough (hub/reading/children.py).
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from hub.reading import Limits
from hub.reading.landlock import fence
from hub.reading.seccomp import refuse_sockets

NAMESPACE, SOCKETS, FILES = "network namespace", "no sockets", "file fence"
"""What a reader can say it has behind it: the first two each keep it from the network."""
_MB = 1024**2
_FILES = 32
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CAPABILITY_VERSION = 0x20080522


def confine(limits: Limits, parent: int) -> tuple[str, ...]:
    """Give up, for good, whatever `read` does not need; returns what of it the system may refuse, and did not.

    Ends the process where `parent` is gone already.
    """
    given_up: tuple[str, ...] = ()
    with suppress(OSError):
        _memory(limits.memory * _MB)  # first: behind the fence nothing says how much there is
    if sys.platform == "linux":
        given_up = _leave(ctypes.CDLL(None, use_errno=True), parent)
    for what, most in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_NPROC, 0),  # no processes and threads of its own: they would outlive it
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(what, (most, most))
    sys.dont_write_bytecode = True
    return given_up


class Allowance:
    """Processor time, renewed for each raw; SIGXCPU ends who takes more."""

    def __init__(self, seconds: int) -> None:
        self._seconds, self._until = seconds, 0

    def renew(self) -> None:
        """From here on so many seconds again; the system counts whole ones."""
        until = int(time.process_time()) + 1 + self._seconds
        if until != self._until:
            self._until = until
            _, most = resource.getrlimit(resource.RLIMIT_CPU)
            resource.setrlimit(resource.RLIMIT_CPU, (until if most < 0 else min(until, most), most))


def _memory(more: int) -> None:
    # Address space is what a limit can be set on; what is mapped already (libraries, mostly) is left out of it.
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    most = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _leave(libc: Any, parent: int) -> tuple[str, ...]:
    """Out of the network and out of reach, in an order that matters."""
    apart = _go_apart(libc)
    _drop_capabilities(libc)
    # A change of credentials forgets this signal, so it is set after them.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done = {NAMESPACE: apart, FILES: fence(libc), SOCKETS: refuse_sockets(libc)}
    return tuple(what for what, so in done.items() if so)


def _go_apart(libc: Any) -> bool:
    """Into a network of its own, in which there is nobody."""
    return bool(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def _drop_capabilities(libc: Any) -> None:
    """Those of root, and those that a user namespace of one's own gives."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    libc.capset(header, (ctypes.c_uint32 * 6)())
