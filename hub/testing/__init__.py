"""Contract tests for plugins: plain base classes that bundled and partners' plugins inherit, and fakes.

Each class holds the promises of one component kind or ability. A test class inherits those its
component has, names the component, and fills in the few methods that say how its far side looks.
"""

from hub.testing import values
from hub.testing.component import CANARY, ComponentContract, Contract, closed_port, raises, sample_values
from hub.testing.fakes import START, Answered, FakeClock, FarSide, KeptLog, MemoryState, fake_context
from hub.testing.matchers import MatcherContract, SearchesAnswersContract
from hub.testing.phones import CTIContract
from hub.testing.ways_in import AcceptsContract, PollsContract, ReadsContract, ReportsChangesContract
from hub.testing.ways_out import (
    AddsMessagesContract,
    KeepsCasesContract,
    KnowsCustomersContract,
    KnowsOrdersContract,
    SendsContract,
    ShowsSuggestionsContract,
)

__all__ = [
    "CANARY",
    "START",
    "AcceptsContract",
    "AddsMessagesContract",
    "Answered",
    "CTIContract",
    "ComponentContract",
    "Contract",
    "FakeClock",
    "FarSide",
    "KeepsCasesContract",
    "KeptLog",
    "KnowsCustomersContract",
    "KnowsOrdersContract",
    "MatcherContract",
    "MemoryState",
    "PollsContract",
    "ReadsContract",
    "ReportsChangesContract",
    "SearchesAnswersContract",
    "SendsContract",
    "ShowsSuggestionsContract",
    "closed_port",
    "fake_context",
    "raises",
    "sample_values",
    "values",
]
