"""What became of everything, from the far side's log; of the hub's own word only what it calls unsure.

A *lane* is one case at one far side. What a desk is owed for each message of a thread, in this order: the case
saved, the words added (not for the first message: the case begins with them), the answers shown. A blind sender
is owed one acknowledgement for each thread.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

Line = dict[str, Any]
STEPS = ("save_case", "add_message", "show")


def figures(seconds: Sequence[float]) -> str:
    """p50, p99 and the largest of some seconds."""
    if not seconds:
        return "-"
    rising = sorted(seconds)
    return f"{quantile(rising, 0.5):.2f} / {quantile(rising, 0.99):.2f} / {rising[-1]:.2f} s"


def quantile(rising: Sequence[float], share: float) -> float:
    """Of sorted values."""
    return rising[min(len(rising) - 1, int(len(rising) * share))]


@dataclass
class Verdict:
    """The counts of one campaign. `lost`, `by_key`, `by_meaning`, `order`, `repeated`, `hidden` must be 0."""

    messages: int = 0
    kills: int = 0
    lost: int = 0
    by_key: int = 0
    by_meaning: int = 0
    order: int = 0
    repeated: int = 0
    """Sends that a blind far side saw again."""
    hidden: int = 0
    """Sends whose answer was lost and that the hub does not call unsure."""
    unsure: int = 0
    in_flight: int = 0
    """Blind sends that were under way when their process was killed, or whose answer was lost."""
    calls: int = 0
    cut: int = 0
    """Calls into desks that were under way when their process was killed."""
    raw_repeats: int = 0
    """Writing calls for a thing whose effect was there already: what a desk without keys would see twice."""
    failed: int = 0
    seconds: float = 0.0
    recovery: list[float] = field(default_factory=list)
    """After each kill, seconds until the next call for something that waited."""
    lanes: list[float] = field(default_factory=list)
    """For each lane that was cut, seconds until its next call."""
    first: list[str] = field(default_factory=list)
    """Of each kind of trouble, some cases to look at."""

    def blame(self, kind: str, what: object) -> None:
        """Count one, and remember the first of them."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.first) < 12:
            self.first.append(f"{kind}: {what}")

    @property
    def clean(self) -> bool:
        return not (self.lost or self.by_key or self.by_meaning or self.order or self.repeated or self.hidden)

    def summary(self, name: str) -> str:
        """One line."""
        return (
            f"{name}: {self.messages} messages, {self.calls} calls ({self.failed} failed), {self.kills} kills, "
            f"{self.seconds:.0f} s; lost {self.lost}, doubled by key {self.by_key}, by meaning {self.by_meaning}, "
            f"order broken {self.order}, blind sends repeated {self.repeated}, in flight {self.in_flight}, "
            f"unsure {self.unsure}, in flight but not unsure {self.hidden}; desk calls cut {self.cut}, raw repeats "
            f"{self.raw_repeats}; recovery p50/p99/max {figures(self.recovery)}, of the lanes cut "
            f"{figures(self.lanes)}"
        )

    def json(self) -> str:
        return json.dumps(asdict(self))


def judge(
    lines: Iterable[Line], unsure: Iterable[Line], desks: Mapping[str, Collection[str]], *, sends: bool = True
) -> Verdict:
    """Judge everything that was ever written. `unsure`: the hub's deliveries in that state; `desks`: their feeds."""
    seen = list(lines)
    found = Verdict(messages=sum(line["e"] == "wrote" for line in seen))
    found.seconds = seen[-1]["t"] - seen[0]["t"] if seen else 0.0
    threads = _threads(seen, {feed for feeds in desks.values() for feed in feeds})
    for desk, feeds in desks.items():
        _desk(found, [line for line in seen if line.get("at") == f"desk/{desk}"], _threads(seen, feeds))
    calls, ends, kills = _calls(seen)
    found.calls, found.kills = len(calls), len(kills)
    found.failed = sum(end["out"] in ("refused", "lost", "dead") for end in ends.values())
    cut = _cut(calls, ends, kills)
    found.cut = sum(not calls[n]["at"].startswith("send/") for n, _ in cut)
    if sends:
        doubtful = {line["key"] for line in unsure}
        _sends(found, seen, threads, doubtful)
        _in_flight(found, calls, ends, [n for n, _ in cut], doubtful)
    _raw_repeats(found, seen)
    _recovery(found, seen, calls, kills, cut)
    return found


def _threads(seen: list[Line], feeds: Collection[str]) -> dict[str, list[str]]:
    """The marks of each thread that came through these feeds, in order."""
    threads: dict[str, list[str]] = defaultdict(list)
    for line in seen:
        if line["e"] == "wrote" and line["feed"] in feeds:
            threads[line["thread"]].append(line["mark"])
    return threads


def latencies(lines: Iterable[Line], desks: Collection[str], marks: str = "") -> dict[str, list[float]]:
    """Seconds from a message in its feed to the case saved at a desk, by the phase in which it was written.

    `marks`: only messages whose mark begins so. A test begins a phase with a note.
    """
    phase, written = "", {}
    found: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        if line["e"] == "phase":
            phase = line["name"]
        elif line["e"] == "wrote" and line["mark"].startswith(marks):
            written[line["mark"]] = phase, line["t"]
        elif line["e"] == "effect" and line["what"] == "save_case" and line["at"].partition("/")[2] in desks:
            began, at = written.get(line["mark"], ("", 0.0))
            if at:
                found[began].append(line["t"] - at)
    return found


