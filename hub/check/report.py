"""What a check found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hub.config import KINDS, Problem


@dataclass(frozen=True, slots=True)
class Result:
    """What was found out about one thing: a section, or a table of the hub."""

    path: str
    problems: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()
    live: bool = False

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass(slots=True)
class Report:
    """All results, in the order they were found."""

    results: list[Result] = field(default_factory=list)

    @property
    def problems(self) -> list[Problem]:
        return [p for r in self.results for p in r.problems]

    @property
    def notices(self) -> list[Problem]:
        return [n for r in self.results for n in r.notices]

    @property
    def instances(self) -> list[str]:
        """The sections that were looked at."""
        return list(dict.fromkeys(r.path for r in self.results if r.path.partition(".")[0] in KINDS))


Tell = Callable[[Result], None]
