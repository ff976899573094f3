"""The database fails while things come in: what was answered 2xx is there once, and the hub goes on by itself.

    TRESSE_KILLS=20 TRESSE_SEED=7 pytest -m campaign tests/campaign/test_database_faults.py -s

Senders push entries with keys of their own and repeat each until somebody says 2xx, as a webhook's sender does;
mails fall into a Maildir meanwhile. PostgreSQL is stopped as by a crash, stays away, is cut off by a proxy in the
middle of a word, or does not answer; SQLite's file is held by another process, or its disk is full.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.campaign.daemons import Process, Rows, ready, stop_all, summary, until
from tests.servers.install import need
from tests.servers.ports import free_ports
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy

SEED = int(os.environ.get("TRESSE_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
STOPS = int(os.environ.get("TRESSE_KILLS", "20"))
LEAST = 8 * 1024
"""Bytes that a disk may have left and be called full."""

CONFIG = """
[hub]
name = "Campaign"
data = "var"
address = "http://127.0.0.1:{web}"
[web]
listen = "127.0.0.1:{web}"
[log]
format = "json"
[acknowledge]
by = "nobody"
[channels.website]
use = "form"
minimum_fill = "0s"
rate = 1000000
[channels.box]
use = "maildir"
address = "support@shop.example"
path = "mail"
poll = "1s"
"""
ON_POSTGRESQL = """
[database]
url = "postgresql+psycopg://tresse@127.0.0.1:{port}/{name}"
[engine]
kind = "{engine}"
"""


class Pusher(threading.Thread):
    """One sender: an entry with a new key, again and again until it is taken; then the next."""

    def __init__(self, url: str, name: str, ended: threading.Event, pause: float) -> None:
        super().__init__(daemon=True, name=name)
        self.url, self.ended, self.pause = url, ended, pause
        self.taken: list[tuple[str, float, float]] = []
        """Marks that were answered 2xx, with when that request began and when the answer came."""
        self.refused: Counter[str] = Counter()
        self.longest = 0.0
        """The longest time that one entry needed to be taken, over all its tries."""

    def run(self) -> None:
        n = 0
        with requests.Session() as session:
            while not self.ended.is_set():
                mark = f"zq{self.name}x{n:06}"
                first = time.monotonic()
                while not self._taken(session, mark):
                    time.sleep(0.15)
                self.longest = max(self.longest, time.monotonic() - first)
                n += 1
                time.sleep(self.pause)

    def _taken(self, session: requests.Session, mark: str) -> bool:
        entry = {"name": "A", "email": f"{mark}@customer.example", "subject": mark, "message": f"Hello {mark}"}
        began = time.monotonic()
        try:
            answer = session.post(f"{self.url}/in/website", json={**entry, "key": mark}, timeout=60)
        except requests.RequestException as error:
            self.refused[type(error).__name__] += 1
            return False
        if not answer.ok:
            self.refused[str(answer.status_code)] += 1
            return False
        self.taken.append((mark, began, time.monotonic()))
        return True


class Postman(threading.Thread):
    """Mails that fall into a Maildir."""

    def __init__(self, maildir: Path, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self.maildir, self.ended, self.count = maildir, ended, 0
        for name in ("cur", "new", "tmp"):
            (maildir / name).mkdir(parents=True)

    def run(self) -> None:
        while not self.ended.is_set():
            mark = f"zqmail{self.count:06}"
            mail = f"From: c{self.count}@customer.example\r\nTo: support@shop.example\r\nSubject: {mark}\r\n"
            file = self.maildir / "tmp" / f"{time.time():.6f}.{self.count}.test"
            file.write_bytes(f"{mail}Message-ID: <{mark}@customer.example>\r\n\r\nHello {mark}\r\n".encode())
            file.rename(self.maildir / "new" / file.name)
            self.count += 1
            time.sleep(0.1)


class Ground:
    """A hub under way, those who push to it, and the times at which nothing can be kept."""

    def __init__(self, folder: Path, text: str, kinds: dict[str, list[str]], rows: Rows, web: int) -> None:
        self.rows, self.url, self.ended = rows, f"http://127.0.0.1:{web}", threading.Event()
        config = folder / "hub.toml"
        config.write_text(text, "utf-8")
        config.chmod(0o600)
        self.processes = [Process(config, name, *arguments) for name, arguments in kinds.items()]
        self.pushers = [Pusher(self.url, f"p{n}", self.ended, 0.02) for n in range(3)]
        self.postman = Postman(folder / "mail", self.ended)
        self.away: list[tuple[float, float]] = []

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Everything runs inside; at the end nobody pushes any more, and all is done."""
        try:
            for process in self.processes:
                process.start()
            until(lambda: ready(self.url), 60, "the hub to be ready")
            for one in (*self.pushers, self.postman):
                one.start()
            until(lambda: self.count() > 5, 20, "something to be taken")
            yield
            self.settle()
        finally:
            self.ended.set()
            stop_all(self.processes)

    def count(self) -> int:
        """How many entries were taken so far."""
        return sum(len(p.taken) for p in self.pushers)

    def flows(self, seconds: float = 30) -> None:
        """Wait until things are taken again."""
        before = self.count()
        until(lambda: self.count() > before + 3, seconds, "things to be taken again", lambda: self.pushers[0].refused)

    @contextmanager
    def nothing_kept(self) -> Iterator[None]:
        """Inside, the database can keep nothing: an entry that is taken within is a lie."""
        began = time.monotonic()
        yield
        self.away.append((began, time.monotonic()))

    def settle(self) -> None:
        """The end of pushing, and of what is to be done."""
        self.flows()
        self.ended.set()
        for one in (*self.pushers, self.postman):
            one.join(70)
            assert not one.is_alive()
        until(self.quiet, 60, "everything to be done", lambda: (self.rows.work_left(), self.rows.all(
            "SELECT instance, count(*) FROM raw GROUP BY instance")))
        assert all(p.alive() for p in self.processes)
        assert ready(self.url)

    def quiet(self) -> bool:
        here = self.rows.number("SELECT count(*) FROM raw WHERE instance = 'box'")
        return here >= self.postman.count and self.rows.quiet()

    def judge(self) -> dict[str, object]:
        """What is missing, and what is there twice."""
        marks = {mark for p in self.pushers for mark, _, _ in p.taken}
        marks |= {f"zqmail{n:06}" for n in range(self.postman.count)}
        seen = Counter(s for (s,) in self.rows.all("SELECT subject FROM message WHERE direction = 'in'"))
        raws = self.rows.number("SELECT count(*) FROM raw")
        lies = [
            mark for p in self.pushers for mark, began, ended in p.taken
            for gone, back in self.away if gone < began and ended < back
        ]  # fmt: skip
        assert set(seen) <= marks, sorted(set(seen) - marks)[:10]
        refused = sum((p.refused for p in self.pushers), Counter[str]())
        return {
            "pushed": self.count(), "mails": self.postman.count, "refused": dict(refused),
            "lost": len(marks - set(seen)), "doubled": sum(c > 1 for c in seen.values()) + raws - len(marks),
            "acknowledged_unkept": len(lies), "longest_wait_s": round(max(p.longest for p in self.pushers), 1),
        }  # fmt: skip


