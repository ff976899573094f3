"""The contract of hub.testing for bundled plugins whose own tests need nothing else."""

from __future__ import annotations

from hub.testing import ComponentContract, MatcherContract, SearchesAnswersContract
from plugins.matchers.whoosh.matcher import WhooshMatcher


class TestWhoosh(MatcherContract, SearchesAnswersContract, ComponentContract):
    component = WhooshMatcher
