"""A hub of real processes, and the far side beside it; both can be killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import requests

from tests.campaign.daemons import RUN, SOON_TAKEN_UP
from tests.campaign.judge import Verdict
from tests.servers.ports import answers, free_ports, wait_for

ROOT = Path(__file__).resolve().parents[2]
TRESSE = Path(sys.executable).with_name("tresse")
SEED = int(os.environ.get("TRESSE_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)

CONFIG = """
[hub]
data = "var"
address = "http://127.0.0.1:{web}"
[web]
listen = "127.0.0.1:{web}"
[log]
format = "json"
[acknowledge]
per_sender_day = 1000000
per_day = 1000000
"""
ENTRY = "[tresse]\ncampaign = tresse_campaign\n"
METADATA = "Metadata-Version: 2.1\nName: tresse-campaign\nVersion: 1.0\n"


def size(name: str, usual: int) -> int:
    """How much of it: TRESSE_MESSAGES, TRESSE_KILLS, TRESSE_ROUNDS, TRESSE_EACH, TRESSE_SECONDS, TRESSE_CUTS."""
    return int(os.environ.get(f"TRESSE_{name}", "0")) or usual


def keep(name: str, found: Verdict) -> None:
    """The whole verdict as JSON, where TRESSE_CAMPAIGN names a folder."""
    if folder := os.environ.get("TRESSE_CAMPAIGN"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name.replace(', ', '-').replace(' ', '-')}.json").write_text(found.json() + "\n")


class Progress:
    """A line every ten seconds, so that nobody thinks it hangs."""

    def __init__(self, name: str) -> None:
        self._name, self._began, self._said = name, time.monotonic(), time.monotonic()
        self._most = 0

    def most(self, count: int) -> int:
        """The largest count so far."""
        self._most = max(self._most, count)
        return self._most

    def say(self, done: float, of: float, what: str) -> None:
        now = time.monotonic()
        if now - self._said >= 10:
            self._said = now
            print(f"  {self._name}: {done:g} of {of:g} {what}, {now - self._began:.0f} s", flush=True)


class Far:
    """The far side's process, and the log that it writes."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.port, self.log = free_ports(1)[0], folder / "far.jsonl"
        self.url = f"http://127.0.0.1:{self.port}"
        self.log.touch()
        self._own = os.open(self.log, os.O_WRONLY | os.O_APPEND)
        command = [sys.executable, "-m", "tests.campaign.far", str(self.port), str(self.log), str(seed)]
        self._process = subprocess.Popen(command, cwd=ROOT)
        self._http = requests.Session()
        self._read, self._wrote = 0, defaultdict[str, list[str]](list)
        self._shown, self._open = set[tuple[str, str]](), set[int]()
        wait_for(lambda: answers(self.port), 20, "the far side")

    def mood(self, at: str, **mood: Any) -> None:
        """How an endpoint behaves from now on: fail, delay (and whether it is skewed), dead, keyed."""
        assert self._http.post(f"{self.url}/mood", json={"at": at, **mood}, timeout=20).ok

    def write(self, feed: str, messages: list[dict[str, Any]]) -> None:
        """Customers write."""
        assert self._http.post(f"{self.url}/write", json={"feed": feed, "messages": messages}, timeout=60).ok

    def note(self, **facts: Any) -> None:
        """What the test itself did: a kill, the beginning of a phase."""
        os.write(self._own, json.dumps({"t": round(time.time(), 4), **facts}).encode() + b"\n")

    def lines(self) -> Iterator[dict[str, Any]]:
        """All that was seen so far."""
        with self.log.open() as file:
            for line in file:
                if line.endswith("\n"):
                    yield json.loads(line)

    def missing(self, desks: Mapping[str, Collection[str]]) -> int:
        """How many answers are not shown yet, of those that each desk is owed for the messages of its feeds."""
        self._catch_up()
        owed = {(f"desk/{desk}", mark) for desk, feeds in desks.items() for feed in feeds for mark in self._wrote[feed]}
        return len(owed - self._shown)

    def under_way(self) -> int:
        """How many calls have begun and not ended."""
        self._catch_up()
        return len(self._open)

    def _catch_up(self) -> None:
        """What was written down since the last look: a long campaign's log is not read twice a second from its start."""
        with self.log.open("rb") as file:
            file.seek(self._read)
            for told in file:
                if not told.endswith(b"\n"):
                    break
                self._read += len(told)
                line = json.loads(told)
                if line["e"] == "wrote":
                    self._wrote[line["feed"]].append(line["mark"])
                elif line["e"] == "effect" and line["what"] == "show":
                    self._shown.add((line["at"], line["mark"]))
                elif line["e"] == "call":
                    self._open.add(line["n"])
                elif line["e"] == "end":
                    self._open.discard(line["n"])

    def close(self) -> None:
        self._http.close()
        os.close(self._own)
        self._process.terminate()
        self._process.wait(10)


