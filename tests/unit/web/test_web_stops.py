"""The pages stop while they are asked: no thread stumbles, nobody's answer is cut in the middle."""

from __future__ import annotations

import http.client
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

import hub.daemon
from hub.daemon import Web, listen_on


def _slow_page() -> Flask:
    app = Flask("slow")

    @app.get("/")
    def page() -> str:
        time.sleep(0.01)
        return "words"

    return app


class Browser(threading.Thread):
    """Asks again and again, two questions per connection, until told to end."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port, self.ended, self.heard = port, threading.Event(), set[bytes]()

    def run(self) -> None:
        while not self.ended.is_set():
            server = http.client.HTTPConnection("127.0.0.1", self._port, timeout=0.5)
            try:
                for _ in range(2):
                    server.request("GET", "/")
                    self.heard.add(server.getresponse().read())
            except (OSError, http.client.HTTPException):
                self.ended.wait(0.01)  # the server has ended
            finally:
                server.close()


def test_web_stops_while_it_is_asked(monkeypatch: pytest.MonkeyPatch):
    stumbled: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", stumbled.append)
    monkeypatch.setattr(hub.daemon, "create_app", lambda _hub: _slow_page())
    with_threads: Any = SimpleNamespace(config=SimpleNamespace(web=SimpleNamespace(threads=4)))
    for _ in range(25):
        listening = listen_on("127.0.0.1", 0)
        web = Web(with_threads, listening)
        browsers = [Browser(listening.getsockname()[1]) for _ in range(3)]
        web.start()
        for browser in browsers:
            browser.start()
        time.sleep(0.04)
        web.stop()
        assert not web._thread.is_alive()
        for browser in browsers:
            browser.ended.set()
            browser.join()
            assert browser.heard <= {b"words"}
    assert stumbled == []
