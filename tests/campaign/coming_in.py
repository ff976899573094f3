"""A hub that things come into while something happens to it: senders, their mails, and what became of them."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.campaign.daemons import Process, Rows, ready, stop_all, until

CONFIG = """
[hub]
name = "Campaign"
data = "var"
keep_free = "0B"                       # it is the full disk itself that is tested
address = "http://127.0.0.1:{web}"
[web]
listen = "127.0.0.1:{web}"
[log]
format = "json"
[acknowledge]
by = "nobody"
[channels.website]
use = "form"
minimum_fill = "0s"
rate = 1000000
[channels.box]
use = "maildir"
address = "support@shop.example"
path = "mail"
poll = "1s"
"""


class Pusher(threading.Thread):
    """One sender: an entry with a new key, again and again until it is taken; then the next."""

    def __init__(self, url: str, name: str, ended: threading.Event, pause: float, instance: str = "website") -> None:
        super().__init__(daemon=True, name=name)
        self.address = f"{url}/in/{instance}"
        self.ended, self.pause = ended, pause
        self.taken: list[tuple[str, float, float]] = []
        """Marks that were answered 2xx, with when that request began and when the answer came."""
        self.refused: Counter[str] = Counter()
        self.longest = 0.0
        """The longest time that one entry needed to be taken, over all its tries."""

    def run(self) -> None:
        n = 0
        with requests.Session() as session:
            while not self.ended.is_set():
                mark = f"zq{self.name}x{n:06}"
                first = time.monotonic()
                while not self._taken(session, mark):
                    time.sleep(0.15)
                self.longest = max(self.longest, time.monotonic() - first)
                n += 1
                time.sleep(self.pause)

    def _taken(self, session: requests.Session, mark: str) -> bool:
        entry = {"name": "A", "email": f"{mark}@customer.example", "subject": mark, "message": f"Hello {mark}"}
        began = time.monotonic()
        try:
            answer = session.post(self.address, json={**entry, "key": mark}, timeout=60)
        except requests.RequestException as error:
            self.refused[type(error).__name__] += 1
            return False
        if not answer.ok:
            self.refused[str(answer.status_code)] += 1
            return False
        self.taken.append((mark, began, time.monotonic()))
        return True


class Postman(threading.Thread):
    """Mails that fall into a Maildir."""

    def __init__(self, maildir: Path, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self.maildir, self.ended, self.count = maildir, ended, 0
        for name in ("cur", "new", "tmp"):
            (maildir / name).mkdir(parents=True)

    def run(self) -> None:
        while not self.ended.is_set():
            mark = f"zqmail{self.count:06}"
            mail = f"From: c{self.count}@customer.example\r\nTo: support@shop.example\r\nSubject: {mark}\r\n"
            file = self.maildir / "tmp" / f"{time.time():.6f}.{self.count}.test"
            file.write_bytes(f"{mail}Message-ID: <{mark}@customer.example>\r\n\r\nHello {mark}\r\n".encode())
            file.rename(self.maildir / "new" / file.name)
            self.count += 1
            time.sleep(0.1)


class Ground:
    """A hub under way, those who push to it, and the times at which nothing can be kept."""

    def __init__(self, folder: Path, text: str, kinds: dict[str, list[str]], rows: Rows, web: int) -> None:
        self.rows, self.url, self.ended = rows, f"http://127.0.0.1:{web}", threading.Event()
        config = folder / "hub.toml"
        config.write_text(text, "utf-8")
        config.chmod(0o600)
        self.processes = [Process(config, name, *arguments) for name, arguments in kinds.items()]
        self.pushers = [Pusher(self.url, f"p{n}", self.ended, 0.02) for n in range(3)]
        self.postman = Postman(folder / "mail", self.ended)
        self.away: list[tuple[float, float]] = []
        self.unkept: set[str] = set()
        self.kept_meanwhile = 0
        self.letters: set[str] = set()
        """Marks of what comes in another way."""

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Everything runs inside; at the end nobody pushes any more, and all is done."""
        try:
            for process in self.processes:
                process.start()
            until(lambda: ready(self.url), 60, "the hub to be ready")
            for one in (*self.pushers, self.postman):
                one.start()
            until(lambda: self.count() > 5, 20, "something to be taken")
            yield
            self.settle()
        finally:
            self.ended.set()
            stop_all(self.processes)

    def count(self) -> int:
        """How many entries were taken so far."""
        return sum(len(p.taken) for p in self.pushers)

    def flows(self, seconds: float = 30) -> None:
        """Wait until things are taken again."""
        before = self.count()
        until(lambda: self.count() > before + 3, seconds, "things to be taken again", lambda: self.pushers[0].refused)

    @contextmanager
    def nothing_kept(self) -> Iterator[None]:
        """Inside, the database can keep nothing: an entry that is taken within is a lie."""
        began = time.monotonic()
        yield
        self.away.append((began, time.monotonic()))

    @contextmanager
    def hardly_room(self) -> Iterator[None]:
        """Inside, some things may find room yet: what was taken and does not stand in a row at the end is a lie."""
        began = time.monotonic()
        yield
        ended = time.monotonic()
        rows = self.rows.all("SELECT data FROM raw WHERE instance = 'website'")
        kept = {mark.decode() for (data,) in rows for mark in re.findall(rb"zqp\d+x\d{6}", bytes(data))}
        taken = {mark for p in self.pushers for mark, since, at in p.taken if began < since and at < ended}
        self.unkept |= taken - kept
        self.kept_meanwhile += len(taken & kept)

    def settle(self) -> None:
        """The end of pushing, and of what is to be done."""
        self.flows()
        self.ended.set()
        for one in (*self.pushers, self.postman):
            one.join(70)
            assert not one.is_alive()
        self.drain()
        assert all(p.alive() for p in self.processes)
        # A connection that was cut while it lay in the pool costs one answer, and then it is another one.
        until(lambda: ready(self.url), 20, "the hub to call itself ready")

    def drain(self) -> None:
        """Wait until all is done. Fails when nothing was done for a minute: a busy machine takes its time."""
        left, since = self.left(), time.monotonic()
        while left:
            time.sleep(0.1)
            if (now := self.left()) != left:
                left, since = now, time.monotonic()
            assert time.monotonic() < since + 60, f"nothing was done for a minute: {self.rows.work_left()}"

    def left(self) -> list[int]:
        """What is still to be done; nothing when all is."""
        if self.quiet():
            return []
        return [self.rows.number("SELECT count(*) FROM raw"), *self.rows.work_left().values()]

    def quiet(self) -> bool:
        """Whether everything came in and is done."""
        here = self.rows.number("SELECT count(*) FROM raw WHERE instance = 'box'")
        return here >= self.postman.count and self.rows.quiet()

    def judge(self) -> dict[str, object]:
        """What is missing, and what is there twice."""
        marks = {mark for p in self.pushers for mark, _, _ in p.taken}
        marks |= {f"zqmail{n:06}" for n in range(self.postman.count)}
        seen = Counter(s for (s,) in self.rows.all("SELECT subject FROM message WHERE direction = 'in'"))
        marks |= self.letters
        raws = self.rows.number("SELECT count(*) FROM raw")
        lies = [
            mark for p in self.pushers for mark, began, ended in p.taken
            for gone, back in self.away if gone < began and ended < back
        ]  # fmt: skip
        assert set(seen) <= marks, sorted(set(seen) - marks)[:10]
        refused = sum((p.refused for p in self.pushers), Counter[str]())
        return {
            "pushed": self.count(), "mails": self.postman.count, "refused": dict(refused),
            "lost": len(marks - set(seen)), "doubled": sum(c > 1 for c in seen.values()) + raws - len(marks),
            "acknowledged_unkept": len(lies) + len(self.unkept),
            "kept_in_the_last_room": self.kept_meanwhile, "longest_wait_s": round(max(p.longest for p in self.pushers), 1),
        }  # fmt: skip
