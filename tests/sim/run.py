"""One seed: a while of life with everything going wrong, then everything heals, and the judge counts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from hub.instances import IN, OUT
from tests.sim.admin import Admin, Fate
from tests.sim.crash import Crash
from tests.sim.judge import judge, judge_before_the_human
from tests.sim.life import Life
from tests.sim.people import People

STEPS = 36
"""Things that happen before everything heals."""
PATIENCE = 1500
"""Turns in which a hub whose world is well must come to rest."""


@dataclass
class Result:
    """What became of one seed."""

    seed: int
    violations: list[str]
    history: list[str] = field(repr=False)
    events: int = 0
    crashes: int = 0
    calls: int = 0
    effects: int = 0
    repeated: int = 0
    points: int = 0


class Simulation:
    """One life with everybody in it."""

    def __init__(self, seed: int) -> None:
        self.life = Life(seed)
        self.people, self.admin, self.fate = People(self.life), Admin(self.life), Fate(self.life)
        dice = self.life.dice
        self.life.far.moods.base = dice.choice((0.0, 0.0, 0.05, 0.2))
        self.life.far.voice = dice.choice(("", "", "", None, "its queue greets"))
        self.crashes = dice.choice((0.0, 0.05, 0.15))
        """How often a crash is on its way."""
        people, admin, life = self.people, self.admin, self.life
        life.steps = [people.write, admin.click, admin.click, life.look, life.look, self.tick, people.push]
        self.events = 0

    def tick(self) -> None:
        """One source is polled."""
        if self.life.sources:
            one = self.life.dice.choice(self.life.sources)
            self.life.tick(lambda source: source is one)

    def step(self) -> None:
        """Something happens."""
        people, fate, life = self.people, self.fate, self.life
        acts: list[tuple[Callable[[], None], int]] = [
            (people.write, 14),
            (people.fill_form, 2),
            (people.push, 1),
            (people.knock, 1),
            (people.agent_answers, 6),
            (people.edit_answers, 2),
            (self.admin.click, 6),
            (fate.mood, 6),
            (fate.renumber, 1),
            (fate.disk, 2),
            (fate.set_clock, 1),
            (fate.wait, 14),
            (self.tick, 10),
            (life.tick, 6),
            (life.look, 24),
            (life.stop, 1),
        ]
        if life.dice.random() < self.crashes:
            fate.crash()
        act = life.dice.choices([act for act, _ in acts], [weight for _, weight in acts])[0]
        self.events += 1
        self.do(act)

    def do(self, act: Callable[[], None]) -> None:
        """Do it; where the process dies of it, start another one."""
        with contextlib.suppress(Crash):
            act()
        if self.life.points.dead:  # whoever asked may have heard of it as a failure, and gone on
            self.life.die()

    def heal(self) -> None:
        """Everything is well again."""
        life = self.life
        life.tell("== everything heals")
        life.far.moods.heal()
        life.disk_trouble, life.points.at, life.far.mended, life.steps = 0.0, None, True, []
        if life.far.voice is None:
            life.far.voice = ""

    def rest(self, *, decided: bool = False) -> None:
        """Let the hub work until nothing is due any more; until a human `decided`, what waits for that may wait."""
        life = self.life
        for _ in range(PATIENCE):
            life.tick()
            life.look()
            self.people.push()
            if self._quiet(decided=decided):
                life.seen()
                return
            life.clock.pass_(self._until_due())
        life.wrong(f"waits for ever: {self._open(decided=True)}")

    def _open(self, *, decided: bool) -> list[str]:
        rows = self.life.rows("select key || ' ' || state from delivery where state in ('waiting', 'sending')")
        doubtful = "" if decided else "waits for its case"
        steps = self.life.rows(
            "select 'step ' || raw_id || ' ' || stage from step where state = 'waiting' and reason != ?",
            doubtful or "-",
        )
        return [text for (text,) in (*rows, *steps)]

    def _quiet(self, *, decided: bool) -> bool:
        life = self.life
        well = all(one.retry_at(IN) is None for one in life.hub.instances.values())
        read = all(
            life.rows(
                "select 1 from cursor where instance = ? and json_extract(value, '$.n') = ?", name, len(box.mails)
            )
            or not box.mails
            for name, box in life.far.boxes.items()
        )
        pushed = all(one.kept for one in self.people.pushes)
        return well and read and pushed and not self._open(decided=decided) and not life.far.later and not life.hung

    def _until_due(self) -> float:
        """Seconds until something happens by itself, here or over there: nobody waits for time that only passes."""
        life = self.life
        now = life.clock.now()
        due = life.rows(
            "select min(due_at) from (select due_at from step where state = 'waiting' union all "
            "select due_at from delivery where state in ('waiting', 'sending'))"
        )[0][0]
        times = [due / 1000 - now.timestamp()] if due is not None else []
        times += [one[0] - life.clock.true for one in life.far.later]
        times += [one.until - life.clock.true for one in life.hung]
        for one in life.hub.instances.values():
            times += [(at - now).total_seconds() for side in (IN, OUT) if (at := one.retry_at(side)) is not None]
        ahead = [seconds for seconds in times if seconds > 0]
        return min(ahead, default=1.0) + 0.01

    def human(self) -> None:
        """A human decides whatever waits for one."""
        life = self.life
        for _ in range(60):
            if not life.rows("select 1 from delivery where state in ('rejected', 'held', 'unsure')"):
                break
            self.admin.replay_all()
            self.admin.decide()
            if not life.rows("select 1 from delivery where state = 'unsure'"):
                self.rest()
        self.admin.replay_raws()
        self.rest(decided=True)

    def end(self) -> Result:
        """Heal, rest, judge; let a human decide, rest, judge again."""
        life = self.life
        self.do(self.heal)
        self.rest()
        life.clock.pass_(86400 + life.clock.wrong * -1)  # another day, with caps of its own
        self.people.last_words()
        self.rest()
        judge_before_the_human(life, self.people)
        self.human()
        judge(life, self.people)
        return self.result()

    def result(self) -> Result:
        """The figures."""
        life = self.life
        writing = [c for c in life.far.calls if c.key]
        repeated = len(writing) - len({(c.side, c.key) for c in writing})
        return Result(
            life.seed, life.violations, life.history, self.events, life.points.deaths,
            len(life.far.calls), len(life.far.effects), repeated, life.points.passed,
        )  # fmt: skip


def play(seed: int, steps: int = STEPS) -> Result:
    """Play one seed to its end."""
    simulation = Simulation(seed)
    try:
        for _ in range(steps):
            simulation.step()
        return simulation.end()
    finally:
        simulation.life.close()
