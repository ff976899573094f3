"""`tresse demo`: a hub with an invented shop, started in this process; it sends nothing to anybody."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Self

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from hub import log
from hub.app import Hub, open_hub
from hub.config import load
from hub.daemon import Web, listen_on
from hub.demo.answering import Agents
from hub.demo.figures import figures
from hub.demo.later import Trickle, ring_and_fill_in
from hub.demo.post import Letter, letters
from hub.demo.shop import add_people, put, set_up

HOST = "127.0.0.1"
PAUSE = 6.0
"""Seconds between two things that happen while you watch."""
SETTLED = 30.0
"""Seconds that the first post may take before the address is shown all the same."""
QUIET = 4
"""Looks in a row without anything to do: by then every source has been polled again."""


def run_demo(
    duration: float | None = None,
    port: int | None = None,
    directory: Path | None = None,
    *,
    json_output: bool = False,
) -> None:
    """Run the demo until Ctrl-C, or for `duration` seconds, then print what happened.

    `directory` keeps everything (a second start goes on there); without it a temporary one is
    used and removed. `port` is a free one unless named. Raises ConfigError when it is taken.
    """
    log.configure("warning")
    console = Console(stderr=True)
    begun = time.monotonic()
    with ExitStack() as leaving:
        ended = leaving.enter_context(Ended())
        home = directory or Path(tempfile.mkdtemp(prefix="tresse-demo-"))
        if directory is None:
            leaving.callback(shutil.rmtree, home, ignore_errors=True)
        home.mkdir(parents=True, exist_ok=True)
        server = listen_on(HOST, port or 0)
        leaving.callback(server.close)
        number = server.getsockname()[1]
        password = secrets.token_urlsafe(12)
        with _progress(console) as progress:
            hub = _open(home, number, password, progress)
            leaving.callback(hub.stop)
            web = Web(hub, server)
            web.start()
            leaving.callback(web.stop)
            hub.start()
            _first_post(hub, home, number, progress, ended.event)
        console.print(_welcome(number, password, home, time.monotonic() - begun))
        agents = Agents(hub.store, home)
        Trickle(home, number, agents.answer_one, _pause(duration)).until(ended.event, duration)
        found = figures(hub.store) | {"seconds": round(time.monotonic() - begun, 1)}
    _report(found, console, as_json=json_output or duration is not None)


class Ended:
    """An event that Ctrl-C and SIGTERM set, instead of tearing the hub down where it stands."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def __enter__(self) -> Self:
        self._before = {s: signal.signal(s, self._end) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        self.event.set()


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"),
        console=console, transient=not console.is_terminal,
    )  # fmt: skip


def _open(home: Path, port: int, password: str, progress: Progress) -> Hub:
    task = progress.add_task("Furnishing the shop", total=3, note="")
    now = datetime.now(UTC)
    config = load(set_up(home, port, now))
    progress.update(task, advance=1, description="Opening the hub", note="60 answers")
    hub = open_hub(config)
    progress.update(task, advance=1, description="Two agents come to work")
    add_people(hub.store, password, now)
    progress.update(task, advance=1, description="The shop is open", note="")
    return hub


def _first_post(hub: Hub, home: Path, port: int, progress: Progress, ended: threading.Event) -> None:
    """The post of the last ten days in the order it came, answers included; then the first calls and entries."""
    post = [letter for letter in letters(datetime.now(UTC)) if letter.at is not None]
    task = progress.add_task("Reading the post of ten days", total=len(post), note="")
    deadline = time.monotonic() + SETTLED
    for wave in _waves(post):
        for letter in wave:
            put(home, letter)
        progress.update(task, advance=len(wave))
        _settle(hub, progress, task, ended, deadline)
    progress.update(task, description="Read the post of ten days")
    ring_and_fill_in(home, port)
    _settle(hub, progress, task, ended, deadline)


def _waves(post: list[Letter]) -> list[list[Letter]]:
    """Letters that may be read together: an answer follows what it answers, and comes before what follows."""
    waves: list[list[Letter]] = [[]]
    for letter in post:
        if waves[-1] and waves[-1][-1].sent != letter.sent:
            waves.append([])
        waves[-1].append(letter)
    return waves


def _settle(hub: Hub, progress: Progress, task: TaskID, ended: threading.Event, deadline: float) -> None:
    """Wait until everything that came in is worked through; say meanwhile how far it is."""
    quiet = 0
    while quiet < QUIET and not ended.wait(0.2) and time.monotonic() < deadline:
        now = figures(hub.store)
        progress.update(task, note=f"{now['cases']} cases, {now['suggestions']} suggestions")
        busy = now["still_to_do"] or now["deliveries"].get("waiting") or now["deliveries"].get("sending")
        quiet = 0 if busy else quiet + 1


def _pause(duration: float | None) -> float:
    """Shorter where the demo ends soon, so that everything is seen."""
    return PAUSE if duration is None else min(PAUSE, max(0.2, duration / 30))


def _welcome(port: int, password: str, home: Path, seconds: float) -> Panel:
    return Panel(
        f"[bold]http://{HOST}:{port}[/bold]\n\n"
        f"log-in     demo\npassword   [bold]{password}[/bold]   (made for this start)\n\n"
        f"drafts     {home}/Maildir/.Drafts\nsettings   {home}/hub.toml\n\n"
        "More post comes in while you watch. Nothing is sent to anybody. Ctrl-C ends the demo.",
        title=f"Maison Lavande is open (after {seconds:.0f} s)",
        expand=False,
    )


def _report(found: dict[str, object], console: Console, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
        return
    for name, value in found.items():
        console.print(f"{name.replace('_', ' '):>28}  {value}")
