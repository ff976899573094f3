"""The proxy of the tests does what it says."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.servers.proxy import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Before a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client = server.accept()[0]
                except OSError:
                    return
                threading.Thread(target=echo, args=(client,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        with Proxy(server.getsockname()[1]) as proxy:
            yield proxy
        server.shutdown(socket.SHUT_RDWR)


def echo(client: socket.socket) -> None:
    with client:
        try:
            while data := client.recv(1000):
                client.sendall(data)
        except OSError:
            pass


def dial(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def said(client: socket.socket, words: bytes) -> bytes:
    client.sendall(words)
    return client.recv(1000)


def test_passes(proxy):
    with dial(proxy) as client:
        assert said(client, b"hello") == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b""
    assert (proxy.connections, proxy.cuts) == (1, 0)


def test_cuts_all_now_and_takes_new_ones(proxy):
    with dial(proxy) as one, dial(proxy) as two:
        assert said(one, b"1") + said(two, b"2") == b"12"
        assert proxy.cut() == 2
        for client in (one, two):
            with pytest.raises(ConnectionError):
                client.recv(10)
    with dial(proxy) as three:
        assert said(three, b"3") == b"3"


def test_cuts_one_alone(proxy):
    with dial(proxy) as one, dial(proxy) as two:
        assert said(one, b"1") + said(two, b"2") == b"12"
        assert proxy.cut_one(0.0) == 1
        with pytest.raises(ConnectionError):
            one.recv(10)
        assert said(two, b"3") == b"3"


def test_cuts_after_so_many_bytes(proxy):
    with dial(proxy) as client:
        proxy.cut_after(9)  # five go there, four come back
        client.sendall(b"hello")
        with pytest.raises(ConnectionError):
            b"".join(iter(lambda: client.recv(1), b"never"))
    assert proxy.cuts == 1


def test_refuses_new_ones(proxy):
    with dial(proxy) as old:
        assert said(old, b"old") == b"old"
        proxy.refuse()
        with pytest.raises(ConnectionError), dial(proxy) as new:
            new.recv(10)
        assert said(old, b"still") == b"still"
        proxy.well()
        with dial(proxy) as new:
            assert said(new, b"new") == b"new"


def test_stalls_and_goes_on(proxy):
    with dial(proxy) as client:
        client.settimeout(0.3)
        proxy.stall()
        with pytest.raises(TimeoutError):
            said(client, b"hello")
        proxy.well()
        client.settimeout(5)
        assert client.recv(10) == b"hello"


def test_delays(proxy):
    with dial(proxy) as client:
        proxy.delay(0.1)
        began = time.monotonic()
        assert said(client, b"hello") == b"hello"
        assert time.monotonic() - began >= 0.2


def test_a_reset_on_one_side_is_one_on_the_other(proxy):
    """A server that dies with words unread: its client must not wait for ever."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Proxy(server.getsockname()[1]) as before,
        dial(before) as client,
    ):
        far = server.accept()[0]
        client.sendall(b"unread")
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.1)
        far.close()
        with contextlib.suppress(ConnectionError):
            assert client.recv(10) == b""
