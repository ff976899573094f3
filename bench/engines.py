"""What a message costs from its bytes to its last delivery: embedded, and distributed with 1, 2 and 4 workers.

    python -m bench.engines [--messages 2000] [--rounds 3] [--backlogs 1000,10000,100000]
                            [--drain 100000] [--json]

The far sides are empty functions, so that nothing but the hub, its engine and its database is measured:
each message is kept, read, recorded, planned, answered with suggestions' steps left out, and owed to a desk
(a case and a note). One process keeps them all, before the workers begin: kept/s says nothing about their number.
CPU is that of all hub processes and, for PostgreSQL, of the server's. The second table asks what a message costs
while many others wait: all are kept and read, 1,000 planned, then 1,000 delivered. So the others wait to be planned;
owed to the desk are only those planned by then, some 2,000. How a desk is served that is owed a hundred thousand, the
last part shows: a whole backlog is drained, which takes the longest. `--drain 0` leaves that out, `--backlogs ""` the
second table.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.pile import CONFIG, POSTGRES, fill

PORTION = 1000
"""How many messages are worked through with a backlog behind them."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds of CPU spent so far, and how many messages were planned and delivered with it."""

    cpu: float
    planned: float
    delivered: float


class Running:
    """A hub with its messages kept, and so many engine processes at work on them."""

    def __init__(self, store: Any, processes: list[subprocess.Popen[str]], server: Any, kept: dict[str, float]) -> None:
        self.store, self.processes, self.kept = store, processes, kept
        self._roots = [one.pid for one in processes] + ([server.pid] if server is not None else [])
        self._before = sum(map(tree, self._roots))

    def moment(self) -> Moment:
        """How far it is. PostgreSQL's CPU counts as well."""
        import sqlalchemy as sa

        from hub.store.cases import delivery

        # The deliveries alone: to count what waits would cost more than to plan it.
        of_state = sa.select(sa.func.count(), sa.func.count().filter(delivery.c.state == "done"))
        with self.store.read() as connection:
            owed, done = connection.execute(of_state).one()
        return Moment(sum(map(tree, self._roots)) - self._before, owed / 2, done / 2)

    def any_unread(self) -> bool:
        """Whether messages are kept that are not read yet."""
        import sqlalchemy as sa

        from hub.store.intake import step

        with self.store.read() as connection:
            return bool(connection.scalar(sa.select(sa.exists().where(step.c.stage == "read"))))

    def until(self, enough: Callable[[Moment], bool], look: float = 0.05) -> Moment:
        """Wait until it is `enough`. Raises TimeoutError after a minute in which nothing came further."""
        done, moved = Moment(0, -1, -1), time.perf_counter()
        while True:
            last, done = done, self.moment()
            if enough(done):
                return done
            if (done.planned, done.delivered) != (last.planned, last.delivered):
                moved = time.perf_counter()
            if time.perf_counter() - moved > 60:
                raise TimeoutError(f"{done.delivered:g} messages done, and none in the last minute")
            time.sleep(look)

    def let_the_desk_answer(self) -> None:
        """From now on."""
        for one in self.processes:
            one.send_signal(signal.SIGUSR1)

    def end(self) -> dict[str, float]:
        """Tell all to end; the memory of the largest one, in MB."""
        return {"rss": max(ended(one)["rss"] for one in self.processes)}


@contextmanager
def at_work(kind: str, workers: int, count: int, server: Any, *, held: bool = False) -> Iterator[Running]:
    """Keep `count` messages, then start `workers` processes; `held`: with a desk that does not answer yet."""
    with tempfile.TemporaryDirectory(prefix="tresse-bench-") as name:
        path = Path(name) / "hub.toml"
        url = server.new_hub_database() if server is not None else ""
        path.write_text(CONFIG.format(folder=name) + (POSTGRES.format(url=url, kind=kind) if url else ""))
        before = tree(server.pid) if server is not None else 0.0
        intake = fill(path, count)
        spent = intake["cpu"] + (tree(server.pid) - before if server is not None else 0.0)
        kept = {"intake_per_s": count / intake["wall"], "keep_ms": 1000 * spent / count}
        from hub.app import connect
        from hub.config import load

        store = connect(load(path))
        with running(path, workers, held=held) as processes:
            yield Running(store, processes, server, kept)
        store.close()


def one_run(
    kind: str, workers: int, count: int, server: Any, seen: Callable[[float, float], None] | None = None
) -> dict[str, float]:
    """Work through `count` messages. `seen` hears now and then how many are done, and after how many seconds."""
    begun = 0.0

    def enough(now: Moment) -> bool:
        if seen is not None:
            seen(now.delivered, time.perf_counter() - begun)
        return now.delivered >= count

    with at_work(kind, workers, count, server) as hub:
        begun = time.perf_counter()
        end = hub.until(enough, 0.05 if seen is None else 1.0)  # to count many costs much
        return {
            **hub.kept,
            "per_s": count / (time.perf_counter() - begun),
            "cpu_ms": hub.kept["keep_ms"] + 1000 * end.cpu / count,
            **hub.end(),
        }


