"""One small story, once for every place where the process may die in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.sim.life import Life
from tests.sim.run import Simulation


@dataclass
class Swept:
    """What a sweep saw: how many places there are, and where a promise was broken."""

    points: int = 0
    violations: dict[int, list[str]] = field(default_factory=dict)


def story(at: int | None, *, late: bool) -> tuple[Simulation, bool]:
    """A mail in two mailboxes, a further one, a form, an unreadable mail, an agent's answer; it dies at point `at`.

    `late` lets an interrupted call take effect after its sender died. Tells whether it died.
    """
    simulation = Simulation(7)
    life, people = simulation.life, simulation.people
    life.far.moods.heal()
    life.steps, simulation.crashes, life.far.voice = [], 0.0, ""
    life.far.late_effects = late
    life.points.passed, life.points.at = 0, at

    def turn() -> None:
        simulation.do(life.tick)
        simulation.do(life.look)
        life.clock.pass_(0.5)

    first = people.post_plain("alice", ("support", "contact"))
    turn()
    people.post_plain("alice", ("box",), answers=first)
    people.post_plain("bruno", ("contact",), broken=True)
    turn()
    simulation.do(people.fill_form)
    turn()
    simulation.do(people.agent_answers)
    turn()
    return simulation, life.points.deaths > 0


def sweep(first: int = 1, every: int = 1, *, late: bool = True) -> Swept:
    """Die at each point in turn until the story has no more; then the judge counts, as always."""
    swept, at = Swept(), first
    while True:
        simulation, died = story(at, late=late)
        try:
            simulation.end()
            if not died:
                return swept
            swept.points += 1
            if simulation.life.violations:
                swept.violations[at] = _with_place(simulation.life)
        finally:
            simulation.life.close()
        at += every


def _with_place(life: Life) -> list[str]:
    return [next(line for line in life.history if "!!" in line), *life.violations]
