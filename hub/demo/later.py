"""What happens in the shop while you watch: post, form entries, calls, agents' answers, every few seconds.

Forms and calls go through the hub's own addresses over HTTP, as they would from a web site and
a phone system.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import requests

from hub.demo.post import agents, letters, table
from hub.demo.shop import PHONES, put

FORM = "formulaire"
_WAIT = 10.0
"""Seconds an answer of our own web server may take."""


class Trickle:
    """Post, form entries, calls and answers in turn, one every `pause` seconds."""

    def __init__(self, home: Path, port: int, answer: Callable[[], object], pause: float) -> None:
        self._home, self._port, self._answer, self._pause = home, port, answer, pause

    def until(self, ended: threading.Event, duration: float | None) -> None:
        """Go on until `ended` is set or `duration` seconds have passed; then there may be more left."""
        last = None if duration is None else time.monotonic() + duration
        for happen in self._all():
            if ended.wait(self._until_next(last)) or (last is not None and time.monotonic() >= last):
                return
            happen()
        ended.wait(None if last is None else max(0.0, last - time.monotonic()))

    def _until_next(self, last: float | None) -> float:
        return self._pause if last is None else max(0.0, min(self._pause, last - time.monotonic()))

    def _all(self) -> Iterator[Callable[[], object]]:
        """Everything that is still to come, the kinds mixed."""
        late = [letter for letter in letters(datetime.now(UTC)) if letter.at is None]
        post = [partial(put, self._home, letter) for letter in late]
        other = [act for act, later in _entries(self._home, self._port) if later]
        for one, two in zip_longest(post, other):
            yield from (act for act in (one, two, self._answer) if act is not None)


def ring_and_fill_in(home: Path, port: int) -> None:
    """The form entries and calls that are there when the shop opens."""
    for act, later in _entries(home, port):
        if not later:
            act()


def _entries(home: Path, port: int) -> Iterator[tuple[Callable[[], object], bool]]:
    other = table("other.toml")
    token = (home / "standard-token").read_text()
    for n, entry in enumerate(other["call"]):
        agent = agents().get(entry.get("agent", ""), {})
        yield partial(_ring, port, token, n, entry, agent), bool(entry.get("later"))
    for entry in other["form"]:
        yield partial(_fill_in, port, entry), bool(entry.get("later"))


def _ring(port: int, token: str, n: int, entry: Mapping[str, Any], agent: Mapping[str, str]) -> None:
    """A call's stages as a phone system pushes them (plugins/cti/push/README.md)."""
    call = {"callId": f"demo-{n}-{entry['from']}", "direction": "in", "from": entry["from"], "to": "0465710100"}
    answered = {"answeringNumber": agent["extension"], "user": [agent["name"]]} if agent else {}
    stages: list[dict[str, Any]] = [{"event": "newCall"}]
    if agent:
        stages.append({"event": "answer", **answered})
    cause = entry.get("cause", "normalClearing")
    stages.append({"event": "hangup", "cause": cause, "duration": entry.get("seconds", 0), **answered})
    for stage in stages:
        _post(port, f"{PHONES}/{token}", json=call | stage)


def _fill_in(port: int, entry: Mapping[str, Any]) -> None:
    _post(port, FORM, json={k: v for k, v in entry.items() if k != "later"})


def _post(port: int, path: str, **body: Any) -> None:
    """Raises requests' own errors: our own server refusing our own demo is a bug to be seen."""
    with requests.Session() as session:
        session.trust_env = False  # a proxy of the environment has no business on loopback
        answer = session.post(f"http://127.0.0.1:{port}/in/{path}", timeout=_WAIT, **body)
    answer.raise_for_status()
