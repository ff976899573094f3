"""What taking in mail costs: from a real Dovecot to the committed timeline, beside its floor.

    python -m bench.intake [--mails 2000] [--rounds 3] [--seed 7] [--json]

The floor does the least that deserves the name, in one process: imaplib fetches in batches of 100,
`email` (compat32) parses and decodes, one statement inserts everything into SQLite. The hub does all
it does before an agent can see a mail: keep the bytes, move the cursor, read, resolve identities,
thread, open cases, record. It runs twice: with child processes that read (as it does), and reading in
its own process, to see what the children cost. As in a running hub, one thread fetches while another
records; `--in-turn` has one thread do both. Runs alternate, each in a process of its own. CPU is
that process's own and its children's from after their start-up; wall time and Dovecot's share say
little on a busy machine.
"""

from __future__ import annotations

import argparse
import email
import imaplib
import importlib.util
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

from bench import corpus
from bench.spent import cpu, peak

ROOT = Path(__file__).resolve().parent.parent
BATCH = 100
HUB, HERE, FLOOR = "hub", "in one", "floor"

CONFIG = """
[hub]
name = "Bench"
data = "var"
languages = ["fr", "en", "es"]
order_patterns = ['\\b(?:CMD|ORD|SO)-\\d{{4}}-\\d{{3,6}}\\b']
[log]
level = "warning"
[acknowledge]
by = "nobody"
[channels.box]
use = "mail"
address = "support@shop.example"
host = "127.0.0.1"
user = "{user}"
password = "{password}"
trusted_authservs = ["mx.shop.example"]
imap = {{ port = {port}, security = "none", idle = false }}
smtp = {{ log_in = false, security = "none" }}
"""


def mails(count: int, seed: int) -> tuple[str, list[bytes]]:
    """The corpus: a folder called `shared` beside the project may hold a larger one; else our own."""
    other = Path(os.environ.get("TRESSE_SHARED", ROOT.parent / "shared")) / "bench" / "gen_corpus.py"
    if not other.exists():
        return "bench/corpus.py", list(corpus.mails(count, seed))
    spec = importlib.util.spec_from_file_location("gen_corpus", other)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return other.name, [raw for raw, _ in module.gen(count, seed)]


# -- one run, in a process of its own ------------------------------------------------------------


