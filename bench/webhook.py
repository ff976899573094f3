"""What a pushed message costs until its sender hears "received", beside a bare Flask endpoint.

    python -m bench.webhook [--servers waitress granian] [--rounds 3] [--seconds 4] [--threads 32]
                            [--workers 2] [--engines 1] [--connections 16 64] [--json]

The hub is the real one, its engine at work: `tresse run` on waitress with SQLite, and `tresse web
--workers N` on granian beside a `tresse worker`, with PostgreSQL (`bench/sides.py`). A tiny component in
`bench/hook.py` checks an HMAC over the raw body, as the bare endpoint (`bench/bare.py`) does; both commit
in groups, wait for the disk (`synchronous=FULL`; `fsync`) and answer after the commit. The hub answers pushes in front
of Flask (docs/decisions/0009), so a part of what it gains on the bare endpoint is Flask's own cost. On waitress the
bundled form and phone system are shown as well: they check and count more, the form for each address,
of which the load has one: that row is a flood from one place. Compare a row with "bare" on
the same server: between the servers the database and the number of processes change too. On a machine
of few cores the worker takes its part of them; `--engines 0` shows the intake as where it works elsewhere.

Each run has a database of its own on `--folder` (a disk, please), and afterwards every key that was
answered 2xx must be in it exactly once. CPU is that of all processes of a side, its database's too.
Runs alternate; medians. It takes some five minutes; PostgreSQL must be installed (`make servers`) unless
`--servers waitress` is all that is asked for.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.sides import BARE, GRANIAN, KINDS, ROOT, SERVERS, Side, cpu_of

# -- one run -------------------------------------------------------------------------------------


def load(port: int, path: str, connections: int, seconds: float, *more: str) -> dict[str, Any]:
    """One push of the loader, in its own process."""
    given = ["--port", str(port), "--path", path, "--connections", str(connections), "--seconds", str(seconds)]
    command = [sys.executable, "-m", "bench.load", *given, *more]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def run(side: Side, options: argparse.Namespace, connections: int) -> dict[str, Any]:
    """Warm up, load, stop, and look into the database."""
    keys = side.folder / "keys"
    told = ("--shape", side.shape, "--keys", str(keys))
    with side.served() as (port, processes):
        load(port, side.path, connections, 1, "--prefix", "w", *told)
        before = cpu_of(processes)
        figures = load(port, side.path, connections, options.seconds, "--prefix", "k", *told)
        spent = cpu_of(processes) - before
        figures["ms_per_request"] = spent / max(1, figures["answered"]) * 1000
        figures["waiting"] = side.waiting()
    figures["missing"] = side.missing(keys.read_text().split())
    return figures


# -- all runs ------------------------------------------------------------------------------------


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Every kind on every server at every number of connections, in turn."""
    runs: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-")))
        postgres = stack.enter_context(postgresql(options.folder)) if GRANIAN in options.servers else None
        given = [(server, kind) for server in options.servers for kind in options.kinds or SERVERS[server]]
        fastest = {server: ceiling(server, options, folder, postgres) for server in options.servers}
        for turn in range(options.rounds):
            for connections in options.connections:
                for server, kind in given:
                    print(f"round {turn + 1}, {connections} connections, {server}, {kind} ...", file=sys.stderr)
                    side = Side(kind, server, options, folder / f"{server}-{kind}-{connections}-{turn}", postgres)
                    runs.setdefault((server, kind, connections), []).append(run(side, options, connections))
    table = [{"server": s, "kind": k, "connections": c, **summed(those)} for (s, k, c), those in runs.items()]
    bare = {(row["server"], row["connections"]): row["per_second"] for row in table if row["kind"] == BARE}
    for row in table:
        floor = bare.get((row["server"], row["connections"]))
        row["of_bare"] = row["per_second"] / floor if floor else 0.0
    told = {name: getattr(options, name) for name in ("threads", "workers", "engines", "rounds", "seconds")}
    return {**told, "load_alone": fastest, "table": table}


def postgresql(folder: Path | None) -> Any:
    """A server that waits for the disk, as the hub's would."""
    from tests.servers.postgres import Postgres

    return Postgres(safe=True, beneath=folder)


def ceiling(server: str, options: argparse.Namespace, folder: Path, postgres: Any) -> float:
    """What the loader gets from an address that does nothing: it must not be what we measure."""
    with Side(BARE, server, options, folder / f"{server}-ceiling", postgres).served() as (port, _):
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
        f"Webhooks, {figures['threads']} threads, commits wait for the disk, "
        f"median of {figures['rounds']} alternated rounds of {figures['seconds']:g} s"
    )
    print(
        f"waitress: one process, SQLite; granian: {figures['workers']} processes and, for the hub, "
        f"{figures['engines']} of the engine's, PostgreSQL"
    )
    for server, fastest in figures["load_alone"].items():
        print(f"(on {server} the load alone reaches {fastest:,.0f} requests/s)")
    heads = ("requests/s", "p50 ms", "p99 ms", "of bare", "CPU ms", "refused", "broken", "missing", "behind")
    print(("{:10}{:6}{:>6}{:>12}" + "{:>9}" * 8).format("", "", "conn.", *heads))
    for r in sorted(figures["table"], key=lambda r: (r["connections"], list(SERVERS).index(r["server"]))):
        print(
            f"{r['server']:10}{r['kind']:6}{r['connections']:>6}{r['per_second']:>12,.0f}{r['p50_ms']:>9.1f}"
            f"{r['p99_ms']:>9.1f}{r['of_bare']:>9.2f}{r['ms_per_request']:>9.2f}{r['refused']:>9}{r['broken']:>9}"
            f"{r['missing']:>9}{r['waiting']:>9.0f}"
        )
    print("aim: the hub at 0.80 of bare or more, and 1,500 requests/s; nothing missing")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=4)
    arguments.add_argument("--threads", type=int, default=32, help="of each process")
    arguments.add_argument("--workers", type=int, default=2, help="processes of granian's")
    arguments.add_argument("--engines", type=int, default=1, help='"tresse worker" processes beside them')
    arguments.add_argument("--connections", type=int, nargs="+", default=[16, 64])
    arguments.add_argument("--kinds", nargs="+", choices=list(KINDS), help="on both servers; unless named, see above")
    arguments.add_argument("--servers", nargs="+", choices=list(SERVERS), default=list(SERVERS))
    arguments.add_argument("--folder", type=Path, help="where the databases lie; a disk, not memory")
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    figures = measure(options)
    print(json.dumps(figures)) if options.json else show(figures)
    if any(row["missing"] for row in figures["table"]):
        raise SystemExit("something was acknowledged that is not there")


if __name__ == "__main__":
    main()
