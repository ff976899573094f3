"""A rolling upgrade under load: one process after the other goes and comes back as the next version.

    TRESSE_ROUNDS=10 TRESSE_SEED=7 pytest -m campaign tests/campaign/test_upgrade.py -s

The next version knows an instance more, so the old ones meet work that they cannot do; its schema has one more
revision, which adds to tables that the old ones write; and it brings the queue's own tables up while old workers live.
An old worker that is started after that refuses, and says why. At the end no lane is open, no step and no delivery waits, and the far side
(an SMTP server that counts) got each acknowledgement once.
"""

from __future__ import annotations

import email.utils
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from hub.store import migrate as migrating
from tests.campaign.coming_in import Ground, Pusher
from tests.campaign.daemons import ROOT, RUN, Process, Rows, ready, summary, until
from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.ports import free_ports
from tests.servers.postgres import Postgres

SEED = int(os.environ.get("TRESSE_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
ROUNDS = int(os.environ.get("TRESSE_ROUNDS", "10"))

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
per_sender_day = 1000
[database]
url = "{url}"
[engine]
kind = "distributed"
[channels.website]
use = "form"
minimum_fill = "0s"
rate = 1000000
[channels.box]
use = "maildir"
address = "other@shop.example"
path = "mail"
poll = "1s"
[channels.support]
use = "mail"
address = "{user}"
host = "127.0.0.1"
user = "{user}"
password = "{password}"
imap = {{ port = {imap}, security = "none", poll = "1s" }}
smtp = {{ port = {smtp}, log_in = false, security = "none", bounce_tag = false }}
"""
MORE = """
[channels.later{n}]
use = "form"
minimum_fill = "0s"
rate = 1000000
"""


NEWER = """
from pathlib import Path
import hub.store.migrate as migrating

own = migrating._settings

def settings():
    found, versions = own(), Path(migrating.__file__).parent / "migrations" / "versions"
    found.set_main_option("path_separator", "newline")
    found.set_main_option("version_locations", f"{{versions}}\\n{folder}")
    return found

migrating._settings = settings
"""
"""Read by Python at the start of each process of a newer release: its migrations are ours, and those in a folder."""
REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{name}", "{after}", None, None


def upgrade() -> None:
    for table in ("raw", "step", "message", "delivery", "cursor"):
        op.add_column(table, sa.Column("newer{n}", sa.Integer, nullable=False, server_default="0"))
    op.create_table("newer{n}", sa.Column("id", sa.BigInteger, primary_key=True))
    op.create_index("ix_step_newer{n}", "step", ["newer{n}"])
"""
WHY = "SELECT acknowledge_reason, count(*) FROM cases GROUP BY 1"


class Sink:
    """Takes mail, and counts it by the mark in its subject."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:  # noqa: N802 - aiosmtpd's name
        found = re.search(rb"zqletter\d{6}", envelope.content)  # type: ignore[attr-defined]
        self.seen[found[0].decode() if found else "unknown"] += 1
        return "250 OK"


@contextmanager
def listening(sink: Sink) -> Iterator[int]:
    """The port where it listens."""
    controller = Controller(sink, hostname="127.0.0.1", port=free_ports(1)[0])
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


class Letters:
    """Customers' mails, into a real mailbox."""

    def __init__(self, dovecot: Dovecot, user: str) -> None:
        self.dovecot, self.user, self.count = dovecot, user, 0
        self.marks: set[str] = set()

    def write(self, count: int) -> None:
        """Some more, each with a mark."""
        for n in range(self.count, self.count + count):
            mark = f"zqletter{n:06}"
            self.marks.add(mark)
            head = f"From: C <c{n}@customer.example>\r\nTo: {self.user}\r\nSubject: {mark}\r\n"
            head += f"Message-ID: <{mark}@customer.example>\r\nDate: {email.utils.formatdate()}\r\n"
            mail = f"{head}\r\nHello, where is my parcel? {mark}\r\n".encode()
            self.dovecot.deliver(self.user, mail, f"c{n}@customer.example")
        self.count += count


def _roll(folder: Path, dovecot: Dovecot, postgres: Postgres, rounds: int) -> None:
    print(f"\nrolling upgrade: {rounds} rounds, seed {SEED} (repeat with TRESSE_SEED={SEED})", flush=True)
    dice, web, began, sink = random.Random(SEED), free_ports(1)[0], time.monotonic(), Sink()
    user, url = dovecot.new_mailbox(), postgres.new_hub_database()
    letters, stops, migrations = Letters(dovecot, user), [], []
    with listening(sink) as smtp:
        text = CONFIG.format(web=web, url=url, user=user, password=PASSWORD, imap=dovecot.imap, smtp=smtp)
        kinds = {"web": ["web", "--workers", "1"], "worker1": ["worker"], "worker2": ["worker"]}
        ground = Ground(folder, text, kinds, Rows(url.replace("+psycopg", "")), web)
        with ground.under_way():
            for n in range(rounds):
                release = _release(folder, n)
                text += MORE.format(n=n)
                ground.processes[0].config.write_text(text, "utf-8")
                migrations.append(_migrate(ground, release))
                if n == 0:
                    _old_one_refuses(dice.choice(ground.processes[1:]))
                for process in ground.processes:
                    process.environment["PYTHONPATH"] = release
                for process in ground.processes:  # the pages first: they take in what old workers do not know
                    letters.write(4)
                    time.sleep(dice.uniform(0.0, 0.5))
                    stops.append(_renew(process, ground))
                    if process.arguments[0] == "web":
                        _push_to(ground, n)
                print(
                    f"  round {n + 1} of {rounds}, {ground.count()} pushed, {time.monotonic() - began:.0f} s",
                    flush=True,
                )
            until(
                lambda: len(sink.seen) >= letters.count,
                60,
                "all acknowledgements",
                lambda: (len(sink.seen), ground.rows.all(WHY)),
            )
        ground.letters = letters.marks
        found = ground.judge()
        twice = sum(count - 1 for count in sink.seen.values())
        left = ground.rows.number("SELECT count(*) FROM delivery WHERE state <> 'done'")
        jobs = ground.rows.number("SELECT count(*) FROM procrastinate_jobs")
    summary("rolling upgrade", SEED, rounds=rounds, **found, acknowledged=len(sink.seen), acknowledged_twice=twice,
            deliveries_not_done=left, jobs_left=jobs, longest_stop_s=round(max(stops), 1),
            longest_migration_s=round(max(migrations), 1), seconds=round(time.monotonic() - began, 1))  # fmt: skip
    assert found["lost"] == found["doubled"] == twice == left == jobs == 0
    assert set(sink.seen) == letters.marks


def _renew(process: Process, ground: Ground) -> float:
    took = process.stop()
    process.start()
    if process.arguments[0] == "web":
        until(lambda: ready(ground.url), 60, "the new pages to be ready")
    else:
        until(process.started, 60, "the new worker to start")
    return took


def _push_to(ground: Ground, n: int) -> None:
    """A sender of its own for the instance that only the new version has."""
    pusher = Pusher(ground.url, f"n{n}", ground.ended, 0.1, f"later{n}")
    ground.pushers.append(pusher)
    pusher.start()


def _release(folder: Path, n: int) -> str:
    """The `PYTHONPATH` of the next release: the same code, and a revision more than the one before had."""
    place, head = folder / f"release{n}", migrating._revisions().get_current_head()
    versions = place / "versions"
    versions.mkdir(parents=True)
    (place / "sitecustomize.py").write_text(NEWER.format(folder=versions), "utf-8")
    for k in range(n + 1):
        after = f"newer{k - 1}" if k else head
        (versions / f"newer_{k}.py").write_text(REVISION.format(name=f"newer{k}", after=after, n=k), "utf-8")
    return os.pathsep.join([str(place), str(ROOT), os.environ.get("PYTHONPATH", "")])


def _migrate(ground: Ground, release: str) -> float:
    """`tresse migrate` of the next version, while the old ones are at work. Returns the seconds it took."""
    began = time.monotonic()
    environ = {**os.environ, "PYTHONPATH": release, "TRESSE_CONFIG": str(ground.processes[0].config)}
    command = [sys.executable, "-c", RUN, "migrate"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    took = time.monotonic() - began
    (current,) = ground.rows.all("SELECT version_num FROM alembic_version")
    assert current[0].startswith("newer")
    return took


def _old_one_refuses(process: Process) -> None:
    """A host boots, and its Tresse is not upgraded yet."""
    process.stop()
    process.start()
    until(lambda: not process.alive(), 30, "the old worker to refuse")
    assert "Install that version" in process.text()
    process.stop()


def test_upgrade(tmp_path, dovecot, postgres):
    _roll(tmp_path, dovecot, postgres, 1)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_upgrade_long(tmp_path, dovecot, postgres):
    _roll(tmp_path, dovecot, postgres, ROUNDS)