def _end(name: str, ground: Ground, began: float, **figures: object) -> None:
    told = {p.name: Counter(f"{x['event']}/{x.get('at', '')}" for x in p.lines() if x["level"] in ("error", "warning")
            or x["event"] == "works again") for p in ground.processes}
    for process, lines in told.items():
        print(f"  {process}: " + ", ".join(f"{k} x{n}" for k, n in sorted(lines.items())))
    found = ground.judge()
    summary(name, SEED, **figures, **found, seconds=round(time.monotonic() - began, 1))
    assert found["lost"] == found["doubled"] == found["acknowledged_unkept"] == 0
    assert not [line for p in ground.processes for line in p.said("bug in the engine")]


# -- PostgreSQL --------------------------------------------------------------------------------------


@pytest.fixture
def safe_postgres() -> Iterator[Postgres]:
    """A server that keeps what it committed through a crash, which the tests' usual one does not promise."""
    need("postgres")
    with Postgres(safe=True) as server:
        yield server


def _postgresql(folder: Path, postgres: Postgres, engine: str, stops: int, gone: float, cuts: int, stall: float) -> None:
    name = f"database faults, {engine} on PostgreSQL"
    print(f"\n{name}: {stops} stops, {cuts} cuts, seed {SEED} (repeat with TRESSE_SEED={SEED})", flush=True)
    dice, web, began = random.Random(SEED), free_ports(1)[0], time.monotonic()
    database = postgres.new_hub_database().rpartition("/")[2]
    kinds = {"hub": ["run"]}
    if engine == "distributed":
        kinds = {"web": ["web", "--workers", "2"], "worker1": ["worker"], "worker2": ["worker"]}
    with Proxy(postgres.port) as proxy:
        text = CONFIG.format(web=web) + ON_POSTGRESQL.format(port=proxy.port, name=database, engine=engine)
        ground = Ground(folder, text, kinds, Rows(postgres.conninfo(database)), web)
        with ground.under_way():
            for n in range(stops):
                time.sleep(dice.uniform(0.1, 1.0))
                _away(ground, postgres, dice.uniform(0, 0.5))
                _progress(n, stops, "stops", ground, began)
            _away(ground, postgres, gone)
            ground.flows()
            for n in range(cuts):
                time.sleep(dice.uniform(0.05, 0.5))
                proxy.cut() if dice.random() < 0.5 else proxy.cut_after(dice.randrange(1, 20_000))
                _progress(n, cuts, "cuts", ground, began)
            proxy.well()
            ground.flows()
            proxy.stall()
            time.sleep(0.2)  # what was on its way
            with ground.nothing_kept():
                time.sleep(stall)
            proxy.well()
    _end(name, ground, began, stops=stops, gone_s=gone, connections_cut=proxy.cuts, stalled_s=stall)


