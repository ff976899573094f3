"""Answers from a file, before the database owns them: CSV, TOML or JSON.

CSV (comma, semicolon or tab; UTF-8), one line per wording::

    ref,title,language,text,phrasings
    delay,Where is my order?,en,"Parcels take two days.",When does it arrive?|Where is my parcel?
    delay,Où est ma commande ?,fr,"Comptez deux jours.",Quand arrive mon colis ?

TOML, one `[[answer]]` per wording with the same names, or one table per language::

    [[answer]]
    ref = "delay"
    [answer.en]
    title = "Where is my order?"
    text = "Parcels take two days."
    phrasings = ["When does it arrive?", "Where is my parcel?"]

JSON: a list of such objects, or ``{"answer": [...]}``.

| name | meaning |
| --- | --- |
| ref | your own name of the answer; its wordings in several languages share it |
| title | the question as a customer would ask it |
| language | two letters |
| text | what agents paste |
| phrasings | other ways to ask; in CSV separated by `|` or line breaks; may be empty |
"""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.sdk import ConfigError

_NEEDED = ("ref", "title", "language", "text")
_NAMES = (*_NEEDED, "phrasings")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})?")
_LENGTHS = {"ref": 80, "title": 500, "text": 50_000}
_PHRASING_LENGTH = 1_000
_BYTES = 20_000_000
_SHOWN = 20


class AnswerFileError(ConfigError):
    """A file of answers that cannot be taken as it is. `problems` are all of them, each with its place."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.problems = tuple(problems)
        more = f"\n(and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        super().__init__(
            f"{path} cannot be taken as it is:\n" + "\n".join(problems[:_SHOWN]) + more, path="answers.file"
        )


@dataclass(frozen=True, slots=True)
class Wording:
    """One answer in one language, as a file has it. `place` says where, for people."""

    place: str
    ref: str
    title: str
    language: str
    text: str
    phrasings: tuple[str, ...] = ()


def read_answers(path: Path, data: bytes) -> list[Wording]:
    """The wordings in `data`, the content of `path`. Raises AnswerFileError with every problem at once."""
    if len(data) > _BYTES:
        raise AnswerFileError(path, [f"the file is larger than {_BYTES // 1_000_000} MB: split it"])
    parse = _PARSERS.get(path.suffix.lower())
    if parse is None:
        raise AnswerFileError(path, [f"the name must end in {', '.join(_PARSERS)}, not {path.suffix or 'nothing'}"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise AnswerFileError(path, [f"line {line}: not UTF-8; save the file as UTF-8"]) from None
    problems: list[str] = []
    wordings = []
    try:
        for place, row in parse(text):
            wording = _wording(place, row, problems)
            if wording is not None:
                wordings.append(wording)
    except _UnreadableFile as error:
        raise AnswerFileError(path, [str(error)]) from None
    if problems:
        raise AnswerFileError(path, problems)
    return wordings


class _UnreadableFile(Exception):
    """The file as a whole makes no sense; the text says why."""


def _csv(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_names(names)
        while True:
            line = reader.line_num + 1
            row = next(reader, None)
            if row is None:
                return
            if len(row) > len(names):
                raise _UnreadableFile(f"line {line}: {len(row)} cells under {len(names)} titles; quote the long texts")
            if any(cell.strip() for cell in row):
                yield f"line {line}", dict(zip(names, row, strict=False))
    except csv.Error as error:
        raise _UnreadableFile(f"line {reader.line_num}: {error}") from None


def _check_names(names: list[str]) -> None:
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise _UnreadableFile(f"line 1: no column {', '.join(missing)}; the columns are {', '.join(_NAMES)}")
    strange = [name for name in names if name and name not in _NAMES]
    if strange:
        raise _UnreadableFile(f"line 1: unknown column {', '.join(strange)}; the columns are {', '.join(_NAMES)}")


def _toml(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        yield from _tables(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _UnreadableFile(str(error)) from None


def _json(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        yield from _tables(json.loads(text))
    except json.JSONDecodeError as error:
        raise _UnreadableFile(f"line {error.lineno}, column {error.colno}: {error.msg}") from None


def _tables(content: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each wording of a list of answers; an answer is flat, or has a table per language."""
    answers = content.get("answer") if isinstance(content, dict) else content
    if not isinstance(answers, list):
        raise _UnreadableFile("no list of answers: begin each with [[answer]]")
    for number, answer in enumerate(answers, 1):
        if not isinstance(answer, dict):
            raise _UnreadableFile(f"answer {number}: not a table")
        shared = {key: value for key, value in answer.items() if not isinstance(value, dict)}
        inner = {key: value for key, value in answer.items() if isinstance(value, dict)}
        place = f"answer {number}" + (f" ({answer['ref']})" if isinstance(answer.get("ref"), str) else "")
        if not inner:
            yield place, shared
        for language, wording in inner.items():
            yield f"{place}.{language}", {**shared, "language": language, **wording}


_PARSERS: dict[str, Callable[[str], Iterator[tuple[str, Mapping[str, Any]]]]] = {
    ".csv": _csv,
    ".toml": _toml,
    ".json": _json,
}


def _wording(place: str, row: Mapping[str, Any], problems: list[str]) -> Wording | None:
    """`row` as a wording; None, with its problems noted, when something is wrong with it."""
    before = len(problems)
    problems += [f"{place}: unknown name {name}" for name in row if name not in _NAMES and name]
    cells = {name: _cell(place, name, row.get(name), problems) for name in _NEEDED}
    language = cells["language"].lower().replace("_", "-")
    if cells["language"] and not _LANGUAGE.fullmatch(cells["language"].lower()):
        problems.append(f'{place}, language: "{cells["language"][:20]}" is no language; write two letters, such as fr')
    phrasings = _phrasings(place, row.get("phrasings"), problems)
    if len(problems) > before:
        return None
    primary = language.partition("-")[0]  # the base keeps one wording per language, not per country
    return Wording(place, cells["ref"], cells["title"], primary, cells["text"], phrasings)


def _cell(place: str, name: str, value: Any, problems: list[str]) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        problems.append(f"{place}, {name}: is empty")
        return ""
    if not isinstance(value, str):
        problems.append(f"{place}, {name}: must be a text")
        return ""
    text = value.strip()
    if len(text) > _LENGTHS.get(name, _BYTES):
        problems.append(f"{place}, {name}: longer than {_LENGTHS[name]} characters")
    return text if name == "text" else " ".join(text.split())


def _phrasings(place: str, value: Any, problems: list[str]) -> tuple[str, ...]:
    parts = re.split(r"[|\n]", value) if isinstance(value, str) else value or []
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        problems.append(f"{place}, phrasings: must be a list of texts")
        return ()
    cleaned = [" ".join(part.split()) for part in parts]
    if any(len(part) > _PHRASING_LENGTH for part in cleaned):
        problems.append(f"{place}, phrasings: one is longer than {_PHRASING_LENGTH} characters")
    return tuple(dict.fromkeys(part for part in cleaned if part))