def most_in_a_second(times: Sequence[float]) -> int:
    """The most of rising `times` that any second holds."""
    first, most = 0, 0
    for n, at in enumerate(times):
        while times[first] <= at - 1.0:
            first += 1
        most = max(most, n - first + 1)
    return most


def _desk(found: Verdict, lines: list[Line], threads: dict[str, list[str]]) -> None:
    effects = [line for line in lines if line["e"] == "effect"]
    for key, times in Counter(line["key"] for line in effects).items():
        if times > 1:
            found.blame("by_key", (lines[0]["at"], key, times))
    done = Counter((line["what"], line["mark"]) for line in effects)
    for what, times in done.items():
        if times > 1:
            found.blame("by_meaning", what)
    cases = {line["mark"]: line["case"] for line in effects}
    by_case: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in effects:
        by_case[line["case"]].append((line["what"], line["mark"]))
    for marks in threads.values():
        owed = [(what, mark) for n, mark in enumerate(marks) for what in STEPS if n or what != "add_message"]
        for one in owed:
            if one not in done:
                found.blame("lost", one)
        homes = {cases.get(mark, "") for mark in marks} - {""}
        if len(homes) > 1:
            found.blame("by_meaning", ("two cases of one thread", sorted(homes)))
        place = {one: n for n, one in enumerate(owed)}
        happened = [place[one] for home in homes for one in dict.fromkeys(by_case[home]) if one in place]
        for before, after in pairwise(happened):
            if after < before:
                found.blame("order", (owed[before], owed[after]))


def _calls(seen: list[Line]) -> tuple[dict[int, Line], dict[int, Line], list[tuple[Line, Line]]]:
    """Calls and their ends by number, and each kill with the moment at which the process was gone."""
    calls = {line["n"]: line for line in seen if line["e"] == "call"}
    ends = {line["n"]: line for line in seen if line["e"] == "end"}
    gone = {line["who"]: line for line in seen if line["e"] == "killed"}
    return calls, ends, [(line, gone[line["who"]]) for line in seen if line["e"] == "kill"]


def _cut(calls: dict[int, Line], ends: dict[int, Line], kills: list[tuple[Line, Line]]) -> list[tuple[int, Line]]:
    """The calls under way when their process was killed, with that kill."""
    killed = {begin["who"]: (begin, gone) for begin, gone in kills}
    found = []
    for n, call in calls.items():
        if call["who"] in killed:
            begin, gone = killed[call["who"]]
            if n not in ends or (call["t"] <= begin["t"] and ends[n]["t"] > gone["t"]):
                found.append((n, gone))
    return found


def _sends(found: Verdict, seen: list[Line], threads: dict[str, list[str]], doubtful: set[str]) -> None:
    sent = Counter(line["mark"] for line in seen if line["e"] == "effect" and line["what"] == "send")
    calls = {line["mark"]: line["key"] for line in seen if line["e"] == "call" and line["what"] == "send"}
    found.unsure = len(doubtful)
    unseen = 0
    for marks in threads.values():
        times = sum(sent[mark] for mark in marks)
        key = next((calls[mark] for mark in marks if mark in calls), "")
        if times > 1:
            found.blame("repeated", marks)
        if times == 0 and key not in doubtful:
            unseen += 1  # the hub died between its own note and the call: the far side has no key to compare
            missing = marks[0]
    called = set(calls.values())
    for _ in range(max(0, unseen - len(doubtful - called))):
        found.blame("lost", ("send", missing))


def _in_flight(
    found: Verdict, calls: dict[int, Line], ends: dict[int, Line], cut: list[int], doubtful: set[str]
) -> None:
    answers_lost = {n for n, end in ends.items() if end["out"] == "lost"}
    for n in sorted(answers_lost | set(cut)):
        if calls[n]["what"] == "send":
            found.in_flight += 1
            if calls[n]["key"] not in doubtful:
                found.blame("hidden", calls[n])


def _raw_repeats(found: Verdict, seen: list[Line]) -> None:
    done: set[tuple[str, str]] = set()
    for line in seen:
        if line["e"] == "call" and line["what"] != "find":
            found.raw_repeats += (line["at"], line["key"]) in done
        elif line["e"] == "effect":
            done.add((line["at"], line["key"]))


def _recovery(
    found: Verdict,
    seen: list[Line],
    calls: dict[int, Line],
    kills: list[tuple[Line, Line]],
    cut: list[tuple[int, Line]],
) -> None:
    """A call is for something that waited when the message was written before the kill."""
    written = {line["mark"]: line["t"] for line in seen if line["e"] == "wrote"}
    rising = sorted(calls.values(), key=lambda call: call["t"])
    nexts = [begin["t"] for begin, _ in kills[1:]] + [float("inf")]
    for (begin, gone), end in zip(kills, nexts, strict=False):
        after = (c for c in rising if c["t"] > gone["t"] and written.get(c["mark"], 0) < begin["t"])
        first = next(after, None)
        if first is not None and first["t"] < end:  # killed again before: that is the next one's recovery
            found.recovery.append(first["t"] - gone["t"])
    for n, gone in cut:
        lane = calls[n]["at"], calls[n]["mark"]
        after = (c for c in rising if c["t"] > gone["t"] and (c["at"], c["mark"]) == lane)
        if not lane[0].startswith("send/") and (first := next(after, None)) is not None:
            found.lanes.append(first["t"] - gone["t"])
