"""The guard around outgoing HTTP."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from urllib3.connection import HTTPConnection

from hub.http import GuardedSession, _connect, is_outside

INSIDE = ["127.0.0.1", "10.0.0.8", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"]


@pytest.mark.parametrize(
    "address",
    [
        *(*INSIDE, "::1", "fe80::1", "fc00::1", "fec0::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::"),
        *("::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "::ffff:0:7f00:1"),
    ],
)
def test_inside(address):
    assert not is_outside(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_outside(address):
    assert is_outside(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_every_spelling_of_this_machine_is_refused(host):
    with pytest.raises(requests.ConnectionError, match="address inside"):
        GuardedSession(()).get(f"http://{host}:9/", timeout=2)


def test_a_host_the_admin_named_may_be_inside():
    with pytest.raises(requests.ConnectionError) as caught:
        GuardedSession(("127.0.0.1",)).get("http://127.0.0.1:9/", timeout=2)
    assert "address inside" not in str(caught.value)


def test_a_request_is_not_kept_back_for_an_answer_to_its_first_part():
    """Head and body go in two pieces; Nagle's algorithm would hold the second until the first is acknowledged."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = _connect(HTTPConnection("127.0.0.1", server.getsockname()[1]), {"127.0.0.1"})
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        made.close()


@pytest.mark.parametrize("method", ["get", "options", "post", "head"])
def test_a_redirect_is_shown_and_not_followed(method):
    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/secret")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_OPTIONS = do_POST = do_HEAD = do_GET  # noqa: N815 - the names http.server calls

        def log_message(self, *_args: object) -> None: ...

    paths: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        session = GuardedSession(("127.0.0.1",))
        answer = getattr(session, method)(f"http://127.0.0.1:{server.server_port}/", timeout=5)
        session.close()
        server.shutdown()
    assert (answer.status_code, paths) == (302, ["/"])
