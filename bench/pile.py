"""A hub whose far sides are empty functions, for `bench.engines`: a pile of messages and a desk that takes all.

python -m bench.pile CONFIGURATION [held]     one engine process, until SIGTERM; prints what it cost

"held": the desk answers no call before SIGUSR1.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

from bench.spent import cpu, peak
from bench.words import message
from hub.sdk import CRM, Channel, Event, Message, Page, Raw, Settings

PAGE = 100
ANSWERS = threading.Event()
"""Whether the desk answers."""

CONFIG = """
[hub]
data = "{folder}/var"
languages = ["fr", "en"]
[log]
level = "warning"
[acknowledge]
by = "nobody"
[channels.pile]
use = "pile"
[crm.sink]
use = "sink"
threads = 4
timeout = "1h"
"""
POSTGRES = """
[database]
url = "{url}"
[engine]
kind = "{kind}"
"""


class Nothing(Settings):
    """No settings."""


class Pile(Channel[Nothing]):
    """Messages as JSON."""

    name = "pile"
    settings_model = Nothing

    def check(self) -> None: ...

    def read(self, raw: Raw) -> list[Message | Event]:
        return [message(json.loads(raw.data), self.context.now(), "Colis")]


class Sink(CRM[Nothing]):
    """A desk that takes everything at once."""

    name = "sink"
    settings_model = Nothing
    settle: ClassVar[float] = 1.0

    def check(self) -> None: ...

    def save_case(self, case: Any, effect: Any) -> str:
        ANSWERS.wait()
        return str(case.number)

    def show(self, case: Any, suggestions: Any, effect: Any) -> str:
        ANSWERS.wait()
        return "shown"

    def find(self, ability: str, effect: Any) -> str | None:
        return None


def opened(path: Path, *, engine: bool) -> Any:
    """A hub with these far sides."""
    from hub.app import open_hub
    from hub.config import load
    from hub.registry import Registry

    registry = Registry(_components={("channels", "pile"): Pile, ("crm", "sink"): Sink})
    return open_hub(load(path), engine=engine, registry=registry)


def fill(path: Path, count: int) -> dict[str, float]:
    """Keep `count` messages, in pages as a poll brings them."""
    from hub.pipeline.receive import receive

    rnd, hub = random.Random(3), opened(path, engine=False)
    words = "Bonjour, je vous écris au sujet de ma commande, qui tarde un peu. " * 8
    begun, spent = time.perf_counter(), time.process_time()
    for first in range(0, count, PAGE):
        raws = []
        for n in range(first, min(first + PAGE, count)):
            said = {"id": str(n), "from": f"c{rnd.randrange(count)}@post.example", "text": words}
            raws.append(Raw(str(n), json.dumps(said).encode()))
        receive(hub.store, "pile", Page(tuple(raws), {"n": first}), hub.clock.now(), "poll", flow=hub.parts.flow)
    figures = {"wall": time.perf_counter() - begun, "cpu": time.process_time() - spent}
    hub.stop()
    return figures


def work(path: Path, *, held: bool) -> None:
    """One engine process, until it is told to end."""
    hub, ended = opened(path, engine=True), threading.Event()
    if not held:
        ANSWERS.set()
    signal.signal(signal.SIGUSR1, lambda *_: ANSWERS.set())
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    hub.start()
    before = cpu()  # what a start costs is no message's
    print("ready", flush=True)
    ended.wait()
    spent = {"cpu": cpu() - before, "rss": peak()}  # while the readers live
    ANSWERS.set()
    hub.stop()
    print(json.dumps(spent), flush=True)
    os._exit(0)


if __name__ == "__main__":
    # By a name under which a reader's process can import its classes: here the module is called __main__.
    importlib.import_module("bench.pile").work(Path(sys.argv[1]), held="held" in sys.argv[2:])
