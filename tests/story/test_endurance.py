"""Step 8 of the story: killed at random moments, and servers that go away. Nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from email.message import Message
from itertools import pairwise

import pytest
import requests

from tests.story.shop import ALICE, Shop, eventually

pytestmark = pytest.mark.story

SEED = int(os.environ.get("TRESSE_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)


@pytest.fixture
def shop(tmp_path, story_servers):
    shop = Shop(tmp_path, *story_servers)
    yield shop
    shop.stop()


class Killer(threading.Thread):
    """Kills the daemon at random moments and starts it again at once."""

    def __init__(self, shop: Shop, kills: int, dice: random.Random) -> None:
        super().__init__(daemon=True)
        self.shop, self.left, self.dice = shop, kills, dice
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while self.left:
                time.sleep(self.dice.uniform(0.2, 2.5))
                self.shop.kill()
                self.left -= 1
                self.shop.start()
        except Exception as error:  # noqa: BLE001 - told by the test that waits for this thread
            self.error = error


def _reply_to(message_id: str) -> Message:
    parent = Message()
    parent["Message-ID"] = message_id
    return parent


def _form(shop: Shop, mark: str) -> None:
    """What a shop's page does: the same entry, with its own key, until somebody says 202."""

    def sent() -> bool:
        answer = shop.fill_form(
            name="Alice", email=ALICE, subject=f"formulaire {mark}", message=f"Une question {mark}", key=f"key-{mark}"
        )
        return answer.status_code == 202

    eventually(sent, 60, "the form to be taken")


@pytest.mark.timeout(900)
def test_killed_five_times(shop):
    _killed(shop, 5)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_killed_fifty_times(shop):
    _killed(shop, 50)


def _killed(shop: Shop, kills: int) -> None:
    """The story goes on while the daemon is killed at random moments; then the far sides are counted."""
    print(f"\nkills {kills}, seed {SEED} (repeat with TRESSE_SEED={SEED})")
    dice = random.Random(SEED)
    shop.start()
    killer = Killer(shop, kills, dice)
    killer.start()
    threads: list[list[str]] = []  # the marks of each case's messages, in order
    n = 0
    while killer.is_alive() or n < 6:
        n += 1
        assert killer.error is None, killer.error
        mark = f"zq{n:04}"
        threads.append([mark])
        first = shop.write(f"Bonjour, où est ma commande ? {mark}", f"Question {mark}")
        if n % 3 == 0:
            time.sleep(dice.uniform(0, 2))
            shop.write(f"Je précise {mark}b", f"Re: Question {mark}", answer_to=_reply_to(first))
            threads[-1].append(f"{mark}b")
        if n % 4 == 0:
            _form(shop, f"{mark}f")
            threads.append([f"{mark}f"])
        time.sleep(dice.uniform(0.5, 2.5))
    killer.join(60)
    assert killer.error is None
    _wait_until_quiet(shop)
    _judge(shop, threads)


def _wait_until_quiet(shop: Shop) -> None:
    """Until nothing is on its way any more, by the hub's own word; then the far sides are counted."""

    def quiet() -> bool:
        time.sleep(1)
        return all(not shop.api("deliveries", state=state)["deliveries"] for state in ("waiting", "sending"))

    eventually(lambda: quiet() and quiet() and quiet(), 240, "all deliveries to be done")


def _judge(shop: Shop, threads: list[list[str]]) -> None:
    tickets = shop.tickets()
    numbers = Counter(t["fields"]["Case"] for t in tickets)
    assert all(count == 1 for count in numbers.values()), numbers
    everything = {t["id"]: shop.rt.texts(t["id"], "Create") + shop.rt.texts(t["id"], "Correspond") for t in tickets}
    for marks in threads:
        homes = {mark: [i for i, said in everything.items() for text in said if _has(text, mark)] for mark in marks}
        assert all(len(found) == 1 for found in homes.values()), homes  # each word once, none lost
        assert len({found[0] for found in homes.values()}) == 1, homes  # all on one ticket
        order = [next(k for k, text in enumerate(everything[homes[marks[0]][0]]) if _has(text, m)) for m in marks]
        assert all(a < b for a, b in pairwise(order)), order
        comments = shop.rt.texts(homes[marks[0]][0], "Comment")
        assert len(comments) == len(marks), comments
    assert len(tickets) == len(threads)
    _judge_acknowledgements(shop, [marks[0] for marks in threads])


def _judge_acknowledgements(shop: Shop, marks: list[str]) -> None:
    got = Counter(mark for m in shop.acknowledgements() for mark in marks if _has(str(m["Subject"]), mark))
    assert all(count == 1 for count in got.values()), got
    unsure = {d["case_number"] for d in shop.api("deliveries", state="unsure")["deliveries"]}
    missing = {m for m in marks if not m.endswith("f") and m not in got}
    cases = {t["Subject"].removeprefix("Question "): t["fields"]["Case"] for t in shop.tickets()}
    assert {cases[m] for m in missing} <= unsure, (missing, unsure)
    assert not [m for m in got if m.endswith("f")]
    print(f"cases {len(marks)}, acknowledged {len(got)}, unsure {len(unsure)}, lost 0, doubled 0")


