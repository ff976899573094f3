"""`make campaign`: every long test at full size, each in a process of its own.

    python -m tests.campaign [--at-once 2] [--only intake --only lease] [--into FOLDER]

What has to be right on a busy machine as well runs several at a time: recovery, stops and gaps are a busy machine's.
Where latencies are compared it is alone, at the end. The figures stand in FOLDER, and once more at the end.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMED = ("test_bomb", "test_slow")
"""Latencies are compared here: nothing else may run."""
LONGEST = ("test_pipeline", "test_database_deliveries", "test_sim_seeds", "test_intake", "test_lease", "test_machine")
"""They begin, so that none is left over at the end."""
AT_ONCE = max(2, os.cpu_count() or 1)
"""Half of their time they wait for something to end, to start or to be due; with more, two processors had no end."""
SKIPPED = re.compile(r"^SKIPPED \[\d+\] (.*)$")
PROGRESS = re.compile(r"  \w.* \d+ s$")
FIGURES = re.compile(r"^(?!E |>|\{| {4}).*\b(lost|overlapping|ratios?|violations?|places to die)\b")
PASSED = "passed"


@dataclass
class Job:
    """One test, or one file of short ones, as pytest names it."""

    test: str
    name: str
    minutes: float = 0.0
    result: str = ""
    skipped: str = ""
    """Why something of it was not run."""
    figures: dict[str, str] = field(default_factory=dict)
    """By the words before the first number: a line that comes again, further on, takes the place of the one before."""

    @property
    def place(self) -> tuple[bool, int]:
        """Where it stands in line."""
        named = [n for n, word in enumerate(LONGEST) if word in self.test]
        return any(word in self.test for word in TIMED), named[0] if named else len(LONGEST)


def main() -> int:
    """Run what is asked for; 1 where something failed."""
    asked = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    asked.add_argument("--at-once", type=int, default=AT_ONCE, help=f"how many at a time (here {AT_ONCE})")
    asked.add_argument("--only", action="append", default=[], help="those whose name has this in it")
    asked.add_argument("--into", type=Path, help="a folder for logs and figures")
    told = asked.parse_args()
    into = told.into or Path(tempfile.mkdtemp(prefix="tresse-campaign-"))
    into.mkdir(parents=True, exist_ok=True)
    jobs = sorted(_jobs(told.only), key=lambda job: job.place)
    if not jobs:
        print("No long test has that in its name; `pytest -m campaign --collect-only -q` lists them.")
        return 2
    print(f"{len(jobs)} campaigns, {told.at_once} at a time; logs and figures in {into}", flush=True)
    return Run(jobs, into).all(told.at_once)


def _jobs(only: Collection[str]) -> list[Job]:
    command = [sys.executable, "-m", "pytest", "-m", "campaign", "--collect-only", "-q", "-p", "no:cacheprovider"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tests = [line for line in listed.splitlines() if "::" in line]
    # A campaign with real servers goes by itself; of the rest a file is enough.
    found = dict.fromkeys(test if test.startswith("tests/campaign/") else test.partition("::")[0] for test in tests)
    return [Job(test, _name(test)) for test in found if not only or any(word in test for word in only)]


def _name(test: str) -> str:
    file, _, function = test.partition("::")
    where, what = Path(file).stem.removeprefix("test_"), function.removeprefix("test_").replace("_long", "")
    return re.sub(r"[\[\]_ ]+", " ", f"{where}, {what}").strip(" ,")


class Run:
    """All of them, and what is known so far."""

    def __init__(self, jobs: Sequence[Job], into: Path) -> None:
        self._jobs, self._into = jobs, into
        self._began, self._lock, self._ends = time.monotonic(), threading.Lock(), threading.Event()

    def all(self, at_once: int) -> int:
        """Those together, then those alone."""
        try:
            for many, timed in ((at_once, False), (1, True)):
                with ThreadPoolExecutor(many) as threads:
                    list(threads.map(self._one, [job for job in self._jobs if job.place[0] == timed]))
        except KeyboardInterrupt:
            self._ends.set()  # each of them has heard Ctrl-C as well, and stops its own servers
            self._say("broken off")
        self._tell()
        return int(any(job.result != PASSED for job in self._jobs))

    def _one(self, job: Job) -> None:
        if self._ends.is_set():
            return
        self._say(f"{job.name}: begins")
        began = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-m", "campaign", "-s", "-q", "-rs", "-p", "no:cacheprovider"]
        environment = {**os.environ, "TRESSE_CAMPAIGN": str(self._into), "PYTHONUNBUFFERED": "1"}
        pipe = subprocess.PIPE
        with (
            (self._into / f"{job.name}.log").open("w") as log,
            subprocess.Popen(
                [*command, job.test], cwd=ROOT, env=environment, stdout=pipe, stderr=subprocess.STDOUT, text=True
            ) as it,
        ):
            assert it.stdout is not None
            for line in it.stdout:
                log.write(line)
                log.flush()
                if found := PROGRESS.search(line):
                    self._say(found.group().strip())
                elif skipped := SKIPPED.match(line):
                    job.skipped = skipped[1]
                elif FIGURES.search(line):
                    job.figures[re.split(r"\d", line)[0]] = line.strip()
        job.result = PASSED if it.returncode == 0 else f"FAILED ({it.returncode})"
        if it.returncode == 0 and job.skipped:
            job.result = f"NOT RUN, at least in part: {job.skipped}"
        job.minutes = (time.monotonic() - began) / 60
        done = sum(bool(one.result) for one in self._jobs)
        self._say(f"{job.name}: {job.result} after {job.minutes:.1f} min; {done} of {len(self._jobs)} done")

    def _say(self, what: str) -> None:
        minutes = (time.monotonic() - self._began) / 60
        with self._lock:
            print(f"{minutes:5.1f} min  {what}", flush=True)

    def _tell(self) -> None:
        for job in self._jobs:
            print(f"\n{job.name}: {job.result or 'not run'}, {job.minutes:.1f} min")
            for line in job.figures.values():
                print(f"  {line}")
        good = sum(job.result == PASSED for job in self._jobs)
        print(f"\n{good} of {len(self._jobs)} passed in {(time.monotonic() - self._began) / 60:.0f} min: {self._into}")


if __name__ == "__main__":
    sys.exit(main())
