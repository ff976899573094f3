"""The hub's side of the zygote: started when first needed, started again when it died."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hub.log import logger
from hub.reading import NoReaderError
from hub.reading.zygote import END, ENDED, FORK, FORKED, IMPORTING, KILL, READY, REQUEST

_ANSWER = 10.0
"""Seconds that a fork or an end may take."""
_PAUSE, _LONGEST = 1.0, 60.0
"""Seconds before a zygote that died or could not fork is asked again: doubling, and at most."""
NOBODY = FORKED.pack(0)
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "PYTHONHOME")
"""What it is told of our environment; anything else may be a secret."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a reader ended: `code` is its exit code, a signal's negative. `cpu`: seconds it used."""

    code: int
    ours: bool
    cpu: float


class Zygote:
    """One for this process. Thread-safe."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        """Imported before the first fork, so that readers share them."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready = self._stopped = False
        self._failures, self._not_before = 0, 0.0

    @property
    def pid(self) -> int | None:
        """Its number while it lives."""
        return self._process.pid if self._process else None

    def begin(self) -> None:
        """Start it, without waiting for it."""
        with self._lock, suppress(NoReaderError):
            self._start()

    def fork(self) -> tuple[socket.socket, int]:
        """A new reader: its socket and its number. Raises NoReaderError."""
        ours, its = _pair(socket.SOCK_STREAM)
        with its:
            try:
                answer = self._ask(FORK, 0, [its.fileno()])
            except NoReaderError:
                ours.close()
                raise
        return ours, int(FORKED.unpack(answer)[0])

    def end(self, pid: int, *, at_once: bool) -> Ended:
        """End a reader; where it has hung up by itself, not `at_once`, so that it can be said why."""
        known, code, ours, cpu = ENDED.unpack(self._ask(KILL if at_once else END, pid, []))
        if not known:
            raise NoReaderError
        return Ended(code, ours, cpu)

    def stop(self) -> None:
        """End it and all its readers. Whoever waits for it hears NoReaderError."""
        self._stopped = True
        if not self._lock.acquire(timeout=1.0):  # somebody waits for a zygote that does not get ready
            with suppress(AttributeError):  # or just let go of it
                self._process.kill()  # type: ignore[union-attr]
            self._lock.acquire()
        self._let_go()
        self._lock.release()

    # -- under the lock --------------------------------------------------------------------

    def _ask(self, what: bytes, pid: int, descriptors: Sequence[int]) -> bytes:
        with self._lock:
            # A reader that is to be ended has ended with the zygote that forked it.
            control = self._start() if what == FORK else self._control
            if control is None:
                raise NoReaderError
            try:
                if not self._ready:
                    control.settimeout(IMPORTING)
                    if control.recv(1) != READY:
                        raise EOFError
                    self._ready = True
                control.settimeout(_ANSWER)
                socket.send_fds(control, [REQUEST.pack(what, pid)], list(descriptors))
                answer = control.recv(64)
                if not answer:
                    raise EOFError
            except (OSError, EOFError) as error:
                self._lost(type(error).__name__)
                raise NoReaderError from error
            if what == FORK:
                self._judge(answer)
            return answer

    def _start(self) -> socket.socket:
        if self._stopped or time.monotonic() < self._not_before:
            raise NoReaderError
        if self._control is not None:
            return self._control
        ours, its = _pair(socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", "-m", "hub.reading.zygote", str(its.fileno()), *sorted(self.modules)]
        environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environ["PYTHONPATH"] = os.pathsep.join(str(place or os.getcwd()) for place in sys.path)  # noqa: PTH109
        try:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                command,
                env=environ,
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # what a plugin says there may quote a customer
                cwd="/",
                start_new_session=True,  # a Ctrl-C is ours to answer
            )
        except OSError as error:
            ours.close()
            self._lost(type(error).__name__)
            raise NoReaderError from error
        finally:
            its.close()
        self._control, self._ready = ours, False
        return ours

    def _judge(self, answer: bytes) -> None:
        """It works only once it has forked: one that starts and dies at every fork is not well in between."""
        if answer == NOBODY:
            self._count("no reader can be forked; what came in waits")
            raise NoReaderError
        if self._failures:
            logger().info("the process that forks readers works again")
        self._failures = 0

    def _lost(self, why: str) -> None:
        code = self._let_go()
        self._count("the process that forks readers ended; what came in waits", error=why, code=code)

    def _count(self, event: str, **facts: Any) -> None:
        """It failed: told once, and asked again later."""
        self._not_before = time.monotonic() + min(_PAUSE * 2.0 ** min(self._failures, 10), _LONGEST)
        self._failures += 1
        if self._failures == 1 and not self._stopped:
            logger().error(event, **facts)

    def _let_go(self) -> int | None:
        """Hang up: it ends, and its readers with it."""
        self._ready = False
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is None:
            return None
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._process = None
        return code


def _pair(kind: socket.SocketKind) -> tuple[socket.socket, socket.socket]:
    """Two ends of a line. Raises NoReaderError where the process has no more descriptors."""
    try:
        return socket.socketpair(socket.AF_UNIX, kind)
    except OSError as error:
        raise NoReaderError from error