def _has(text: str, mark: str) -> bool:
    return mark in text.replace("\n", " ").split() or f" {mark} " in f" {text} ".replace("\n", " ").replace("[", " ")


def _lines(shop: Shop, instance: str, event: str) -> list[dict]:
    found = [json.loads(line) for line in shop.log().splitlines() if line.startswith("{")]
    return [line for line in found if line.get("instance") == instance and line.get("event") == event]


def test_the_desk_goes_away_and_comes_back(shop):
    """RT stopped for ten seconds: mail is read, acknowledged and shown; the ticket follows."""
    shop.start()
    shop.write("Bonjour, comment retourner un article ?", "Retour")
    eventually(lambda: len(shop.acknowledgements()) == 1, 30, "the first acknowledgement")
    shop.rt.stop()
    gone = time.monotonic()
    shop.write("Bonjour, quand serai-je remboursé ?", "Remboursement")
    eventually(lambda: len(shop.acknowledgements()) == 2, 20, "an acknowledgement while the desk is away")
    assert any(e["subject"] == "Remboursement" for e in shop.api("timeline", key=ALICE)["entries"])
    time.sleep(max(0, 10 - (time.monotonic() - gone)))
    shop.rt.start()
    eventually(lambda: [t for t in shop.tickets() if t["Subject"] == "Remboursement"], 60, "the ticket that was owed")
    eventually(lambda: _lines(shop, "rt", "returned"), 20, "the line that tells of the return")
    assert len(_lines(shop, "rt", "gone")) == 1
    assert len(_lines(shop, "rt", "returned")) == 1


def test_the_mailbox_goes_away_and_comes_back(shop):
    """Dovecot stopped for ten seconds: the form goes on into the desk; the mails follow."""
    shop.start()
    shop.write("Bonjour, comment retourner un article ?", "Retour")
    eventually(lambda: len(shop.acknowledgements()) == 1, 30, "the first acknowledgement")
    with shop.dovecot.outage():
        gone = time.monotonic()
        shop.write("Bonjour, quand serai-je remboursé ?", "Remboursement")  # Postfix keeps it in its queue
        _form(shop, "zqform")
        eventually(lambda: [t for t in shop.tickets() if "zqform" in t["Subject"]], 30, "the form's ticket")
        time.sleep(max(0, 10 - (time.monotonic() - gone)))
    eventually(lambda: [t for t in shop.tickets() if t["Subject"] == "Remboursement"], 60, "the mail that waited")
    eventually(lambda: _lines(shop, "support", "returned"), 20, "the line that tells of the return")
    assert len(_lines(shop, "support", "gone")) == 1
    assert len(_lines(shop, "support", "returned")) == 1


def test_a_desk_that_greets_by_itself_is_recognised(shop):
    """A queue with its own automatic reply: one alert, and the hub is silent from the first case on."""
    shop.config.write_text(shop.config.read_text("utf-8").replace('queue = "Support"', 'queue = "Noisy"'), "utf-8")
    shop.start()
    shop.write("Bonjour, comment retourner un article ?", "Retour")
    eventually(lambda: len(shop.inbox()) == 1, 30, "the desk's own automatic reply")
    shop.write("Bonjour, quand serai-je remboursé ?", "Remboursement")
    eventually(lambda: len(shop.inbox()) == 2, 30, "the desk's second automatic reply")
    _wait_until_quiet(shop)
    assert all("X-RT-Loop-Prevention" in m for m in shop.inbox())
    alerts = [a for a in shop.api("alerts")["alerts"] if a["instance"] == "rt"]
    assert len(alerts) == 1


def test_sigterm_ends_within_five_seconds_with_work_under_way(shop):
    shop.start()
    for n in range(5):
        shop.write(f"Bonjour, comment retourner un article ? zq{n:04}", f"Retour zq{n:04}")
    eventually(shop.tickets, 30, "a first ticket")
    assert shop.stop() < 5
    shop.start()
    _wait_until_quiet(shop)
    _judge(shop, [[f"zq{n:04}"] for n in range(5)])


def test_two_daemons_on_one_database_are_one_too_many(shop):
    shop.start()
    other = shop.config.with_name("other.toml")
    other.write_text(shop.config.read_text("utf-8").replace(f"127.0.0.1:{shop.web}", "127.0.0.1:0"), "utf-8")
    shop.config = other
    said = _stderr(shop)
    assert "another hub" in said
    assert requests.get(f"{shop.url}/readyz", timeout=5).ok


def _stderr(shop: Shop) -> str:
    import subprocess

    from tests.story.shop import TRESSE

    command = [str(TRESSE), "run"]
    done = subprocess.run(command, capture_output=True, text=True, env=shop.environment, timeout=30, check=False)
    assert done.returncode != 0
    return done.stdout + done.stderr
