"""Frames on a socket: a length, then so many bytes. Waiting has an end, and so has a frame's size."""

from __future__ import annotations

import socket
import struct
import time

_LENGTH = struct.Struct("!I")
_CHUNK = 256 * 1024
_GRACE = 0.5
"""Seconds beyond the deadline: after a process was frozen, what has come meanwhile is looked at first."""


class TooLargeError(Exception):
    """The other side announces more than it may send."""


class Wire:
    """One end of a socket pair."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._came = bytearray()

    def send(self, payload: bytes, seconds: float | None = None) -> None:
        """Send one frame. Raises TimeoutError, OSError."""
        if seconds != self._end.gettimeout():
            self._end.settimeout(seconds)
        self._end.sendall(_LENGTH.pack(len(payload)) + payload)

    def receive(self, largest: int, deadline: float | None = None) -> bytes:
        """The next frame; `deadline` is of the monotonic clock. Raises TimeoutError, EOFError, TooLargeError."""
        (length,) = _LENGTH.unpack(self._take(_LENGTH.size, deadline))
        if length > largest:
            raise TooLargeError
        return self._take(length, deadline)

    def _take(self, count: int, deadline: float | None) -> bytes:
        while len(self._came) < count:
            self._end.settimeout(None if deadline is None else max(deadline - time.monotonic(), _GRACE))
            more = self._end.recv(_CHUNK)
            if not more:
                raise EOFError
            self._came += more
            if deadline is not None and time.monotonic() > deadline + 2 * _GRACE:
                raise TimeoutError
        taken = bytes(memoryview(self._came)[:count])
        del self._came[:count]
        return taken

    def has_some(self) -> bool:
        """Whether something came that was not taken yet."""
        return bool(self._came)

    def close(self) -> None:
        """Hang up."""
        self._end.close()
