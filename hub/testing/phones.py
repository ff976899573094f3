"""Promises of phone systems: presence is a lease, and it ends."""

from __future__ import annotations

from datetime import datetime

from hub.sdk import Agent, Presence, Rejected
from hub.testing import values
from hub.testing.component import Contract

LEASE = 600.0
"""Seconds for which the tests say that an agent writes."""


class CTIContract(Contract):
    """`set_presence` says until when, and a lease that nobody renews frees the agent."""

    def busy(self, agent: Agent, at: datetime) -> bool:
        """Whether the phone system, from what it was told, keeps calls from `agent` at the time `at`."""
        raise AssertionError("say whether the phone system keeps calls from the agent")

    def test_a_writing_agent_is_busy_until_the_end(self) -> None:
        self.make().set_presence(values.AGENT, Presence.WRITING, values.later(LEASE))
        assert self.busy(values.AGENT, values.later(LEASE / 2))
        assert not self.busy(values.AGENT, values.later(LEASE + 1))

    def test_presence_ends_when_told(self) -> None:
        made = self.make()
        made.set_presence(values.AGENT, Presence.WRITING, values.later(LEASE))
        made.set_presence(values.AGENT, Presence.AVAILABLE, values.later(LEASE))
        assert not self.busy(values.AGENT, values.later(LEASE / 2))

    def test_telling_twice_is_telling_once(self) -> None:
        made = self.make()
        for _ in range(2):
            made.set_presence(values.AGENT, Presence.WRITING, values.later(LEASE))
        made.set_presence(values.AGENT, Presence.AVAILABLE, values.later(LEASE))
        assert not self.busy(values.AGENT, values.later(1))

    def test_an_agent_unknown_there_is_no_crash(self) -> None:
        try:
            self.make().set_presence(Agent("Nobody"), Presence.WRITING, values.later(LEASE))
        except Rejected as refused:
            assert str(refused), "say what is missing, such as the agent's account in this system"
