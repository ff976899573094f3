"""Processes of a hub that a campaign kills, stops and starts, and what stands in its database.

What is counted is read from the database's rows by SQL of our own, never asked of the hub.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import requests

ROOT = Path(__file__).resolve().parents[2]

# A lease of ten seconds and a rescue after twelve are right for a shop, and would make a campaign of a hundred
# kills wait twenty minutes: the same code with shorter times.
SOON_TAKEN_UP = """
from datetime import timedelta
import hub.store.leases as leases
leases.LONG = timedelta(seconds=3)
import hub.engine.distributed as distributed
import hub.engine.rescue as rescue
distributed.HEARTBEAT, distributed.STALLED, distributed.LOST, rescue.EVERY = 1.0, 4.0, 3.0, 1.0
"""
RUN = """
import sys
from hub.cli import main
sys.argv[0] = "tresse"
main()
"""


class Process:
    """One process of the hub: `tresse run`, `worker` or `web`."""

    def __init__(self, config: Path, name: str, *arguments: str, quick: bool = True) -> None:
        self.config, self.name, self.arguments, self.quick = config, name, arguments, quick
        self.log = config.parent / f"{name}.log"
        self.environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._told = 0

    def start(self) -> None:
        """Start; see `started`."""
        assert self._process is None, f"{self.name} runs already"
        self._told = self._count("started")
        command = [sys.executable, "-c", (SOON_TAKEN_UP if self.quick else "") + RUN, *self.arguments]
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        environ = {**os.environ, "PYTHONPATH": paths, "TRESSE_CONFIG": str(self.config), **self.environment}
        with self.log.open("ab") as log:
            # A group of its own: `tresse web` has children, and a crash takes them with it.
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environ, start_new_session=True)

    def started(self) -> bool:
        """Whether the process of the last `start` has said so."""
        assert self.alive(), f"{self.name} has ended by itself:\n{self.text()[-3000:]}"
        return self._count("started") > self._told

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """As the power would."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        self._process = None

    def stop(self) -> float:
        """SIGTERM; returns the seconds until the end. Safe to call twice."""
        if self._process is None:
            return 0.0
        began = time.monotonic()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._process = None
        return time.monotonic() - began

    def text(self) -> str:
        """What it wrote, over all its lives."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def lines(self) -> list[dict[str, Any]]:
        """The structured lines of it."""
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]

    def said(self, event: str) -> list[dict[str, Any]]:
        """Those that tell of `event`."""
        return [line for line in self.lines() if line.get("event") == event]

    def _count(self, event: str) -> int:
        return self.text().count(f'"event": "{event}"')


class Rows:
    """The hub's database, seen from outside."""

    def __init__(self, where: Path | str) -> None:
        self.where = where

    def all(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query; none while the database is away or not made yet."""
        try:
            if isinstance(self.where, str):
                with psycopg.connect(self.where, connect_timeout=3) as connection:
                    return list(connection.execute(query.encode()).fetchall())
            with closing(sqlite3.connect(f"file:{self.where}?mode=ro", uri=True, timeout=5)) as file:
                return list(file.execute(query).fetchall())
        except (psycopg.Error, sqlite3.Error):
            return []

    def number(self, query: str) -> int:
        """The one number of a query; -1 while it cannot be asked."""
        rows = self.all(query)
        return int(rows[0][0]) if rows else -1

    def work_left(self) -> dict[str, int]:
        """What the hub still has to do, by table; -1 where that cannot be asked."""
        left = {
            "steps": self.number("SELECT count(*) FROM step WHERE state = 'waiting'"),
            "deliveries": self.number("SELECT count(*) FROM delivery WHERE state IN ('waiting', 'sending')"),
        }
        if isinstance(self.where, str):
            left["lanes"] = self.number("SELECT count(*) FROM lane")
        return left

    def quiet(self) -> bool:
        """Whether nothing is left to do."""
        return all(count == 0 for count in self.work_left().values())


def until(look: Callable[[], object], seconds: float, what: str, more: Callable[[], object] = lambda: "") -> None:
    """Wait until `look()` is true. Fails with `what` and with what `more()` says."""
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}; {more()}"
        time.sleep(0.05)


def ready(url: str) -> bool:
    """Whether the pages say that this hub can work."""
    try:
        return requests.get(f"{url}/readyz", timeout=3).ok
    except requests.RequestException:
        return False


def stop_all(processes: Iterable[Process]) -> None:
    """The end of a campaign: none stays behind."""
    for process in processes:
        if process.alive():
            process.kill()


def summary(name: str, seed: int, **figures: Any) -> None:
    """One line for people, one for programs."""
    print(f"{name}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in figures.items()))
    print(json.dumps({"campaign": name, "seed": seed, **figures}), flush=True)
