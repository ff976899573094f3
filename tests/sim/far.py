"""The world outside, with a memory of its own: what the judge counts, it counts here.

Every call and every effect is appended to a list with the time it happened. A far side may be told
to misbehave (`moods.py`): it is down, loses an answer after (or long before) the effect, refuses,
hangs, answers nonsense, or its plugin has a bug.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from hub.sdk import AuthError, Profile, Raw, Rejected, Unavailable
from tests.sim.crash import Crash, Points
from tests.sim.moods import Moods

SETTLE = {"desk": 5.0, "helpdesk": 20.0, "box": 3.0}
"""Seconds an interrupted call may still be at work, of the sides that can be asked."""


@dataclass
class Call:
    """One call as the far side saw it; `outcome` is empty while it is under way."""

    at: float
    side: str
    ability: str
    key: str
    outcome: str = ""


@dataclass(frozen=True)
class Effect:
    """Something that happened over there and stays."""

    at: float
    side: str
    ability: str
    key: str
    place: str = ""
    words: str = ""


class Hang(BaseException):
    """The call does not return within its limit; `take` happens over there at `at`, if at all."""

    def __init__(self, seconds: float, end: Callable[[], None]) -> None:
        super().__init__(seconds)
        self.seconds, self.end = seconds, end


@dataclass
class Mailbox:
    """Mails in the order they arrived, under keys that a renumbering changes."""

    mails: list[Raw] = field(default_factory=list)
    validity: int = 1
    first: int = 0
    """Mails before this one were taken away by us, after they were told to be stored."""
    removes: bool = False

    def key(self, place: int) -> str:
        return f"{self.validity}:{place}"


class Far:
    """All far sides of one simulation."""

    def __init__(self, dice: random.Random, points: Points, now: Callable[[], float]) -> None:
        self.dice, self.points, self.now = dice, points, now
        self.moods = Moods(dice, now)
        self.calls: list[Call] = []
        self.effects: list[Effect] = []
        self.under_way: list[Call] = []
        self.later: list[tuple[float, int, Callable[[], Any]]] = []
        self.boxes = {"support": Mailbox(), "contact": Mailbox(removes=True), "box": Mailbox()}
        self.tickets: dict[str, dict[str, str]] = {"desk": {}, "helpdesk": {}}
        self.replies: dict[str, list[Raw]] = {"desk": [], "helpdesk": []}
        self.profiles: list[Profile] = []
        self.voice: str | None = ""
        self.mended = False
        """Whether the reader's bug was mended (mails that were unreadable can be read)."""
        self.meanwhile: Callable[[], None] = lambda: None
        self.told: Callable[[str], None] = lambda _what: None
        self.late_effects = True
        self.known_tickets: Callable[[str], list[str]] = lambda _side: []
        """The tickets whose number the hub has heard: a lie about others nobody could notice."""

    # -- calls -----------------------------------------------------------------------------

    def call(self, side: str, ability: str, key: str, take: Callable[[], Any], garbage: Any = None) -> Any:
        """One call of the hub: `take` does over there what is asked, and returns the answer."""
        call = Call(self.now(), side, ability, key)
        self.calls.append(call)
        self.under_way.append(call)
        try:
            self.meanwhile()
            return self._answer(call, take, garbage)
        except Crash:
            call.outcome = call.outcome or "crash"
            raise
        finally:
            self.under_way.remove(call)
            if key or call.outcome != "ok":
                self.told(f"   {side}.{ability} {key}: {call.outcome}")

    def _answer(self, call: Call, take: Callable[[], Any], garbage: Any) -> Any:
        self._leave(call, take)
        mood = self.moods.of(call.side, writes=bool(call.key))
        if mood == "":
            answer = take()
            self._return(call)
            call.outcome = "ok"
            return answer
        if call.ability in ("poll", "changes") and mood in ("hang", "rejected", "garbage"):
            mood = "down"  # no thread of its own, nothing to refuse
        call.outcome = mood
        if mood == "garbage":
            take()
            return garbage() if callable(garbage) else garbage
        self._fail(call, mood, take)
        return None

    def _leave(self, call: Call, take: Callable[[], Any]) -> None:
        """The request may leave and its sender die: it is then still at work over there for a while."""
        try:
            self.points.here(f"before {call.side}.{call.ability} took effect")
        except Crash:
            self._maybe_later(call, take)
            raise

    def _return(self, call: Call) -> None:
        self.points.here(f"after {call.side}.{call.ability}, before its answer was read")

    def _maybe_later(self, call: Call, take: Callable[[], Any]) -> None:
        settle = SETTLE.get(call.side, 0.0)
        if call.key and settle and self.late_effects and self.dice.random() < 0.6:
            self.after(self.dice.uniform(0, settle * 0.99), take)

    def _fail(self, call: Call, mood: str, take: Callable[[], Any]) -> NoReturn:
        if mood == "down":
            raise Unavailable("connection refused", retry_after=self.dice.choice([None, None, 3.0]))
        if mood == "auth":
            raise AuthError("the password was refused")
        if mood == "rejected":
            raise Rejected("not this one")
        if mood == "bug":
            if self.dice.random() < 0.5:
                take()
            raise KeyError("a customer's private words")
        if mood == "lost":
            if self.dice.random() < 0.5:
                take()
            else:
                self._maybe_later(call, take)
            raise Unavailable("read timed out", maybe_done=True)
        assert mood == "hang", mood
        self._hang(call, take)

    def _hang(self, call: Call, take: Callable[[], Any]) -> NoReturn:
        seconds = self.dice.choice([12.0, 30.0, 90.0])
        if call.key and self.dice.random() < 0.6:
            at = self.dice.uniform(0, seconds * 0.99)
            entry = self.after(at, take)

            def end() -> None:
                """The caller died: what was still under way has `settle` seconds left, or never happens."""
                if entry in self.later:
                    self.later.remove(entry)
                    self._maybe_later(call, take)
        else:

            def end() -> None:
                """Nothing was under way."""

        raise Hang(seconds, end)

    def after(self, seconds: float, take: Callable[[], Any]) -> tuple[float, int, Callable[[], Any]]:
        """Something happens over there by itself, `seconds` from now."""
        entry = (self.now() + seconds, len(self.effects) + len(self.later) * 1000, take)
        self.later.append(entry)
        return entry

    def time_passed(self) -> None:
        """What was still at work over there and is due by now takes effect."""
        due = sorted((one for one in self.later if one[0] <= self.now()), key=lambda one: one[:2])
        for entry in due:
            if entry in self.later:
                self.later.remove(entry)
                entry[2]()
                self.told("   (an interrupted call takes effect)")

    # -- what stays over there -----------------------------------------------------------------

    def take(self, side: str, ability: str, key: str, place: str = "", words: str = "") -> str:
        """Append an effect; returns its id over there."""
        self.effects.append(Effect(self.now(), side, ability, key, place, words))
        return f"{ability}-{len(self.effects)}@{side}"

    def effect(self, side: str, key: str) -> str | None:
        """What a search by the effect's mark finds."""
        for number, one in enumerate(self.effects, 1):
            if one.side == side and one.key == key:
                return f"{one.ability}-{number}@{side}"
        return None

    def ticket_of(self, side: str, case: str) -> str | None:
        """What a search by the case's number finds: the first ticket."""
        return next((number for number, ticket in self.tickets[side].items() if ticket["case"] == case), None)

    def open_ticket(self, side: str, case: str, key: str, first: str) -> str:
        """A desk asks nobody whether it has such a ticket already."""
        number = f"{len(self.tickets[side]) + 1}"
        self.tickets[side][number] = {"case": case, "first": first}
        self.take(side, "save_case", key, number, first)
        return number

    # -- what comes from there -------------------------------------------------------------------

    def mail(self, box: str, said: dict[str, Any], received: str) -> None:
        """A mail arrives in a mailbox."""
        data = f"From: {said['from']}\n{json.dumps(said, sort_keys=True)}".encode()
        self.boxes[box].mails.append(Raw("", data, {"received": received}))

    def reply(self, side: str, said: dict[str, Any]) -> None:
        """An agent answers in a desk."""
        found = self.replies[side]
        found.append(Raw(f"r{len(found)}", json.dumps(said, sort_keys=True).encode()))
