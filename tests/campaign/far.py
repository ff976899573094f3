"""The world outside, in a process of its own: desks, a blind sender and feeds of messages over HTTP.

It writes down what it saw, one JSON line for each call, its effect and its end, and that log is all that
`judge.py` believes. Whoever tests tells it how to behave (`POST /mood`) and what customers write (`POST /write`).

    python -m tests.campaign.far PORT LOG SEED
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

SAID_TOGETHER = 40
"""Messages in an answer of a feed."""


class World:
    """What exists out there. Its lock makes a line of the log and what it tells of one thing."""

    def __init__(self, log: Path, seed: int) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.dice = random.Random(seed)
        self.lock = threading.Lock()
        self.calls = count(1)
        self.moods: dict[str, dict[str, Any]] = {}
        self.feeds: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.effects: dict[tuple[str, str], str] = {}
        self.cases: dict[tuple[str, str], str] = {}
        self.made: dict[str, int] = defaultdict(int)

    def tell(self, **facts: Any) -> None:
        """One line, whole or not at all."""
        os.write(self._log, json.dumps({"t": round(time.time(), 4), **facts}).encode() + b"\n")

    def mood(self, at: str) -> dict[str, Any]:
        return self.moods.get(at, {})

    def write(self, feed: str, messages: list[dict[str, Any]]) -> None:
        """Customers write."""
        with self.lock:
            self.feeds[feed] += messages
            for one in messages:
                self.tell(e="wrote", feed=feed, mark=one["mark"], thread=one["thread"])

    def poll(self, feed: str, cursor: int) -> dict[str, Any]:
        with self.lock:
            some = self.feeds[feed][cursor : cursor + SAID_TOGETHER]
            return {"messages": some, "cursor": cursor + len(some)}

    def act(self, number: int, at: str, what: str, said: dict[str, Any]) -> str:
        """The effect of a call: once for each key where this endpoint keeps keys, else each time."""
        with self.lock:
            known = self.effects.get((at, said["key"]))
            if known is not None and self.mood(at).get("keyed", True) and not at.startswith("send/"):
                return known
            if what == "save_case" and (at, said["case"]) in self.cases:
                result = self.cases[at, said["case"]]  # an upsert: the case that is there, brought up to date
            else:
                self.made[at] += 1
                result = f"{at.partition('/')[2]}-{self.made[at]}"
            if what == "save_case":
                self.cases[at, said["case"]] = result
            self.effects[at, said["key"]] = result
            self.tell(e="effect", n=number, at=at, what=what, key=said["key"], case=said["case"], mark=said["mark"])
            return result


class Doors(BaseHTTPRequestHandler):
    """HTTP/1.1 with connections that stay open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120
    world: World

    def log_message(self, *_: object) -> None:
        """Our own log says more."""

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        kind, _, rest = self.path.strip("/").partition("/")
        if kind == "mood":
            self.world.moods[said.pop("at")] = said
            self._answer(200, {})
        elif kind == "write":
            self.world.write(said["feed"], said["messages"])
            self._answer(200, {})
        elif kind == "feed":
            self._feed(rest, said)
        else:
            at, _, what = self.path.strip("/").rpartition("/")
            self._call(at, what, said)

    def _feed(self, feed: str, said: dict[str, Any]) -> None:
        mood = self.world.mood(f"feed/{feed}")
        began = time.time()
        answer = self.world.poll(feed, said["cursor"])
        self.world.tell(e="asked", feed=feed, who=said["who"], cursor=said["cursor"], count=len(answer["messages"]))
        time.sleep(self._delay(mood))
        self.world.tell(
            e="poll",
            began=round(began, 4),
            feed=feed,
            who=said["who"],
            cursor=said["cursor"],
            count=len(answer["messages"]),
        )
        self._answer(200, answer)

    def _call(self, at: str, what: str, said: dict[str, Any]) -> None:
        world, mood = self.world, self.world.mood(at)
        number = next(world.calls)
        told = {key: said.get(key, "") for key in ("who", "key", "case", "mark", "ability")}
        world.tell(e="call", n=number, at=at, what=what, **told)
        if mood.get("dead"):
            self._end(number, "dead", 503)
            return
        time.sleep(self._delay(mood))
        if what == "who":
            self._end(number, "nobody", 200)
            return
        if what == "find":
            found = world.effects.get((at, said["key"]))
            self._end(number, "found" if found else "none", 200, {"id": found})
            return
        bad = world.dice.random()
        fail = mood.get("fail", 0.0)
        if bad < fail / 2:
            self._end(number, "refused", 503)
            return
        result = world.act(number, at, what, said)
        if bad < fail:
            world.tell(e="end", n=number, out="lost")
            self.close_connection = True  # done, and nobody hears of it
            return
        self._end(number, "ok", 200, {"id": result})

    def _delay(self, mood: dict[str, Any]) -> float:
        low, high = mood.get("delay", (0.0, 0.0))
        if mood.get("skewed"):  # most calls are quick, a few take as long as it goes
            return low * (high / low) ** self.world.dice.random()
        return self.world.dice.uniform(low, high)

    def _end(self, number: int, out: str, status: int, body: dict[str, Any] | None = None) -> None:
        self.world.tell(e="end", n=number, out=out)
        self._answer(status, body or {})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        try:
            self.send_response_only(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            self.close_connection = True  # the hub was killed meanwhile


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A connection that was cut is what these tests do."""


def main() -> None:
    port, log, seed = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    Doors.world = World(log, seed)
    Server(("127.0.0.1", port), Doors).serve_forever()


if __name__ == "__main__":
    main()
