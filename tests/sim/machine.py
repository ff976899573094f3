"""A state machine over the public operations: hypothesis decides what happens, and makes failures small.

The far sides, the lives of the hub and the judge are those of the seeds.
"""

from __future__ import annotations

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hub.log import configure
from tests.campaign.places import Progress
from tests.sim.judge import judge_always
from tests.sim.moods import KINDS, SIDES
from tests.sim.run import Simulation
from tests.sim.setting import BLIND


class Operations(RuleBasedStateMachine):
    """What anybody may do to a hub, in any order, with a death at any place."""

    simulation: Simulation
    begun: ClassVar[int] = 0
    of: ClassVar[int] = 0
    """Examples so far, and how many there shall be."""
    progress: ClassVar[Progress] = Progress("state machine")

    @initialize(seed=st.integers(0, 3))
    def begin(self, seed: int) -> None:
        configure("CRITICAL")
        Operations.begun += 1
        self.progress.say(self.begun, self.of, "examples")
        self.simulation = Simulation(seed)
        self.simulation.life.far.moods.base = 0.0
        self.simulation.crashes = 0.0

    @rule(count=st.integers(1, 3))
    def customers_write(self, count: int) -> None:
        for _ in range(count):
            self.simulation.do(self.simulation.people.write)

    @rule()
    def somebody_fills_the_form(self) -> None:
        self.simulation.do(self.simulation.people.fill_form)

    @rule()
    def an_agent_answers(self) -> None:
        self.simulation.do(self.simulation.people.agent_answers)

    @rule()
    def an_editor_edits(self) -> None:
        self.simulation.do(self.simulation.people.edit_answers)

    @rule()
    def the_hub_polls(self) -> None:
        self.simulation.do(self.simulation.life.tick)

    @rule()
    def the_hub_works(self) -> None:
        self.simulation.do(self.simulation.life.look)

    @rule(which=st.sampled_from(("replay_raws", "replay", "replay_all", "retry", "decide")))
    def the_admin_clicks(self, which: str) -> None:
        self.simulation.do(getattr(self.simulation.admin, which))

    @rule(after=st.integers(1, 30))
    def it_will_die(self, after: int) -> None:
        points = self.simulation.life.points
        points.at = points.passed + after

    @rule()
    def it_is_stopped_and_started(self) -> None:
        self.simulation.do(self.simulation.life.stop)

    @rule(seconds=st.sampled_from((0.5, 3.0, 30.0, 3600.0)))
    def time_passes(self, seconds: float) -> None:
        self.simulation.life.clock.pass_(seconds)

    @rule(side=st.sampled_from(SIDES), kind=st.sampled_from(sorted(KINDS)), seconds=st.sampled_from((5.0, 60.0)))
    def a_far_side_has_a_mood(self, side: str, kind: str, seconds: float) -> None:
        self.simulation.life.tell(f"{side} is {kind} for {seconds:g} s")
        self.simulation.life.far.moods.set(side, kind, seconds)

    @rule(box=st.sampled_from((*BLIND, "box")))
    def a_mailbox_is_numbered_anew(self, box: str) -> None:
        self.simulation.life.far.boxes[box].validity += 1

    @invariant()
    def nothing_is_doubled(self) -> None:
        if hasattr(self, "simulation"):
            judge_always(self.simulation.life, self.simulation.people)
            self._check()

    def teardown(self) -> None:
        if not hasattr(self, "simulation"):
            return
        try:
            self.simulation.end()
            self._check()
        finally:
            self.simulation.life.close()

    def _check(self) -> None:
        life = self.simulation.life
        assert not life.violations, "\n".join([*life.violations, *life.history[-80:]])
