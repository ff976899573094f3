"""Intake from a real mailbox while the hub is killed: every mail is on the timeline once, by both engines.

    TRESSE_MAILS=10000 TRESSE_KILLS=100 TRESSE_SEED=7 pytest -m campaign tests/campaign/test_intake.py -s

Mails without a Message-ID, mails with somebody else's, mails that another client expunges as soon as we have
kept them, a mailbox that is numbered anew on the way. The judge compares what was put into the mailbox with the
rows of the hub's database, by the hash of the bytes and by a mark in each subject.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from bench import corpus
from tests.campaign.daemons import Process, Rows, stop_all, summary, until
from tests.servers.dovecot import PASSWORD, Dovecot

SEED = int(os.environ.get("TRESSE_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)

CONFIG = """
[hub]
name = "Campaign"
data = "var"
languages = ["fr", "en", "es"]
[log]
format = "json"
[acknowledge]
by = "nobody"
[channels.box]
use = "mail"
address = "{user}"
host = "127.0.0.1"
user = "{user}"
password = "{password}"
imap = {{ port = {port}, security = "none", poll = "1s", after = "{after}" }}
smtp = {{ log_in = false, security = "none" }}
"""
ON_POSTGRESQL = """
[database]
url = "{url}"
[engine]
kind = "distributed"
"""


def marked_mails(count: int, seed: int) -> list[tuple[str, bytes]]:
    """Mails with a mark in each subject; 5 % without a Message-ID, 5 % with one that an earlier mail has."""
    dice, ids, found = random.Random(seed), [], []
    for n, mail in enumerate(corpus.mails(count, seed)):
        mark = f"zq{n:06}"
        data = mail.replace(b"\r\nSubject: ", b"\r\nSubject: " + mark.encode() + b" ", 1)
        own = re.search(rb"\r\nMessage-ID: ([^\r]*)\r\n", data)
        assert own is not None
        draw = dice.random()
        if draw < 0.05:
            data = data.replace(own[0], b"\r\n", 1)
        elif draw < 0.10 and ids:
            data = data.replace(own[1], dice.choice(ids), 1)
        else:
            ids.append(own[1])
        found.append((mark, data))
    return found


class Sender(threading.Thread):
    """Puts the mails into the mailbox, up to the number it is allowed."""

    def __init__(self, dovecot: Dovecot, user: str, mails: list[tuple[str, bytes]]) -> None:
        super().__init__(daemon=True)
        self.dovecot, self.user, self.mails = dovecot, user, mails
        self.allowed = self.sent = 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            client = self.dovecot.connect(self.user)
            while self.sent < len(self.mails):
                if self.sent >= self.allowed:
                    time.sleep(0.02)
                    continue
                status, said = client.append("INBOX", "", None, self.mails[self.sent][1])
                assert status == "OK", said
                self.sent += 1
            client.logout()
        except Exception as error:  # noqa: BLE001 - told by the test that waits for this thread
            self.error = error


WINDOW = 300
"""Mails of the mailbox that somebody else looks at in one go."""


def _mark(head: bytes) -> str:
    found = re.search(rb"zq\d{6}", head)
    return found[0].decode() if found else ""


class Somebody:
    """Another mail client: removes mails that the hub has kept, and has the mailbox numbered anew."""

    def __init__(self, dovecot: Dovecot, user: str, rows: Rows, dice: random.Random) -> None:
        self.dovecot, self.user, self.rows, self.dice = dovecot, user, rows, dice
        self.expunged = self.renumbered = 0

    def clean_up(self) -> None:
        """Expunge one in five of the mails that are on the timeline, of a part of the mailbox."""
        client = self.dovecot.connect(self.user)
        client.select("INBOX")
        uids = client.uid("SEARCH", "ALL")[1][0].decode().split()
        first = self.dice.randrange(max(1, len(uids) - WINDOW))
        heads = client.uid("FETCH", ",".join(uids[first : first + WINDOW]), "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        kept = {subject.partition(" ")[0] for (subject,) in self.rows.all("SELECT subject FROM message")}
        pairs = [(item[0], item[1]) for item in heads[1] if isinstance(item, tuple)]
        ours = [re.search(rb"UID (\d+)", head)[1].decode() for head, text in pairs if _mark(text) in kept]
        gone = self.dice.sample(ours, len(ours) // 5)
        if gone:
            client.uid("STORE", ",".join(gone), "+FLAGS", "(\\Deleted)")
            client.expunge()
            self.expunged += len(gone)
        client.logout()

    def number_anew(self) -> None:
        """The server's numbers mean nothing any more (RFC 3501, 2.3.1.1)."""
        new = str(int(time.time()) + 1000 + self.renumbered)
        self.dovecot.doveadm("mailbox", "update", "--uid-validity", new, "-u", self.user, "INBOX")
        self.renumbered += 1