def floor(options: argparse.Namespace, folder: Path) -> Callable[[], int]:
    """The floor, ready to go."""
    store = sqlite3.connect(folder / "floor.db", isolation_level=None)
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("PRAGMA synchronous=FULL")
    store.execute("CREATE TABLE mail (uid INTEGER PRIMARY KEY, sender, subject, ref, message_id, text, raw BLOB)")
    client = imaplib.IMAP4("127.0.0.1", options.port)
    client.login(options.user, options.password)
    client.select("INBOX", readonly=True)

    def go() -> int:
        uids = client.uid("SEARCH", "ALL")[1][0].split()
        rows = []
        for first in range(0, len(uids), BATCH):
            wanted = b",".join(uids[first : first + BATCH]).decode()
            fetched = client.uid("FETCH", wanted, "(UID BODY.PEEK[])")[1]
            rows += [parsed(uid, data) for uid, data in found(fetched)]
        store.execute("BEGIN IMMEDIATE")
        store.executemany("INSERT INTO mail VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        store.execute("COMMIT")
        return len(rows)

    return go


def found(fetched: list[Any]) -> Iterator[tuple[int, bytes]]:
    """The UID and the bytes of each mail in a FETCH answer."""
    for item in fetched:
        if isinstance(item, tuple):
            yield int(item[0].split(b"UID ")[1].split()[0]), item[1]


def parsed(uid: int, data: bytes) -> tuple[Any, ...]:
    """Headers decoded, the text parts decoded; nothing understood."""
    mail = email.message_from_bytes(data)
    texts = []
    for part in mail.walk():
        if part.get_content_maintype() == "text":
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            texts.append(content.decode(part.get_content_charset("utf-8"), "replace"))
    heads = [str(make_header(decode_header(str(mail.get(n, ""))))) for n in ("From", "Subject", "References")]
    return (uid, *heads, str(mail.get("Message-ID", "")), "\n".join(texts), data)


def hub(options: argparse.Namespace, folder: Path) -> Callable[[], int]:
    """The hub, opened but with nobody to plan or deliver: intake alone."""
    from hub.app import open_hub
    from hub.config import load
    from hub.pipeline.receive import receive
    from hub.pipeline.record import record_page
    from hub.reading import InProcess
    from hub.reading.children import Children
    from hub.sdk import Polls, Raw
    from hub.threads import Threads

    path = folder / "hub.toml"
    path.write_text(CONFIG.format(port=options.port, user=options.user, password=options.password))
    path.chmod(0o600)
    opened = open_hub(load(path), readers=InProcess if options.run == HERE else Children)
    box, parts = opened.instances["box"], opened.parts
    parts.readers.read(box.component, [Raw("warm", b"From: a@customer.example\n\n")], lambda *_: None)

    def fetch() -> int:
        taken = 0
        assert isinstance(box.component, Polls)
        for page in box.component.poll({}):
            receive(parts.store, box.id, page, parts.now(), "poll")
            if options.in_turn:
                record()
            taken += len(page.raws)
        return taken

    def record() -> None:
        while record_page(parts, box.id):
            pass

    def go() -> int:
        poller = Threads("poll", 1).submit(fetch)
        while not poller.done():
            record()
            wait([poller], 0.002)
        record()
        return poller.result()

    return fetch if options.in_turn else go


def one_run(options: argparse.Namespace) -> None:
    """Do one run and print its figures as JSON."""
    with tempfile.TemporaryDirectory() as name:
        go = (floor if options.run == FLOOR else hub)(options, Path(name))
        before, begun = cpu(), time.perf_counter()
        count = go()
        spent, wall = cpu() - before, time.perf_counter() - begun
        print(json.dumps({"mails": count, "cpu": spent, "wall": wall, "rss": peak()}), flush=True)
    os._exit(0)  # threads of an opened hub are not part of the figure


def alternate(options: argparse.Namespace) -> dict[str, Any]:
    """Fill a mailbox, then run floor and hub in turn."""
    from tests.servers.dovecot import PASSWORD, Dovecot

    name, posted = mails(options.mails, options.seed)
    with Dovecot() as dovecot:
        user = dovecot.new_mailbox()
        print(f"putting {len(posted)} mails of {name} into Dovecot ...", file=sys.stderr)
        dovecot.append(user, *posted)
        runs: dict[str, list[dict[str, float]]] = {FLOOR: [], HUB: [], HERE: []}
        for _ in range(options.rounds):
            for kind, those in runs.items():
                print(f"{kind} ...", file=sys.stderr)
                those.append(apart(kind, dovecot.imap, user, PASSWORD, in_turn=options.in_turn))
    figures = {kind: summed(those) for kind, those in runs.items()}
    for kind, one in figures.items():
        assert one["mails"] == len(posted), f"{kind} saw {one['mails']} of {len(posted)} mails"
    ratio = figures[FLOOR]["cpu_per_1000"] / figures[HUB]["cpu_per_1000"]
    wall = [here["wall"] / with_children["wall"] for here, with_children in zip(runs[HERE], runs[HUB], strict=True)]
    return {
        "corpus": name,
        "mails": len(posted),
        "rounds": options.rounds,
        **figures,
        "share_of_floor_cpu": ratio,
        "children_throughput": statistics.median(wall),
        "children_cpu": figures[HUB]["cpu_per_1000"] / figures[HERE]["cpu_per_1000"],
    }


def apart(kind: str, port: int, user: str, password: str, *, in_turn: bool) -> dict[str, float]:
    """One run in a fresh interpreter."""
    command = [sys.executable, "-m", "bench.intake", "--run", kind, "--port", str(port), "--user", user]
    command += ["--in-turn"] if in_turn else []
    environ = {**os.environ, "BENCH_PASSWORD": password}
    done = subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def summed(runs: list[dict[str, float]]) -> dict[str, float]:
    """Medians over the rounds; the peak is the highest."""
    count = runs[0]["mails"]
    return {
        "mails": count,
        "cpu_per_1000": statistics.median(r["cpu"] for r in runs) / count * 1000,
        "mails_per_second": count / statistics.median(r["wall"] for r in runs),
        "peak_mb": max(r["rss"] for r in runs),
    }


def show(figures: dict[str, Any]) -> None:
    """The table for people."""
    print(
        f"Intake of {figures['mails']:,} mails ({figures['corpus']}), median of {figures['rounds']} alternated rounds"
    )
    print(f"{'':8}{'CPU s per 1,000':>18}{'mails/s (wall)':>18}{'peak MB':>12}")
    for kind in (FLOOR, HUB, HERE):
        one = figures[kind]
        print(f"{kind:8}{one['cpu_per_1000']:>18.3f}{one['mails_per_second']:>18.0f}{one['peak_mb']:>12.0f}")
    print(f"the hub runs at {figures['share_of_floor_cpu']:.2f} of the floor's speed in CPU (aim: 0.35, and 1.0 s)")
    throughput, spent = figures["children_throughput"], figures["children_cpu"]
    print(f"reading in children: {throughput:.2f} of the throughput in one process (aim: 0.90), {spent:.2f} of the CPU")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--mails", type=int, default=2000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--in-turn", action="store_true", help="fetch and record in one thread")
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--run", choices=(HUB, HERE, FLOOR), help=argparse.SUPPRESS)
    arguments.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments.add_argument("--user", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    options.password = os.environ.get("BENCH_PASSWORD", "")
    if options.run:
        one_run(options)
        return
    figures = alternate(options)
    print(json.dumps(figures)) if options.json else show(figures)


if __name__ == "__main__":
    main()
