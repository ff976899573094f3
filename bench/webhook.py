"""What a pushed message costs until its sender hears "received", beside a bare Flask endpoint.

    python -m bench.webhook [--rounds 3] [--seconds 4] [--threads 32] [--connections 16 64] [--json]

The hub is the real one (`tresse run`, its engine at work): a tiny component in `bench/hook.py` checks
an HMAC over the raw body, as the bare endpoint (`bench/bare.py`) does; both commit with
`synchronous=FULL` and answer after the commit. The bundled form and phone system are shown as well:
they check and count more. Each run has a database of its own on `--folder` (a disk, please), and
afterwards every key that was answered 2xx must be in it exactly once. Runs alternate; medians.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
SERVERS = ("waitress",)
"""What serves both sides."""
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


# -- one server ----------------------------------------------------------------------------------


def command_of(kind: str, options: argparse.Namespace, folder: Path, port: int) -> list[str]:
    """What starts a side. `options.server` is one of SERVERS."""
    if kind == BARE:
        arguments = ["--port", str(port), "--threads", str(options.threads), "--database", str(folder / "bare.db")]
        return [sys.executable, "-m", "bench.bare", *arguments]
    config = folder / "hub.toml"
    config.write_text(CONFIG.format(port=port, threads=options.threads))
    config.chmod(0o600)
    return [str(Path(sys.executable).with_name("tresse")), "run", "-c", str(config)]


def plugin_folder(folder: Path) -> Path:
    """A distribution with nothing but an entry point: how a partner's plugin is found."""
    told = folder / "tresse_bench-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: tresse-bench\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[tresse]\nhook = bench.hook\n")
    return folder


@contextmanager
def served(kind: str, options: argparse.Namespace, folder: Path) -> Iterator[tuple[int, int]]:
    """A side of its own in `folder`: its port and process."""
    from tests.servers.ports import free_ports

    (port,) = free_ports(1)
    folder.mkdir(parents=True)
    path = os.pathsep.join([str(ROOT), str(plugin_folder(folder / "plugin"))])
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command_of(kind, options, folder, port), cwd=folder, env={**os.environ, "PYTHONPATH": path}, stderr=log
        )
        try:
            await_answer(port, process, folder / "log")
            yield port, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


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


# -- one run -------------------------------------------------------------------------------------


def load(port: int, path: str, connections: int, seconds: float, *more: str) -> dict[str, Any]:
    """One push of the loader, in its own process."""
    given = ["--port", str(port), "--path", path, "--connections", str(connections), "--seconds", str(seconds)]
    command = [sys.executable, "-m", "bench.load", *given, *more]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def run(kind: str, options: argparse.Namespace, folder: Path, connections: int) -> dict[str, Any]:
    """Warm up, load, stop, and look into the database."""
    path, shape = KINDS[kind]
    keys = folder / "keys"
    with served(kind, options, folder) as (port, process):
        load(port, path, connections, 1, "--shape", shape, "--prefix", "w", "--keys", str(keys))
        before = cpu_of(process)
        figures = load(port, path, connections, options.seconds, "--shape", shape, "--prefix", "k", "--keys", str(keys))
        spent = cpu_of(process) - before
        figures["ms_per_request"] = spent / max(1, figures["answered"]) * 1000
        figures["waiting"] = waiting(kind, folder)
    figures["missing"] = missing(kind, folder, keys.read_text().split())
    return figures


def cpu_of(process: int) -> float:
    """Seconds of CPU of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rows(kind: str, folder: Path, question: str) -> list[Any]:
    """What the database of a side says."""
    store = sqlite3.connect(folder / "bare.db" if kind == BARE else folder / "var" / "tresse.db", timeout=30)
    try:
        return store.execute(question).fetchall()
    finally:
        store.close()


def waiting(kind: str, folder: Path) -> int:
    """How far the engine is behind when the load ends: it reads what was pushed beside the intake."""
    return 0 if kind == BARE else int(rows(kind, folder, "SELECT count(*) FROM step WHERE stage = 'read'")[0][0])


def missing(kind: str, folder: Path, keys: list[str]) -> int:
    """Acknowledged and not there exactly once. The form's own key is a hash, so there the rows are counted."""
    if kind == "form":
        return len(keys) - int(rows(kind, folder, "SELECT count(DISTINCT source_key) FROM raw")[0][0])
    found = [str(key).partition("/")[0] for (key,) in rows(kind, folder, "SELECT source_key FROM raw")]
    assert len(found) == len(set(found)), "a key is there twice"
    return len(set(keys) - set(found))


