"""The two sides of `bench.webhook`: the hub and a bare Flask endpoint, each on either server.

`waitress` is one process with SQLite: `tresse run`. `granian` is several with PostgreSQL: `tresse web`,
and beside it the engine in a process of its own, `tresse worker`. The bare endpoint (`bench/bare.py`)
has the same server, threads, processes and database, and no engine.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.load import TOKEN

ROOT = Path(__file__).resolve().parent.parent
BARE, HUB = "bare", "hub"
KINDS = {
    BARE: ("/in/hook", "signed"),
    HUB: ("/in/hook", "signed"),
    "push": ("/in/phones", "push"),
    "form": ("/in/website", "form"),
}
"""Where each kind is pushed to, and the shape of what is pushed."""
WAITRESS, GRANIAN = "waitress", "granian"
SERVERS = {WAITRESS: tuple(KINDS), GRANIAN: (BARE, HUB)}
"""What serves both sides, and the kinds shown there: what a form or a call costs more, no server changes."""
TICKS = os.sysconf("SC_CLK_TCK")

CONFIG = f"""
[hub]
name = "Bench"
data = "var"
address = "http://127.0.0.1:{{port}}"
order_patterns = ['CMD-\\d{{{{4}}}}-\\d{{{{4}}}}']
[web]
listen = "127.0.0.1:{{port}}"
threads = {{threads}}
[log]
level = "warning"
[acknowledge]
by = "nobody"
[channels.hook]
use = "hook"
[channels.website]
use = "form"
rate = 1000000
[cti.phones]
use = "push"
token = "{TOKEN}"
"""
DISTRIBUTED = """
[database]
url = "{url}"
[engine]
kind = "distributed"
"""


class Side:
    """One kind on one server, with a folder and a database of its own."""

    def __init__(self, kind: str, server: str, options: argparse.Namespace, folder: Path, postgres: Any) -> None:
        self.kind, self.server, self.options, self.folder = kind, server, options, folder
        self.path, self.shape = KINDS[kind]
        self.postgres = postgres if server == GRANIAN else None
        folder.mkdir(parents=True)
        if self.postgres is None:
            self.url = f"sqlite:///{folder / 'bare.db' if kind == BARE else folder / 'var' / 'tresse.db'}"
        else:
            self.url = self.postgres.new_database() if kind == BARE else self.postgres.new_hub_database()

    # -- its processes

    @contextmanager
    def served(self) -> Iterator[tuple[int, list[int]]]:
        """While it serves: its port, and the first processes of all that is at work for it."""
        from tests.servers.ports import free_ports

        (port,) = free_ports(1)
        path = os.pathsep.join([str(ROOT), str(plugin_folder(self.folder / "plugin"))])
        processes: list[subprocess.Popen[bytes]] = []
        with (self.folder / "log").open("wb") as log:
            try:
                for command in self._commands(port):
                    given = {**os.environ, "PYTHONPATH": path}
                    processes.append(subprocess.Popen(command, cwd=self.folder, env=given, stderr=log))
                    await_answer(
                        port, processes[0], self.folder / "log"
                    )  # it makes the key and the tables for the rest
                others = [] if self.postgres is None else [self.postgres.pid]
                yield port, [*(one.pid for one in processes), *others]
            finally:
                for one in processes:
                    one.send_signal(signal.SIGTERM)
                for one in processes:
                    one.wait(30)

    def _commands(self, port: int) -> list[list[str]]:
        """What is to be started, that which answers first."""
        several = ["--workers", str(self.options.workers)] if self.server == GRANIAN else []
        if self.kind == BARE:
            url = sa.make_url(self.url)
            plain = url.database if self.postgres is None else url.set(drivername="postgresql").render_as_string()
            given = ["--port", str(port), "--threads", str(self.options.threads), "--database", str(plain), *several]
            return [[sys.executable, "-m", "bench.bare", *given]]
        config = self.folder / "hub.toml"
        more = DISTRIBUTED.format(url=self.url) if self.server == GRANIAN else ""
        config.write_text(CONFIG.format(port=port, threads=self.options.threads) + more)
        config.chmod(0o600)
        tresse, where = str(Path(sys.executable).with_name("tresse")), ["-c", str(config)]
        if self.server == WAITRESS:
            return [[tresse, "run", *where]]
        return [[tresse, "web", *several, *where], *[[tresse, "worker", *where]] * self.options.engines]

    # -- its database

    def rows(self, question: str) -> list[Any]:
        """What its database says."""
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            return list(connection.execute(sa.text(question)))

    def waiting(self) -> int:
        """How far the engine is behind when the load ends: it reads what was pushed beside the intake."""
        return 0 if self.kind == BARE else int(self.rows("SELECT count(*) FROM step WHERE stage = 'read'")[0][0])

    def missing(self, keys: list[str]) -> int:
        """Acknowledged and not there exactly once. The form's own key is a hash, so there the rows are counted."""
        if self.kind == "form":
            return len(keys) - int(self.rows("SELECT count(DISTINCT source_key) FROM raw")[0][0])
        found = [str(key).partition("/")[0] for (key,) in self.rows("SELECT source_key FROM raw")]
        assert len(found) == len(set(found)), "a key is there twice"
        return len(set(keys) - set(found))


def plugin_folder(folder: Path) -> Path:
    """A distribution with nothing but an entry point: how a partner's plugin is found."""
    told = folder / "tresse_bench-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: tresse-bench\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[tresse]\nhook = bench.hook\n")
    return folder


def await_answer(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until somebody answers there."""
    for _ in range(300):
        if process.poll() is not None:
            raise SystemExit(f"the server ended: {log.read_text('utf-8')[-2000:]}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("nobody answers")


def cpu_of(roots: list[int]) -> float:
    """Seconds of CPU so far of these processes and all beneath them, the ended ones included."""
    above: dict[int, int] = {}
    used: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        number = int(stat.parts[2])
        above[number], used[number] = int(fields[1]), sum(int(f) for f in fields[11:15]) / TICKS
    total, look = 0.0, list(roots)
    while look:
        number = look.pop()
        total += used.get(number, 0.0)
        look += [child for child, parent in above.items() if parent == number]
    return total
