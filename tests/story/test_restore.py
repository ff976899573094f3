"""The restore drill: a backup while the hub works, a lost disk, and the way back. Counted in the customer's mailbox.

pytest -s tests/story/test_restore.py      prints minutes at risk, times, and what was sent again
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.install import need
from tests.servers.postfix import Postfix
from tests.story.shop import ALICE, CONFIG, Shop, eventually

pytestmark = pytest.mark.server

CLOCKS = 6.0
"""Seconds by which clocks may differ; the hub's minute (hub/pipeline/restored.py) would make this test a long one."""
_QUICK = f"""
from datetime import timedelta
import hub.pipeline.restored as restored
restored.CLOCKS = timedelta(seconds={CLOCKS})
import sys
from hub.cli import main
sys.argv[0] = "tresse"
main()
"""
MARK = re.compile(r"zq\d{4}")


class Drill(Shop):
    """The shop without a desk and without a web site: mail in, acknowledgements out."""

    command = (sys.executable, "-c", _QUICK)

    def __init__(self, folder: Path, dovecot: Dovecot, postfix: Postfix) -> None:
        super().__init__(folder, dovecot, postfix, None)  # type: ignore[arg-type]
        self.marks: list[str] = []

    def _files(self) -> None:
        kept = CONFIG.partition("[channels.website]")[0].replace('file = "answers.csv"', "")
        values = {"web": self.web, "imap": self.dovecot.imap, "smtp": self.postfix.smtp}
        self.config.write_text(kept.format(**values), "utf-8")
        secret = self.folder / "mail.secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o600)

    def send(self, count: int, pause: float = 0.0) -> list[str]:
        """So many customers' first mails; returns their marks."""
        fresh = [f"zq{len(self.marks) + n:04}" for n in range(count)]
        for mark in fresh:
            self.marks.append(mark)
            self.write(f"Bonjour, où est ma commande ? {mark}", f"Question {mark}")
            time.sleep(pause)
        return fresh

    def acknowledged(self) -> Counter[str]:
        """How often each mail was acknowledged, by the customer's mailbox."""
        subjects = [str(m["Subject"]) for m in self.acknowledgements()]
        return Counter(found[0] for s in subjects if (found := MARK.search(s)))

    def known(self) -> dict[str, str]:
        """What the hub has on its timeline: marks, and their case's number."""
        found, query = {}, {"key": ALICE, "limit": "200"}
        for entry in self.api("timeline", **query)["entries"]:
            if entry.get("direction") == "in" and (mark := MARK.search(entry["subject"])):
                found[mark[0]] = entry["case_number"]
        return found

    def unsure(self) -> list[dict[str, Any]]:
        return list(self.api("deliveries", state="unsure", limit="200")["deliveries"])

    def quiet(self) -> bool:
        return all(not self.api("deliveries", state=s)["deliveries"] for s in ("waiting", "sending"))


@pytest.fixture
def drill(tmp_path):
    for name in ("dovecot", "postfix"):
        need(name)
    with Dovecot() as dovecot, Postfix(dovecot) as postfix:
        shop = Drill(tmp_path, dovecot, postfix)
        yield shop
        shop.stop()


@pytest.mark.timeout(400)
def test_nothing_is_acknowledged_twice_after_a_restore(drill):
    drill.start()
    before = drill.send(8)
    eventually(lambda: set(drill.acknowledged()) >= set(before), 60, "the first acknowledgements")
    busy = threading.Thread(target=drill.send, args=(12, 0.1))
    busy.start()
    backup = json.loads(drill.tell("backup", str(drill.folder / "elsewhere"), "--json"))
    busy.join()
    lost = drill.send(10)
    eventually(lambda: set(drill.acknowledged()) >= set(lost), 60, "acknowledgements that no backup knows of")
    in_flight = drill.send(5)
    drill.kill()
    crashed, ended = datetime.now(UTC), time.monotonic()
    had = drill.acknowledged()
    shutil.rmtree(drill.folder / "var")

    while_away = drill.send(2)
    told = json.loads(drill.tell("restore", backup["backup"], "--stopped", crashed.isoformat(), "--json"))
    drill._token = ""  # of the lost database
    drill.start()
    back = time.monotonic() - ended
    time.sleep(max(0.0, CLOCKS + 2.0 - (time.monotonic() - ended)))
    fresh = drill.send(3)

    eventually(lambda: set(drill.known()) >= set(drill.marks), 60, "every mail to be on the timeline")
    eventually(lambda: drill.quiet() and drill.quiet(), 60, "the hub to be done")
    now, numbers = drill.acknowledged(), drill.known()
    assert set(numbers) >= set(drill.marks), "lost"
    assert max(now.values()) == 1, "acknowledged twice"
    assert all(now[mark] == 1 for mark in fresh), "new mail is acknowledged as ever"
    assert all(now[mark] == had[mark] for mark in (*lost, *in_flight)), "nothing of the lost time was sent by itself"
    assert set(before) <= set(now)
    undecided = {d["case_number"] for d in drill.unsure()}
    missing = {mark for mark in drill.marks if mark not in now}
    assert {numbers[m] for m in (*lost, *in_flight, *while_away)} <= undecided
    assert {numbers[m] for m in missing} <= undecided, "who has none is shown to a person"
    print(
        f"\nbackup {backup['seconds']} s; at risk {told['minutes_at_risk']} min; restore {told['seconds']} s, "
        f"serving again {back:.1f} s after the crash; mails {len(drill.marks)}, lost 0, "
        f"undecided {len(undecided)}, acknowledged again 0"
    )
    _decide(drill, numbers, missing)


def _decide(drill: Drill, numbers: dict[str, str], missing: set[str]) -> None:
    """A person looks into the mailbox: who has none gets one, and then everybody has exactly one."""
    without = {numbers[m] for m in missing}
    for row in drill.unsure():
        if row["case_number"] in without:
            drill.tell("replay", "unsure", str(row["id"]), "--not-sent")
    eventually(lambda: set(drill.acknowledged()) >= set(drill.marks), 60, "the acknowledgements that were missing")
    assert set(drill.acknowledged().values()) == {1}