# -- all runs ------------------------------------------------------------------------------------


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Every kind at every number of connections, in turn."""
    runs: dict[tuple[str, int], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as name:
        folder = Path(name)
        fastest = ceiling(options, folder / "ceiling")
        for turn in range(options.rounds):
            for connections in options.connections:
                for kind in options.kinds:
                    print(f"round {turn + 1}, {connections} connections, {kind} ...", file=sys.stderr)
                    place = folder / f"{kind}-{connections}-{turn}"
                    runs.setdefault((kind, connections), []).append(run(kind, options, place, connections))
    table = [{"kind": k, "connections": c, **summed(those)} for (k, c), those in runs.items()]
    for row in table:
        floor = next((r for r in table if r["kind"] == BARE and r["connections"] == row["connections"]), None)
        row["of_bare"] = row["per_second"] / floor["per_second"] if floor else 0.0
    given = {name: getattr(options, name) for name in ("server", "threads", "rounds", "seconds")}
    return {**given, "load_alone": fastest, "table": table}


def ceiling(options: argparse.Namespace, folder: Path) -> float:
    """What the loader gets from an address that does nothing: it must not be what we measure."""
    with served(BARE, options, folder) as (port, _):
        return max(float(load(port, "/nothing", 64, 1)["per_second"]) for _ in range(3))


def summed(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the rounds; what went wrong is added up."""
    medians = ("per_second", "p50_ms", "p99_ms", "ms_per_request", "waiting")
    counted = ("answered", "refused", "broken", "missing")
    figures = {name: statistics.median(r[name] for r in runs) for name in medians}
    return figures | {name: sum(r[name] for r in runs) for name in counted}


def show(figures: dict[str, Any]) -> None:
    """The table for people."""
    print(
        f"Webhooks on {figures['server']}, {figures['threads']} threads, synchronous=FULL, "
        f"median of {figures['rounds']} alternated rounds of {figures['seconds']:g} s"
    )
    print(f"(the load alone reaches {figures['load_alone']:,.0f} requests/s)")
    heads = (
        "",
        "conn.",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "of bare",
        "CPU ms",
        "refused",
        "broken",
        "missing",
        "behind",
    )
    print(("{:6}{:>6}{:>12}" + "{:>9}" * 8).format(*heads))
    for r in sorted(figures["table"], key=lambda r: r["connections"]):
        print(
            f"{r['kind']:6}{r['connections']:>6}{r['per_second']:>12,.0f}{r['p50_ms']:>9.1f}{r['p99_ms']:>9.1f}"
            f"{r['of_bare']:>9.2f}{r['ms_per_request']:>9.2f}{r['refused']:>9}{r['broken']:>9}{r['missing']:>9}"
            f"{r['waiting']:>9.0f}"
        )
    print("aim: the hub at 0.80 of bare or more, and 1,500 requests/s; nothing missing")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=4)
    arguments.add_argument("--threads", type=int, default=32)
    arguments.add_argument("--connections", type=int, nargs="+", default=[16, 64])
    arguments.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    arguments.add_argument("--server", choices=SERVERS, default=SERVERS[0])
    arguments.add_argument("--folder", type=Path, help="where the databases lie; a disk, not memory")
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    figures = measure(options)
    print(json.dumps(figures)) if options.json else show(figures)
    if any(row["missing"] for row in figures["table"]):
        raise SystemExit("something was acknowledged that is not there")


if __name__ == "__main__":
    main()
