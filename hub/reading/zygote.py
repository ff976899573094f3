"""A clean process that forks readers: `python -m hub.reading.zygote SOCKET [MODULE ...]`.

It holds nothing of the hub's but one socket, has imported what reads, and does nothing but fork,
end and count readers. Forking it takes milliseconds and shares its memory; forking the hub, with its
threads, its database and its secrets, would not be safe. It ends when the hub hangs up, and its
readers end with it.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import struct
import sys
import time
from contextlib import suppress

from hub.reading.reader import serve

IMPORTING = 60
"""Seconds until the imports must be done: after that nobody may be left to hang up."""
DYING = 1.0
"""Seconds that a reader which hung up has to end by itself, so that it can be said of what."""
READY, FORK, END, KILL = b"R", b"F", b"E", b"K"
REQUEST = struct.Struct("!cI")
FORKED = struct.Struct("!I")
"""The reader's number; 0 where the system allows no more processes."""
ENDED = struct.Struct("!?i?d")
"""Whether it was a reader of ours, its exit code (a signal's is negative), whether we ended it, its CPU seconds."""


def main(descriptor: int, modules: list[str]) -> None:
    """Import, then do as the hub asks."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # a stop of the whole service is the hub's to answer
    control = socket.socket(fileno=descriptor)
    signal.alarm(IMPORTING)
    for module in modules:
        with suppress(BaseException):  # its reader says so
            importlib.import_module(module)
    signal.alarm(0)
    gc.collect()
    gc.freeze()  # what is never looked at by the collector stays shared
    control.send(READY)
    readers: set[int] = set()
    while True:
        asked, ends, _, _ = socket.recv_fds(control, REQUEST.size, 1)
        if not asked:
            break
        what, pid = REQUEST.unpack(asked)
        if what == FORK:
            control.send(_fork(control, ends[0], readers))
        else:
            control.send(_end(pid, readers, DYING if what == END else 0.0))
    for pid in list(readers):
        _end(pid, readers, 0.0)


def _fork(control: socket.socket, descriptor: int, readers: set[int]) -> bytes:
    try:
        pid = os.fork()
    except OSError:  # its readers go on; this one may come into being later
        os.close(descriptor)
        return FORKED.pack(0)
    if pid == 0:
        control.close()
        serve(socket.socket(fileno=descriptor))
    os.close(descriptor)
    readers.add(pid)
    return FORKED.pack(pid)


def _end(pid: int, readers: set[int], patience: float) -> bytes:
    """End a reader, and say how it ended."""
    if pid not in readers:  # of a zygote before us, with which it ended; the number may be somebody else's now
        return ENDED.pack(False, 0, False, 0.0)
    readers.discard(pid)
    until, ours = time.monotonic() + patience, False
    gone, status, used = os.wait4(pid, os.WNOHANG)
    while not gone and time.monotonic() < until:
        time.sleep(0.002)
        gone, status, used = os.wait4(pid, os.WNOHANG)
    if not gone:
        os.kill(pid, signal.SIGKILL)
        ours = True
        _, status, used = os.wait4(pid, 0)
    return ENDED.pack(True, os.waitstatus_to_exitcode(status), ours, used.ru_utime + used.ru_stime)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
    os._exit(0)  # what the modules would do at their end is not ours
