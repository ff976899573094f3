"""The database fails while things come in: what was answered 2xx is there once, and the hub goes on by itself.

    TRESSE_KILLS=20 TRESSE_SEED=7 pytest -m campaign tests/campaign/test_database_faults.py -s

Senders push entries with keys of their own and repeat each until somebody says 2xx, as a webhook's sender does;
mails fall into a Maildir meanwhile. PostgreSQL is stopped as by a crash, stays away, is cut off by a proxy in the
middle of a word, or does not answer; SQLite's file is held by another process, or its disk is full.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.campaign.coming_in import CONFIG, Ground
from tests.campaign.daemons import Rows, summary, until
from tests.servers.install import need
from tests.servers.ports import free_ports
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy

SEED = int(os.environ.get("TRESSE_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
STOPS = int(os.environ.get("TRESSE_KILLS", "20"))
LEAST = 8 * 1024
"""Bytes that a disk may have left and be called full."""

ON_POSTGRESQL = """
[database]
url = "postgresql+psycopg://tresse@127.0.0.1:{port}/{name}"
[engine]
kind = "{engine}"
"""


def _end(name: str, ground: Ground, began: float, **figures: object) -> None:
    for process in ground.processes:
        lines = Counter(
            line["event"] for line in process.lines() if line["level"] != "info" or "again" in line["event"]
        )
        print(f"  {process.name} said: " + ", ".join(f"{event} ({n})" for event, n in sorted(lines.items())))
    found = ground.judge()
    summary(name, SEED, **figures, **found, seconds=round(time.monotonic() - began, 1))
    assert found["lost"] == found["doubled"] == found["acknowledged_unkept"] == 0
    assert not [line for p in ground.processes for line in p.said("bug in the engine")]


# -- PostgreSQL --------------------------------------------------------------------------------------


def _postgresql(
    folder: Path, postgres: Postgres, engine: str, stops: int, gone: float, cuts: int, stall: float
) -> None:
    name = f"database faults, {engine} on PostgreSQL"
    print(f"\n{name}: {stops} stops, {cuts} cuts, seed {SEED} (repeat with TRESSE_SEED={SEED})", flush=True)
    dice, web, began = random.Random(SEED), free_ports(1)[0], time.monotonic()
    database = postgres.new_hub_database().rpartition("/")[2]
    with Proxy(postgres.port) as proxy:
        text = CONFIG.format(web=web) + ON_POSTGRESQL.format(port=proxy.port, name=database, engine=engine)
        ground = Ground(folder, text, _kinds(engine), Rows(postgres.conninfo(database)), web)
        with ground.under_way():
            for n in range(stops):
                time.sleep(dice.uniform(0.1, 1.0))
                _away(ground, postgres, dice.uniform(0, 0.5))
                _progress(n, stops, "stops", ground, began)
            ground.flows()
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


def _kinds(engine: str) -> dict[str, list[str]]:
    """The processes of a hub, by name."""
    if engine == "embedded":
        return {"hub": ["run"]}
    return {"web": ["web", "--workers", "2"], "worker1": ["worker"], "worker2": ["worker"]}


def _away(ground: Ground, postgres: Postgres, seconds: float) -> None:
    postgres.stop(immediate=True)
    with ground.nothing_kept():
        time.sleep(seconds)
    postgres.start()


def _progress(n: int, of: int, what: str, ground: Ground, began: float) -> None:
    if of > 10 and n % 5 == 4:
        print(f"  {n + 1} of {of} {what}, {ground.count()} pushed, {time.monotonic() - began:.0f} s", flush=True)


def test_distributed(tmp_path, safe_postgres):
    _postgresql(tmp_path, safe_postgres, "distributed", 2, 5, 6, 3)


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


def _full_postgresql(folder: Path, engine: str, filled: float) -> None:
    name = f"full disk, {engine} on PostgreSQL"
    print(f"\n{name}, seed {SEED}", flush=True)
    web, began = free_ports(1)[0], time.monotonic()
    server = Postgres(safe=True)
    with small_disk(server.folder, 250), contextlib.ExitStack() as stack:
        server.own()
        postgres = stack.enter_context(server)
        database = postgres.new_hub_database().rpartition("/")[2]
        text = CONFIG.format(web=web) + ON_POSTGRESQL.format(port=postgres.port, name=database, engine=engine)
        ground = Ground(folder, text, _kinds(engine), Rows(postgres.conninfo(database)), web)
        with ground.under_way():
            with full(postgres.folder):
                until(lambda: sum(p.refused["503"] for p in ground.pushers) > 3, 120, "a full disk to be noticed")
                with ground.hardly_room():  # a block that is in use already may take one more row
                    time.sleep(filled)
            if not postgres.alive():  # it gives up where its own log finds no room (its handbook, "disk full failure")
                postgres.stop()
                postgres.start()
        _end(name, ground, began, full_s=filled)
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.mark.campaign
@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ["distributed", "embedded"])
def test_full_disk_of_postgresql(tmp_path, engine):
    need("postgres")
    _full_postgresql(tmp_path, engine, 15)


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