def in_line(kind: str, waiting: int, server: Any) -> dict[str, float]:
    """What each stage of a message costs with `waiting` in line, and their sum.

    The hub reads ahead of what it plans, and plans ahead of what it delivers: CPU by what was delivered would count
    what is done for the messages behind it as well. So all are read; then PORTION are planned while the desk keeps
    its callers waiting; then it answers, and PORTION are delivered while others are planned, at a price known by then.
    """
    with at_work(kind, 1, waiting, server, held=True) as hub:
        read = hub.until(lambda _now: not hub.any_unread(), 0.5)
        planned = hub.until(lambda now: now.planned >= min(read.planned + PORTION, waiting), 0.5)
        begun = time.perf_counter()
        hub.let_the_desk_answer()
        end = hub.until(lambda now: now.delivered >= min(PORTION, waiting), 0.5)
        took = time.perf_counter() - begun
        plan = (planned.cpu - read.cpu) / (planned.planned - read.planned)
        stages = {
            "read_ms": (read.cpu - read.planned * plan) / waiting,
            "plan_ms": plan,
            "deliver_ms": (end.cpu - planned.cpu - (end.planned - planned.planned) * plan) / end.delivered,
        }
        return {
            **hub.kept,
            "per_s": end.delivered / took,
            "cpu_ms": hub.kept["keep_ms"] + 1000 * sum(stages.values()),
            **{name: 1000 * seconds for name, seconds in stages.items()},
            **hub.end(),
        }


def tree(root: int) -> float:
    """Seconds of CPU of a process and its descendants, of the ended ones as far as they were waited for."""
    every = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            every[int(stat.parts[2])] = stat.read_text().rpartition(")")[2].split()
    family = {root}
    while more := {pid for pid, fields in every.items() if int(fields[1]) in family} - family:
        family |= more
    ticks = sum(sum(map(int, every[pid][11:15])) for pid in family & every.keys())
    return ticks / os.sysconf("SC_CLK_TCK")


class Tenths:
    """How fast each tenth of a backlog was worked through; said as it goes."""

    def __init__(self, count: int) -> None:
        self._count, self._last = count, (0.0, 0.0)
        self.rates: list[float] = []

    def __call__(self, done: float, seconds: float) -> None:
        if done >= self._count * (len(self.rates) + 1) / 10:
            more, took = done - self._last[0], seconds - self._last[1]
            self._last = done, seconds
            self.rates.append(round(more / took, 1))
            print(f"  {done:,.0f} of {self._count:,} done, {self.rates[-1]:.1f}/s", file=sys.stderr)


def drain(count: int, server: Any) -> dict[str, Any]:
    """The whole backlog, on either engine."""
    found = {}
    for name, workers in (("embedded", 1), ("distributed, 2 workers", 2)):
        print(f"{name}, {count:,} drained ...", file=sys.stderr)
        tenths = Tenths(count)
        base = None if name == "embedded" else server
        run = one_run(name.partition(",")[0], workers, count, base, tenths)
        found[name] = {**{key: round(value, 2) for key, value in run.items()}, "tenths_per_s": tenths.rates}
    return found


@contextmanager
def running(path: Path, workers: int, *, held: bool) -> Iterator[list[subprocess.Popen[str]]]:
    """So many engine processes, ready."""
    command = [sys.executable, "-m", "bench.pile", str(path), *(["held"] if held else [])]
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
                runs[name].append(one_run(name.partition(",")[0], workers, options.messages, base))
        behind: dict[str, list[dict[str, float]]] = {}
        for _ in range(options.rounds):
            for waiting in options.backlogs:
                for name in ("embedded", "distributed, 1 worker"):
                    print(f"{name}, {waiting:,} waiting ...", file=sys.stderr)
                    base = None if name == "embedded" else server
                    run = in_line(name.partition(",")[0], waiting, base)
                    behind.setdefault(f"{name}, {waiting:,} waiting", []).append(run)
        drained = drain(options.drain, server) if options.drain else {}
    return {
        "engines": {n: medians(r) for n, r in runs.items()},
        "backlog": {n: medians(r) for n, r in behind.items()},
        "drained": drained,
    }


def show(found: dict[str, Any]) -> None:
    """Three tables."""
    tables = {
        "From bytes to the last delivery": found["engines"],
        "With others in line": found["backlog"],
        "A whole backlog": found["drained"],
    }
    for title, rows in tables.items():
        if not rows:
            continue
        print(f"\n{title:40}{'kept/s':>10}{'done/s':>10}{'CPU ms':>10}{'MB':>8}")
        for name, row in rows.items():
            print(f"{name:40}{row['intake_per_s']:>10.0f}{row['per_s']:>10.1f}{row['cpu_ms']:>10.2f}{row['rss']:>8.0f}")
            if "plan_ms" in row:
                print(
                    "{:40}keep {keep_ms:.2f}, read {read_ms:.2f}, plan {plan_ms:.2f}, deliver {deliver_ms:.2f}".format(
                        "", **row
                    )
                )
    for engine in ("embedded", "distributed, 1 worker"):
        costs = [row["cpu_ms"] for name, row in found["backlog"].items() if name.startswith(engine)]
        if costs:
            print(f"{engine}: CPU a message, the dearest backlog over the cheapest: {max(costs) / min(costs):.2f}")
    for name, row in found["drained"].items():
        print(f"{name}: messages/s in each tenth of the backlog: {', '.join(map(str, row['tenths_per_s']))}")


def _backlogs(text: str) -> list[int]:
    found = [int(number) for number in text.split(",") if number]
    if any(number < PORTION for number in found):  # all would be planned before the planning is measured
        raise argparse.ArgumentTypeError(f"a backlog has at least {PORTION} messages")
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--messages", type=int, default=2000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--backlogs", type=_backlogs, default=[1000, 10_000, 100_000])
    arguments.add_argument("--drain", type=int, default=100_000)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    found = measure(options)
    print(json.dumps(found)) if options.json else show(found)


if __name__ == "__main__":
    main()
