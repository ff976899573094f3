"""A TCP proxy on loopback that can do to a connection what networks do: cut it, refuse it, swallow it, slow it down."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self, TypeVar

from tests.servers.ports import free_ports

T = TypeVar("T")
CHUNK = 64 * 1024


class Proxy:
    """Passes everything on to a port of this machine, until it is told otherwise.

    Runs in a thread of its own. All methods may be called from any thread; each returns when it is done.
    """

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_ports(1)[0]
        self.cuts = 0
        """How many connections were cut so far."""
        self.connections = 0
        """How many came in so far."""
        self._delay, self._refusing, self._left = 0.0, False, -1
        self._pairs: dict[tuple[asyncio.StreamWriter, asyncio.StreamWriter], None] = {}
        """Oldest first."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._flowing = asyncio.Event()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._flowing.set()
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # -- what may happen -----------------------------------------------------------------------

    def well(self) -> None:
        """Pass everything again: no delay, no stall, new connections are taken, nothing is about to be cut."""

        def mend() -> None:
            self._delay, self._refusing, self._left = 0.0, False, -1
            self._flowing.set()

        self._do(mend)

    def cut(self) -> int:
        """Reset every connection now, as a firewall does; returns how many there were."""
        return self._do(lambda: self._cut(list(self._pairs)))

    def cut_one(self, which: float) -> int:
        """Reset one connection alone; `which`, from 0 to 1, says how old: 0 is the oldest. Returns how many it was."""

        def one() -> int:
            number = int(which * len(self._pairs))
            return self._cut(list(self._pairs)[number : number + 1])

        return self._do(one)

    def cut_after(self, count: int) -> None:
        """Reset every connection once `count` more bytes have passed, whichever way: mid-word, mid-commit."""
        self._do(lambda: setattr(self, "_left", count))

    def refuse(self) -> None:
        """Reset every new connection; those that are there stay."""
        self._do(lambda: setattr(self, "_refusing", True))

    def stall(self) -> None:
        """A black hole: connections are taken and kept, and nothing passes."""
        self._do(self._flowing.clear)

    def delay(self, seconds: float) -> None:
        """Let every piece of data wait so long."""
        self._do(lambda: setattr(self, "_delay", seconds))

    # -- in the loop ---------------------------------------------------------------------------

    def _do(self, what: Callable[[], T]) -> T:
        async def there() -> T:
            return what()

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result(10)

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        self._flowing.set()
        self._cut(list(self._pairs))
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _cut(self, pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]]) -> int:
        for pair in pairs:
            del self._pairs[pair]
            for writer in pair:
                _reset(writer)
        self.cuts += len(pairs)
        return len(pairs)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._refusing:
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)
            return
        pair = (writer, far_writer)
        self._pairs[pair] = None
        try:
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # one side was reset, so the other is, below; or the test ends
        finally:
            self._pairs.pop(pair, None)
            for one in pair:
                one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._flowing.wait()
            if 0 <= self._left < len(data):
                writer.write(data[: self._left])
                self._left = -1
                self._cut(list(self._pairs))
                return
            if self._left >= 0:
                self._left -= len(data)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side gets an RST, as from a firewall or a host that died, and no polite end."""
    own = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