def _campaign(
    name: str, mails: int, kills: int, processes: list[Process], rows: Rows, dovecot: Dovecot, user: str
) -> None:
    print(f"\n{name}: {mails} mails, {kills} kills, seed {SEED} (repeat with TRESSE_SEED={SEED})", flush=True)
    dice, posted, began = random.Random(SEED), marked_mails(mails, SEED), time.monotonic()
    sender, somebody = Sender(dovecot, user, posted), Somebody(dovecot, user, rows, dice)
    sender.start()
    renumber = {kills // 3, 2 * kills // 3} if kills > 10 else {kills // 2}
    busy = 0
    for process in processes:
        process.start()
    try:
        for n in range(kills):
            sender.allowed = mails * (n + 1) // kills
            until(lambda: all(p.started() for p in processes), 60, "the hub to start")
            if n in renumber:
                somebody.number_anew()
            busy += _one_kill(dice.choice(processes), rows, sender, dice.uniform(0.0, 1.0 if kills <= 10 else 3.0))
            if n % 2 == 0:
                somebody.clean_up()
            if kills > 10 and n % 10 == 9:
                print(
                    f"  {n + 1} of {kills} kills, {rows.number('SELECT count(*) FROM raw')} mails kept, "
                    f"{time.monotonic() - began:.0f} s",
                    flush=True,
                )
        # Few kills may all come before anything is on the timeline; once at least, somebody removes what is.
        half = "half of the mails to be on the timeline"
        until(lambda: rows.number("SELECT count(*) FROM message") >= mails // 2, 60 + mails / 20, half)
        somebody.clean_up()
        until(lambda: sender.error or not sender.is_alive(), 120, "all mails to be put into the mailbox")
        assert sender.error is None, sender.error
        until(
            lambda: rows.number("SELECT count(*) FROM raw") >= mails and rows.quiet(),
            60 + mails / 20,
            "all mails to be kept and read",
            lambda: (rows.number("SELECT count(*) FROM raw"), rows.work_left()),
        )
        time.sleep(1.5)  # a poll more: what would come twice comes now
        for process in processes:
            assert process.alive()
            process.stop()
    finally:
        stop_all(processes)
    figures = judge(rows, posted)
    summary(
        name,
        SEED,
        mails=mails,
        kills=kills,
        kills_with_mails_on_the_way=busy,
        renumbered=somebody.renumbered,
        expunged_by_others=somebody.expunged,
        **figures,
        seconds=round(time.monotonic() - began, 1),
    )
    assert figures["lost"] == figures["doubled"] == 0
    assert somebody.expunged
    if kills > 10:  # of a few, all may meet a hub that just waits
        assert busy > kills // 10, "most kills met nothing that was on the way"


def _one_kill(victim: Process, rows: Rows, sender: Sender, life: float) -> bool:
    """Kill after `life` seconds; returns whether mails were waiting to be fetched or read just then."""
    time.sleep(life)
    sent, kept, left = sender.sent, rows.number("SELECT count(*) FROM raw"), rows.work_left()["steps"]
    victim.kill()
    victim.start()
    return kept < sent or left > 0


def judge(rows: Rows, posted: list[tuple[str, bytes]]) -> dict[str, int]:
    """What is missing and what is there twice, as bytes and on the timeline."""
    marks = {hashlib.sha256(data).hexdigest(): mark for mark, data in posted}
    assert len(marks) == len(posted)
    raws = Counter(digest for (digest,) in rows.all("SELECT sha256 FROM raw WHERE instance = 'box'"))
    seen: Counter[str] = Counter()
    wrong = 0
    for digest, subject in rows.all(
        "SELECT r.sha256, m.subject FROM message m JOIN raw r ON r.id = m.raw_id WHERE m.direction = 'in'"
    ):
        seen[marks.get(digest, "unknown")] += 1
        wrong += marks.get(digest) not in subject.split()
    lost = {m for d, m in marks.items() if not raws[d] or not seen[m]}
    twice = {marks.get(d, d) for d, count in raws.items() if count > 1 or d not in marks}
    twice |= {m for m, count in seen.items() if count > 1}
    copies = rows.number("SELECT count(*) FROM message_copy")
    assert wrong == copies == 0, (wrong, copies)
    assert not rows.number("SELECT count(*) FROM step")
    if lost or twice:
        print("lost:", sorted(lost)[:20], "doubled:", sorted(twice)[:20])
    return {"lost": len(lost), "doubled": len(twice)}


def _embedded(tmp_path: Path, dovecot: Dovecot, mails: int, kills: int) -> None:
    user = dovecot.new_mailbox()
    config = _write(tmp_path, CONFIG.format(user=user, password=PASSWORD, port=dovecot.imap, after="seen"))
    rows = Rows(tmp_path / "var" / "tresse.db")
    _campaign("intake, embedded", mails, kills, [Process(config, "hub", "worker")], rows, dovecot, user)


def _distributed(tmp_path: Path, dovecot: Dovecot, postgres, mails: int, kills: int) -> None:
    user, url = dovecot.new_mailbox(), postgres.new_hub_database()
    text = CONFIG.format(user=user, password=PASSWORD, port=dovecot.imap, after="nothing") + ON_POSTGRESQL.format(
        url=url
    )
    config = _write(tmp_path, text)
    rows = Rows(url.replace("+psycopg", ""))
    workers = [Process(config, f"worker{n}", "worker") for n in (1, 2)]
    _campaign("intake, distributed", mails, kills, workers, rows, dovecot, user)


def _write(folder: Path, text: str) -> Path:
    config = folder / "hub.toml"
    config.write_text(text, "utf-8")
    config.chmod(0o600)  # a password stands in it
    return config


def test_embedded(tmp_path, dovecot):
    _embedded(tmp_path, dovecot, 250, 5)


def test_distributed(tmp_path, dovecot, postgres):
    _distributed(tmp_path, dovecot, postgres, 250, 5)


MAILS, KILLS = int(os.environ.get("TRESSE_MAILS", "10000")), int(os.environ.get("TRESSE_KILLS", "100"))


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_embedded_long(tmp_path, dovecot):
    _embedded(tmp_path, dovecot, MAILS, KILLS)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_distributed_long(tmp_path, dovecot, postgres):
    _distributed(tmp_path, dovecot, postgres, MAILS, KILLS)
