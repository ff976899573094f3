"""A hub in a process of its own, which a test may starve, kill and start again."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.servers.ports import free_ports, wait_for

ROOT = Path(__file__).resolve().parents[2]
TRESSE = Path(sys.executable).with_name("tresse")

CONFIG = """
[hub]
data = "{data}"
address = "http://127.0.0.1:{port}"
keep_free = "{keep_free}"
[web]
listen = "127.0.0.1:{port}"
[log]
format = "json"
[acknowledge]
per_sender_day = 1000000
per_day = 1000000
[channels.hook]
use = "taker"
outside = "{outside}"
"""


class Running:
    """One hub. `data` is what it lives on; everything else lies in `folder`."""

    def __init__(self, folder: Path, data: Path, keep_free: str = "0B") -> None:
        self.folder, self.data = folder, data
        (self.port,) = free_ports(1)
        self.outside = folder / "outside"
        (self.outside / "in").mkdir(parents=True)
        (self.outside / "sent").touch()
        self.config = folder / "hub.toml"
        given = {"data": data, "port": self.port, "keep_free": keep_free, "outside": self.outside}
        self.config.write_text(CONFIG.format(**given))
        self.config.chmod(0o600)
        plugin = folder / "plugin" / "tresse_taker-1.0.dist-info"
        plugin.mkdir(parents=True)
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: tresse-taker\nVersion: 1.0\n")
        (plugin / "entry_points.txt").write_text("[tresse]\ntaker = tests.daemon.taker\n")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        path = os.pathsep.join([str(ROOT), str(self.folder / "plugin")])
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [TRESSE, "run", "-c", self.config], cwd=self.folder, env={**os.environ, "PYTHONPATH": path}, stderr=log
            )
        wait_for(self.well, 30, "the hub to answer")

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def well(self) -> bool:
        assert self.alive(), self.log()
        try:
            return self.get("/healthz") == 200
        except OSError:
            return False

    def stop(self) -> None:
        if self.process is not None and self.alive():
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(20) == 0

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8")

    # -- from outside --------------------------------------------------------------------------

    def get(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def push(self, keys: list[str], size: int = 2000) -> dict[str, int]:
        """The status each key was answered with."""

        def some(mine: list[str]) -> dict[str, int]:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            told = {}
            for key in mine:
                connection.request("POST", "/in/hook", json.dumps({"key": key, "text": "x" * size}))
                answer = connection.getresponse()
                answer.read()
                told[key] = answer.status
                assert answer.status != 503 or answer.headers["Retry-After"]
            connection.close()
            return told

        with ThreadPoolExecutor(4) as senders:
            answers = senders.map(some, [keys[n::4] for n in range(4)])
        return {key: status for told in answers for key, status in told.items()}

    def mail(self, keys: list[str]) -> None:
        """Files in the folder that is polled."""
        for key in keys:
            (self.outside / "in" / key).write_text(json.dumps({"key": key, "text": "x" * 2000}))

    def sent(self) -> Counter[str]:
        return Counter((self.outside / "sent").read_text().split())

    # -- inside --------------------------------------------------------------------------------

    def ask(self, question: str) -> list[Any]:
        store = sqlite3.connect(self.data / "tresse.db", timeout=30)
        try:
            return store.execute(question).fetchall()
        finally:
            store.close()

    def keys(self) -> Counter[str]:
        return Counter(key for (key,) in self.ask("SELECT source_key FROM raw"))

    def worked_off(self) -> bool:
        (left,) = self.ask(
            "SELECT (SELECT count(*) FROM step) + (SELECT count(*) FROM delivery WHERE state NOT IN ('done', 'skipped'))"
        )
        return left == (0,)


def check_everything(hub: Running, keys: set[str]) -> None:
    """Each key is kept, on the timeline and acknowledged to its customer, each exactly once."""
    wait_for(hub.worked_off, 600, "the hub to work everything off")
    assert hub.keys() == Counter(dict.fromkeys(keys, 1))
    contents = Counter(key for (key,) in hub.ask("SELECT content_key FROM message WHERE direction = 'in'"))
    assert contents == Counter(dict.fromkeys(keys, 1))
    assert set(hub.sent().values()) == {1}
    assert len(hub.sent()) == len(keys)
    assert hub.ask("PRAGMA integrity_check") == [("ok",)]