class Process:
    """One `tresse run` or `tresse worker`. Each start has a log of its own."""

    def __init__(self, place: Place, name: str) -> None:
        self.place, self.name, self.life = place, name, f"{name}.{time.monotonic_ns()}"
        self._log = place.folder / f"{self.life}.log"
        environment = {**place.environment, "PGOPTIONS": f"-c campaign.life={self.life}"}  # see commits.py
        with self._log.open("wb") as log:
            command = [sys.executable, "-c", SOON_TAKEN_UP + RUN] if place.quick else [str(TRESSE)]
            command.append(place.command)
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=place.folder)
        self.pid = self._process.pid

    def ready(self) -> bool:
        """Whether it has started, by its own word."""
        assert self._process.poll() is None, self.log()[-3000:]
        return '"event": "started"' in self.log()

    def kill(self) -> None:
        """As the power would."""
        self.place.far.note(e="kill", who=self.pid)
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        self.place.far.note(e="killed", who=self.pid)

    def stop(self) -> float:
        """SIGTERM; returns the seconds until it was gone."""
        began = time.monotonic()
        self._process.terminate()
        self._process.wait(30)
        return time.monotonic() - began

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Whatever state it is in."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)

    def peak(self) -> float:
        """The most memory it ever had, in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def log(self) -> str:
        return self._log.read_text(errors="replace")


class Place:
    """A folder with a configuration, the plugin as an installed wheel has it, the far side, and the hub's processes."""

    def __init__(
        self, sections: str, *, database: str = "", engine: str = "distributed", quick: bool = False, seed: int = SEED
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tresse-k-"))
        self.far = Far(self.folder, seed)
        self.command = "worker" if database and engine == "distributed" else "run"
        self.database, self.quick = database, quick
        self.processes: dict[str, Process] = {}
        self._install()
        text = CONFIG.format(web=free_ports(1)[0]) + sections.replace("FAR", self.far.url)
        if database:
            text += f'[database]\nurl = "{database}"\n[engine]\nkind = "{engine}"\n'
        (self.folder / "hub.toml").write_text(text, "utf-8")

    def _install(self) -> None:
        site = self.folder / "site"
        shutil.copytree(ROOT / "tests" / "campaign" / "plugin", site)
        info = site / "tresse_campaign-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(METADATA)
        (info / "entry_points.txt").write_text(ENTRY)

    @property
    def hubs(self) -> tuple[str, ...]:
        """What to call its processes: of the distributed engine two, which share the work."""
        return ("one", "two") if self.command == "worker" else ("hub",)

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join((str(ROOT), str(self.folder / "site")))
        return {**os.environ, "PYTHONPATH": path, "TRESSE_CONFIG": str(self.folder / "hub.toml")}

    def start(self, *names: str) -> None:
        """Start processes, all at once, and wait until they are ready."""
        for name in names:
            self.processes[name] = Process(self, name)
        for name in names:
            wait_for(self.processes[name].ready, 60, f"{name} to start")

    def tell(self, *arguments: str) -> Any:
        """A command of the hub, its JSON."""
        command = [str(TRESSE), *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=120, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return json.loads(done.stdout)

    def tell_plainly(self, *arguments: str) -> None:
        """A command of the hub that has no JSON."""
        subprocess.run([str(TRESSE), *arguments], capture_output=True, env=self.environment, timeout=120, check=True)

    def deliveries(self, state: str) -> list[dict[str, Any]]:
        """The hub's own word: every delivery in `state`."""
        found: list[dict[str, Any]] = []
        before: list[str] = []
        while True:
            said = self.tell("deliveries", "--state", state, "--limit", "1000", *before)
            found += said["deliveries"]
            if not said["next"]:
                return found
            before = ["--before", str(said["next"])]

    def logs(self) -> str:
        """What all its processes ever said."""
        return "".join(file.read_text(errors="replace") for file in sorted(self.folder.glob("*.log")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for process in self.processes.values():
            process.end()
        self.far.close()
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            print(f"kept for a look: {self.folder}")


def settle(place: Place, desks: Mapping[str, Collection[str]], seconds: float) -> None:
    """Until every message reached its desks, and then until nothing is owed any more, by the hub's own word."""
    progress, end = Progress("settling"), time.monotonic() + seconds
    while time.monotonic() < end:
        missing = place.far.missing(desks)
        progress.say(done := progress.most(missing) - missing, done + missing, "answers shown")
        if not missing and not place.deliveries("waiting") and not place.deliveries("sending"):
            return
        time.sleep(0.5)
    print(f"still owed after {seconds:g} s: {place.deliveries('waiting')[:5]}")  # the judge says what is missing
