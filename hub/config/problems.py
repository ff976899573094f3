"""What is wrong with a configuration: every problem at once, each with its full path and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from hub.sdk import ConfigError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend (or, as a notice, to look at). `path` is where it stands (``channels.support.imap.host``)."""

    path: str
    text: str
    hint: str = ""

    def __str__(self) -> str:
        said = f"{self.path}: {self.text}" if self.path else self.text
        return f"{said}; {self.hint}" if self.hint else said


class ConfigErrors(ConfigError):
    """All problems of a configuration at once: nobody likes to mend a file one run at a time."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(p) for p in self.problems), path=self.problems[0].path if self.problems else "")


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """A hint with the nearest known word, else the list of known words where it is short."""
    known = sorted(set(candidates))
    near = difflib.get_close_matches(word.lower(), [k.lower() for k in known], n=1, cutoff=0.6)
    if near:
        found = next(k for k in known if k.lower() == near[0])
        return f'did you mean "{found}"?'
    if known and len(known) <= 12:
        return "known here: " + ", ".join(known)
    return ""


def join(*parts: str | int) -> str:
    """A path as people write it: ``crm.rt.fields[0].name``."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part:
            path += f".{part}" if path else part
    return path