def _away(ground: Ground, postgres: Postgres, seconds: float) -> None:
    postgres.stop(immediate=True)
    with ground.nothing_kept():
        time.sleep(seconds)
    postgres.start()


def _progress(n: int, of: int, what: str, ground: Ground, began: float) -> None:
    if of > 10 and n % 5 == 4:
        print(f"  {n + 1} of {of} {what}, {ground.count()} pushed, {time.monotonic() - began:.0f} s", flush=True)


def test_distributed(tmp_path, safe_postgres):
    _postgresql(tmp_path, safe_postgres, "distributed", 3, 6, 8, 3)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ["distributed", "embedded"])
def test_postgresql_long(tmp_path, safe_postgres, engine):
    _postgresql(tmp_path, safe_postgres, engine, STOPS, 60, 40, 15)


# -- a full disk -------------------------------------------------------------------------------------


@contextmanager
def small_disk(place: Path, megabytes: int, options: str = "mode=0755") -> Iterator[None]:
    """A disk of its own, mounted at `place`. Skips, and says so, where that is not allowed."""
    place.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,{options}", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"NOT TESTED: a full disk needs the right to mount a tmpfs ({done.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Inside, hardly a byte is left on the disk."""
    ballast = disk / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            while shutil.disk_usage(disk).free > LEAST:
                try:
                    file.write(b"x" * max(4096, min(1 << 20, shutil.disk_usage(disk).free - LEAST)))
                except OSError:
                    break
        yield
    finally:
        ballast.unlink()


# -- SQLite ------------------------------------------------------------------------------------------


def _sqlite(folder: Path, held: float, filled: float) -> None:
    name = "database faults, embedded on SQLite"
    print(f"\n{name}, seed {SEED}", flush=True)
    web, began = free_ports(1)[0], time.monotonic()
    file = folder / "var" / "tresse.db"
    with small_disk(folder / "var", 24):
        ground = Ground(folder, CONFIG.format(web=web), {"hub": ["run"]}, Rows(file), web)
        with ground.under_way():
            _hold(ground, file, held)
            ground.flows(60)
            with full(folder / "var"):
                until(lambda: sum(p.refused["503"] for p in ground.pushers) > 3, 60, "a full disk to be noticed")
                with ground.nothing_kept():
                    time.sleep(filled)
        _end(name, ground, began, held_s=held, full_s=filled)


def _hold(ground: Ground, file: Path, seconds: float) -> None:
    """Another program writes for very long."""
    other = sqlite3.connect(file, timeout=30, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ground.nothing_kept():
        time.sleep(seconds)
    other.execute("ROLLBACK")
    other.close()


def test_sqlite(tmp_path):
    _sqlite(tmp_path, 8, 2)


@pytest.mark.campaign
@pytest.mark.timeout(600)
def test_sqlite_long(tmp_path):
    _sqlite(tmp_path, 40, 20)
