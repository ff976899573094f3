"""What a message costs from its bytes to its last delivery: embedded, and distributed with 1, 2 and 4 workers.

    python -m bench.engines [--messages 2000] [--rounds 3] [--backlogs 1000,10000,100000] [--json]

The far sides are empty functions, so that nothing but the hub, its engine and its database is measured:
each message is kept, read, recorded, planned, answered with suggestions' steps left out, and owed to a desk
(a case and a note). CPU is that of all hub processes and, for PostgreSQL, of the server's. The second table
asks what a message costs while many others wait: 1,000 of them are worked through with so many in line.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from hub.sdk import CRM, Channel, Direction, Event, Identity, Message, Page, Proof, Raw, Settings

PAGE = 100
PORTION = 1000
"""How many messages are worked through with a backlog behind them."""

CONFIG = """
[hub]
data = "{folder}/var"
languages = ["fr", "en"]
[log]
level = "warning"
[acknowledge]
by = "nobody"
[channels.pile]
use = "pile"
[crm.sink]
use = "sink"
threads = 4
"""
POSTGRES = """
[database]
url = "{url}"
[engine]
kind = "{kind}"
"""


class Nothing(Settings):
    """No settings."""


class Pile(Channel[Nothing]):
    """Messages as JSON."""

    name = "pile"
    settings_model = Nothing

    def check(self) -> None: ...

    def read(self, raw: Raw) -> list[Message | Event]:
        said = json.loads(raw.data)
        who = Identity("email", said["from"])
        return [
            Message(
                direction=Direction.IN,
                sender=who,
                customer=who,
                at=self.context.now(),
                subject="Colis",
                text=said["text"],
                reply=said["text"],
                proof=Proof.CLAIMED,
                message_id=said["id"],
                content_key=said["id"],
            )
        ]


class Sink(CRM[Nothing]):
    """A desk that takes everything at once."""

    name = "sink"
    settings_model = Nothing
    settle: ClassVar[float] = 1.0

    def check(self) -> None: ...

    def save_case(self, case: Any, effect: Any) -> str:
        return str(case.number)

    def show(self, case: Any, suggestions: Any, effect: Any) -> str:
        return "shown"

    def find(self, ability: str, effect: Any) -> str | None:
        return None


def opened(path: Path, *, engine: bool) -> Any:
    """A hub with these far sides."""
    from hub.app import open_hub
    from hub.config import load
    from hub.registry import Registry

    # By a name that a reader's process can import: here the module may be called __main__.
    own = importlib.import_module("bench.engines")
    registry = Registry(_components={("channels", "pile"): own.Pile, ("crm", "sink"): own.Sink})
    return open_hub(load(path), engine=engine, registry=registry)


def fill(path: Path, count: int) -> dict[str, float]:
    """Keep `count` messages, in pages as a poll brings them."""
    from hub.pipeline.receive import receive

    rnd, hub = random.Random(3), opened(path, engine=False)
    words = "Bonjour, je vous écris au sujet de ma commande, qui tarde un peu. " * 8
    begun, spent = time.perf_counter(), time.process_time()
    for first in range(0, count, PAGE):
        raws = []
        for n in range(first, min(first + PAGE, count)):
            said = {"id": f"<{n}@bench>", "from": f"c{rnd.randrange(count)}@post.example", "text": words}
            raws.append(Raw(str(n), json.dumps(said).encode()))
        receive(hub.store, "pile", Page(tuple(raws), {"n": first}), hub.clock.now(), "poll", flow=hub.parts.flow)
    figures = {"wall": time.perf_counter() - begun, "cpu": time.process_time() - spent}
    hub.stop()
    return figures


def work(path: Path) -> None:
    """One engine process, until it is told to end."""
    hub, ended = opened(path, engine=True), threading.Event()
    import signal

    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    hub.start()
    print("ready", flush=True)
    ended.wait()
    hub.stop()
    own = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"cpu": own.ru_utime + own.ru_stime, "rss": own.ru_maxrss / 1024}), flush=True)
    os._exit(0)


def delivered(store: Any) -> int:
    """Deliveries done."""
    import sqlalchemy as sa

    from hub.store.cases import delivery

    with store.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).where(delivery.c.state == "done")) or 0


def server_cpu(server: Any) -> float:
    """Seconds of CPU of PostgreSQL and all its children, the ended ones included."""
    if server is None:
        return 0.0
    ticks, total = os.sysconf("SC_CLK_TCK"), 0.0
    root = server.pid
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat.parts[2]) == root:
            total += sum(int(fields[i]) for i in (11, 12, 13, 14))
        elif int(fields[1]) == root:
            total += sum(int(fields[i]) for i in (11, 12))
    return total / ticks


def one_run(kind: str, workers: int, count: int, portion: int, server: Any) -> dict[str, float]:
    """Fill, then let `workers` processes work through `portion` of `count` messages."""
    with tempfile.TemporaryDirectory(prefix="tresse-bench-") as name:
        path = Path(name) / "hub.toml"
        url = server.new_hub_database() if server is not None else ""
        path.write_text(CONFIG.format(folder=name) + (POSTGRES.format(url=url, kind=kind) if url else ""))
        intake = fill(path, count)
        from hub.app import connect
        from hub.config import load

        store = connect(load(path))
        before = server_cpu(server)
        with running(path, workers) as processes:
            begun = time.perf_counter()
            while (done := delivered(store)) < 2 * portion:
                if time.perf_counter() - begun > 1800:
                    raise TimeoutError(f"{done} of {2 * portion} deliveries after half an hour")
                time.sleep(0.05)
            wall = time.perf_counter() - begun
            last = [ended(one) for one in processes]
        done = delivered(store) / 2
        store.close()
        cpu = sum(one["cpu"] for one in last) + server_cpu(server) - before
        return {
            "intake_per_s": count / intake["wall"],
            "per_s": portion / wall,
            "cpu_ms": 1000 * cpu / done,
            "rss": max(one["rss"] for one in last),
        }


@contextmanager
def running(path: Path, workers: int) -> Iterator[list[subprocess.Popen[str]]]:
    """So many engine processes, ready."""
    command = [sys.executable, "-m", "bench.engines", "--work", str(path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(workers)]
    try:
        for one in processes:
            assert one.stdout is not None
            assert one.stdout.readline().strip() == "ready"
        yield processes
    finally:
        for one in processes:
            if one.poll() is None:
                one.kill()


def ended(process: subprocess.Popen[str]) -> dict[str, float]:
    """Tell it to end; its last words."""
    process.terminate()
    said, _ = process.communicate(timeout=60)
    found: dict[str, float] = json.loads(said.strip().splitlines()[-1])
    return found


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Each figure's median."""
    return {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All runs, alternated."""
    from tests.servers.postgres import Postgres

    kinds = {"embedded": 1, "distributed, 1 worker": 1, "distributed, 2 workers": 2, "distributed, 4 workers": 4}
    with Postgres(safe=True) as server:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
        for _ in range(options.rounds):
            for name, workers in kinds.items():
                print(f"{name} ...", file=sys.stderr)
                base = None if name == "embedded" else server
                runs[name].append(one_run(name.partition(",")[0], workers, options.messages, options.messages, base))
        behind: dict[str, list[dict[str, float]]] = {}
        for _ in range(options.rounds):
            for waiting in options.backlogs:
                for name in ("embedded", "distributed, 1 worker"):
                    print(f"{name}, {waiting:,} waiting ...", file=sys.stderr)
                    base = None if name == "embedded" else server
                    run = one_run(name.partition(",")[0], 1, waiting, min(PORTION, waiting), base)
                    behind.setdefault(f"{name}, {waiting:,} waiting", []).append(run)
    return {"engines": {n: medians(r) for n, r in runs.items()}, "backlog": {n: medians(r) for n, r in behind.items()}}


def show(found: dict[str, Any]) -> None:
    """Two tables."""
    tables = {"From bytes to the last delivery": found["engines"], "With others in line": found["backlog"]}
    for title, rows in tables.items():
        print(f"\n{title:40}{'kept/s':>10}{'done/s':>10}{'CPU ms':>10}{'MB':>8}")
        for name, row in rows.items():
            print(f"{name:40}{row['intake_per_s']:>10.0f}{row['per_s']:>10.1f}{row['cpu_ms']:>10.2f}{row['rss']:>8.0f}")
    for engine in ("embedded", "distributed, 1 worker"):
        costs = [row["cpu_ms"] for name, row in found["backlog"].items() if name.startswith(engine)]
        if costs:
            print(f"{engine}: CPU a message, the dearest backlog over the cheapest: {max(costs) / min(costs):.2f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--messages", type=int, default=2000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--backlogs", type=lambda t: [int(n) for n in t.split(",")], default=[1000, 10_000, 100_000])
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.work:
        work(options.work)
        return
    found = measure(options)
    print(json.dumps(found)) if options.json else show(found)


if __name__ == "__main__":
    main()
