"""A hub over its lives: opened from the disk, driven in one thread, killed, opened again."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa

from hub.app import Hub, open_hub
from hub.config import load
from hub.engine.sources import Source, sources_of
from hub.reading import InProcess
from hub.registry import Registry
from hub.sdk import Reply, Request, Unavailable
from tests.lanes import Lanes
from tests.sim.crash import Crash, Points, dying
from tests.sim.far import Far
from tests.sim.parts import CLASSES, Here
from tests.sim.setting import BLIND, CONFIG, template
from tests.sim.threads import START, Hung, Inline, SimClock


class Life:
    """One simulation: the world outside, the hub of the day, and what was seen of both."""

    def __init__(self, seed: int) -> None:
        made = template()
        self.seed, self.dice = seed, random.Random(seed)
        self.lanes = bool(seed % 2)
        """Whether its hub works by its lanes' rows, as the distributed engine does, or looks at all rows."""
        self._hasty = contextlib.ExitStack()
        if seed // 2 % 2:  # of either engine's: who writes twice in a minute is a flood, and goes behind all others
            self._hasty.enter_context(mock.patch.multiple("hub.flow", FREE=0, STEP=timedelta(minutes=1)))
        self.folder = Path(tempfile.mkdtemp(prefix="sim", dir=made.parent))
        (self.folder / "var").mkdir()
        self.file = self.folder / "hub.toml"
        self.file.write_text(CONFIG.format(data=self.folder / "var", answers=made / "answers.csv"), "utf-8")
        for name in ("hub.key", "tresse.db"):
            shutil.copy(made / "var" / name, self.folder / "var" / name)
        self._beside = sqlite3.connect(self.folder / "var" / "tresse.db", isolation_level=None)
        self.config = load(self.file)
        self.clock, self.points = SimClock(), Points()
        self.far = Here.far = Far(self.dice, self.points, lambda: self.clock.true)
        self.history: list[str] = []
        self.violations: list[str] = []
        self.hung: list[Hung] = []
        self.depth = 0
        self.steps: list[Callable[[], None]] = []
        """What may happen while a call is under way (`run.py` fills it)."""
        self.may_unsure: set[str] = set()
        self.must_unsure: set[str] = set()
        self.seen_unsure: set[str] = set()
        self.resent: dict[str, int] = {}
        self.human: set[str] = set()
        """Keys that a human took up again: their order is the human's."""
        self.disk_trouble = 0.0
        self.far.told = self.points.told = self.tell
        self.far.meanwhile = self.meanwhile
        self.far.known_tickets = lambda side: [
            number for (number,) in self.rows("select remote_id from case_ref where instance = ? order by 1", side)
        ]
        self.points.disk = self._disk
        self.clock.passing = self._time_passed
        self._store = dying(self.points)
        self.hub: Hub
        self.open()

    def tell(self, what: str) -> None:
        """A line of the history."""
        at = START + timedelta(seconds=self.clock.true)
        self.history.append(f"{at:%d %H:%M:%S}.{at.microsecond // 100000} {'  ' * self.depth}{what}")

    def wrong(self, what: str) -> None:
        """A promise was broken."""
        self.tell(f"** {what}")
        if what not in self.violations:
            self.violations.append(what)

    # -- lives -----------------------------------------------------------------------------

    def open(self) -> None:
        """Start a process on what the disk holds; it may die while it starts."""
        while True:
            self.points.revive()
            self.depth = 0
            try:
                self._open()
                return
            except Crash:
                self._died()
            except sa.exc.OperationalError:
                self.tell("-- it does not start; its supervisor tries again")
                self.disk_trouble = 0.0

    def _open(self) -> None:
        with mock.patch("hub.app.Store", self._store):
            self.hub = open_hub(
                self.config,
                registry=Registry(_components=CLASSES),
                clock=self.clock,
                rng=random.Random(self.seed),
                threads=lambda _name, size: Inline(self, size),
                readers=InProcess,
            )
        self.engine = self._by_lanes() if self.lanes else self.hub.engine
        self.sources: list[Source] = sources_of(self.hub.parts, self.engine.wake, self.engine._stop)

    def _by_lanes(self) -> Lanes:
        try:
            return Lanes.of(self.hub)
        except BaseException:
            self._let_go()
            raise

    def _let_go(self) -> None:
        self.hub.store.close()
        self.hub._lock.release()

    def die(self) -> None:
        """As after `kill -9`: nothing is told to the old hub but to let go of its files."""
        self._let_go()
        self._died()
        self.open()

    def stop(self) -> None:
        """As after SIGTERM, and a start."""
        self.tell("the hub is stopped and started")
        self.hub.stop()
        self._died()
        self.open()

    def _died(self) -> None:
        for call in self.hung:
            call.hang.end()
        self.hung, self.depth = [], 0
        self._note_in_flight(died=True)

    def close(self) -> None:
        """Remove everything."""
        with contextlib.suppress(Exception):
            self._let_go()
        self._beside.close()
        self._hasty.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """What the disk holds, read beside the hub."""
        return self._beside.execute(sql, values).fetchall()

    def _note_in_flight(self, *, died: bool) -> None:
        """Which blind sends are under way, by the hub's own durable word and by the far side's."""
        states = dict(
            self.rows("select key, state from delivery where ability = 'send' and instance in (?, ?)", *BLIND)
        )
        sending = {key for key, state in states.items() if state == "sending"}
        self.may_unsure |= sending
        if not died:
            return
        self.must_unsure |= sending
        for call in self.far.calls:
            if call.ability == "send" and call.side in BLIND and call.outcome == "crash":
                call.outcome = "lost in a crash"
                if states.get(call.key) != "sending":
                    self.wrong(f"{call.key} was in flight and the disk says {states.get(call.key)}")

    # -- time and turns ------------------------------------------------------------------------

    def _disk(self) -> bool:
        if self.disk_trouble and self.dice.random() < self.disk_trouble:
            self._note_in_flight(died=False)
            return True
        return False

    def _time_passed(self) -> None:
        self.far.time_passed()
        for call in [one for one in self.hung if one.until <= self.clock.true]:
            self.hung.remove(call)
            call.set_exception(Unavailable("the connection was cut", maybe_done=True))

    def while_hanging(self, seconds: float) -> None:
        """One call hangs; everybody else goes on."""
        end = self.clock.true + seconds
        while self.clock.true < end:
            self.clock.pass_(min(2.0, end - self.clock.true))
            self.meanwhile(0.3)

    def meanwhile(self, chance: float = 0.08) -> None:
        """While a call is under way, other threads work: something may happen in the middle of it."""
        self.points.living()
        if self.depth < 2 and self.steps and self.dice.random() < chance:
            self.depth += 1
            try:
                self.dice.choice(self.steps)()
            finally:
                self.depth -= 1

    def tick(self, which: Callable[[Source], bool] = lambda _source: True) -> None:
        """Poll."""
        for source in self.sources:
            if which(source):
                with self.ill():
                    source.tick()

    def look(self) -> None:
        """Let the engine look at the rows until it finds nothing."""
        with self.ill():
            for _ in range(40):
                if not self.engine.look():
                    break
        self.seen()

    @contextlib.contextmanager
    def ill(self) -> Iterator[None]:
        """The dispatcher survives an ill database, and so does whoever clicked."""
        try:
            yield
        except sa.exc.OperationalError:
            self.tell("-- and it is told that the database does not answer")

    def seen(self) -> None:
        """What an admin sees under "unsure"."""
        shown = {key for (key,) in self.rows("select key from delivery where state = 'unsure'")}
        self.seen_unsure |= shown

    def push(self, request: Request) -> Reply | None:
        """What a shop's server hears; None when the line went dead."""
        return self.hub.accept("door", request)
