"""Sentences that are stored or raised in English, said in the reader's language when they are shown.

A reason outlives the page it is read on: it lies in the database, goes to the log and to programs,
and its reader's language is not known when it is written. So the English sentence is its own key,
as in gettext, and `sentence` finds its wording in `sentences.toml`. There the English stands as a
template: ``{place}`` is whatever stands at that place. A blank may say what it takes:

* ``{count:n}``: digits only,
* ``{instance:w}``: one word, so without white space,
* ``{path:p}``: the dotted path of a setting,
* ``{why:s}``: a sentence of this catalogue, said in its turn; another one stays as it is.

Of several templates that fit, the one with most words of its own wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from string import Formatter

from hub.locale import catalogue

_PREFIX = "sentences."
_NESTED = 3
"""So deep sentences stand in sentences; deeper ones stay English."""


@dataclass(frozen=True, slots=True)
class Template:
    """An English sentence with blanks: `literals` stand around them, one more than there are `blanks`."""

    literals: tuple[str, ...]
    blanks: tuple[tuple[str, str], ...]
    wordings: dict[str, str]

    def match(self, english: str) -> dict[str, str] | None:
        """What stands in the blanks; None where the sentence is another one.

        Each literal is looked for once, from where the one before it ended: time grows with the
        length of `english` and never faster, whatever a far side put into it.
        """
        first, last = self.literals[0], self.literals[-1]
        end = len(english) - len(last)
        if not english.startswith(first) or not english.endswith(last):
            return None
        found: dict[str, str] = {}
        at = len(first)
        for (name, takes), literal in zip(self.blanks, (*self.literals[1:-1], ""), strict=True):
            until = english.find(literal, at, end) if literal else end
            if until < at or not _fits(english[at:until], takes):
                return None
            found[name] = english[at:until]
            at = until + len(literal)
        return found


def _fits(value: str, takes: str) -> bool:
    if takes == "n":
        return value.isascii() and value.isdecimal()
    if takes in ("w", "p"):
        return value != "" and not any(c.isspace() for c in value) and (takes == "w" or "." in value)
    return True


def template(english: str, wordings: dict[str, str]) -> Template:
    """Cut the English wording of the catalogue at its blanks. Raises ValueError where two blanks touch."""
    literals, blanks = [""], []
    for literal, name, takes, _ in Formatter().parse(english):
        literals[-1] += literal
        if name is not None:
            blanks.append((name, takes or ""))
            literals.append("")
    if "" in literals[1:-1]:
        raise ValueError(f"nobody can tell where one blank ends and the next begins: {english}")
    return Template(tuple(literals), tuple(blanks), wordings)


@cache
def templates() -> tuple[dict[str, Template], tuple[Template, ...]]:
    """The sentences without blanks, by themselves; the others with the most outspoken first."""
    every = [template(w["en"], w) for key, w in catalogue().items() if key.startswith(_PREFIX)]
    exact = {one.literals[0]: one for one in every if not one.blanks}
    return exact, tuple(sorted((o for o in every if o.blanks), key=lambda o: -sum(map(len, o.literals))))


def sentence(language: str, english: str) -> str:
    """`english` in `language`; what the catalogue does not know comes back unchanged."""
    if language == "en" or not english:
        return english
    return _said(language, english, _NESTED)


def find(english: str) -> tuple[Template, dict[str, str]] | None:
    """The template of the catalogue that fits, and what stands in its blanks."""
    exact, open_ones = templates()
    if english in exact:
        return exact[english], {}
    for one in open_ones:
        found = one.match(english)
        if found is not None:
            return one, found
    return None


@lru_cache(maxsize=2048)
def _said(language: str, english: str, depth: int) -> str:
    fits = find(english)
    if fits is None:
        lines = english.split("\n")  # several problems, one a line
        return "\n".join(_said(language, line, depth) for line in lines) if len(lines) > 1 else english
    one, found = fits
    wording = one.wordings.get(language)
    if wording is None:
        return english
    nested = {name for name, takes in one.blanks if takes == "s"} if depth else set()
    values = {n: _said(language, v, depth - 1) if n in nested else v for n, v in found.items()}
    return wording.format(**values)
