"""One catalogue for every text an agent, an admin or a customer sees.

Each TOML file here belongs to one audience; each text stands with all its languages side by
side, so that a missing one is seen where it is written (and by tests/unit/web/test_web_pages.py).
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files

_BOUND = re.compile(r"(?<=«) | (?=[:;?!»%](?:\s|$|[.,)]))")
"""French spaces that belong to a mark: a line must not begin with that mark, or end with «."""

LANGUAGES = ("fr", "en")
"""Every text exists in these; customers' texts (customers.toml) also in Spanish."""


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Every text: ``{"file.table.key": {"fr": ..., "en": ...}}``."""
    texts: dict[str, dict[str, str]] = {}
    for file in sorted(files(__package__).iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            _flatten(tomllib.loads(file.read_text("utf-8")), file.name.removesuffix(".toml"), texts)
    return texts


def _flatten(table: dict[str, object], prefix: str, into: dict[str, dict[str, str]]) -> None:
    if table and all(isinstance(v, str) for v in table.values()):
        into[prefix] = {k: str(v) for k, v in table.items()}
        return
    for key, value in table.items():
        assert isinstance(value, dict), f"{prefix}.{key}: a text needs its languages"
        _flatten(value, f"{prefix}.{key}", into)


def text(language: str, key: str, **values: object) -> str:
    """The text `key` in `language`, else in English. Raises KeyError for an unknown key."""
    wordings = catalogue()[key]
    wording = wordings.get(language) or wordings["en"]
    return wording.format(**values) if values else wording


def bound(language: str, words: str) -> str:
    """`words` for a page: in French, marks and the words they belong to stay on one line."""
    return _BOUND.sub("\u00a0", words) if language == "fr" else words
