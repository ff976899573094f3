"""The index on disk: built beside the one in use, then swapped by replacing one small file.

    <folder>/current            the name of the index in use, one line
    <folder>/<name>/...         Whoosh's files
    <folder>/<name>/tresse.json revision of the answers, version of the analysers, languages

A kill in the middle of a build leaves a folder nobody points to; the next build removes it. The
files are read into memory (a few megabytes), so an old index may go while somebody searches in it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.sdk import Answer

from .analysis import VERSION, Pairs, words
from .library import STORED, TEXT, FileStorage, RamStorage, Schema, copy_to_ram

_POINTER = "current"
_FACTS = "tresse.json"
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Facts:
    """What an index was made from."""

    revision: str
    languages: tuple[str, ...]


def schema(languages: Sequence[str]) -> Schema:
    """Three fields per language: questions (title and phrasings), their pairs of words, and the text."""
    fields = Schema(id=STORED, language=STORED, title=STORED, body=STORED)
    for language in languages:
        fields.add(f"{language}_question", TEXT(analyzer=words(language), phrase=False))
        fields.add(f"{language}_pairs", TEXT(analyzer=Pairs(language), phrase=False))
        fields.add(f"{language}_text", TEXT(analyzer=words(language), phrase=False))
    return fields


def build(folder: Path, answers: Sequence[Answer], revision: str) -> None:
    """Make a new index of `answers` in `folder` and put it in the place of the old one."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="index-", dir=folder))
    try:
        languages = sorted({answer.language for answer in answers})
        if answers:
            _write(made, answers, languages)
        facts = {"revision": revision, "version": VERSION, "languages": languages}
        (made / _FACTS).write_text(json.dumps(facts), "utf-8")
        _reach_the_disk(made)
        _point(folder, made.name)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    _tidy(folder, made.name)


def _write(made: Path, answers: Sequence[Answer], languages: Sequence[str]) -> None:
    """One document per answer with all its phrasings: one per phrasing is the worst choice measured."""
    storage = FileStorage(str(made))
    writer = storage.create_index(schema(languages)).writer(limitmb=32)
    for answer in answers:
        question = "\n".join((answer.title, *answer.phrasings))
        language = answer.language
        writer.add_document(
            id=answer.id,
            language=language,
            title=answer.title,
            body=answer.text,
            **{f"{language}_question": question, f"{language}_pairs": question, f"{language}_text": answer.text},
        )
    writer.commit(optimize=True)


def _reach_the_disk(made: Path) -> None:
    """Before anything points here: after a power cut a name may be there and its bytes not."""
    for path in made.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _point(folder: Path, name: str) -> None:
    """`os.replace` is atomic: a reader sees the old name or the new one."""
    beside = folder / f"{_POINTER}.new"
    with beside.open("w", encoding="utf-8") as file:
        file.write(name)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / _POINTER)


def _tidy(folder: Path, keep: str) -> None:
    for old in folder.glob("index-*"):
        if old.name != keep:
            shutil.rmtree(old, ignore_errors=True)


def stamp(folder: Path) -> tuple[int, int]:
    """Changes whenever another index is put in place; (0, 0) where there is none. Costs one `stat`."""
    try:
        found = (folder / _POINTER).stat()
    except OSError:
        return (0, 0)
    return found.st_ino, found.st_mtime_ns


def load(folder: Path) -> tuple[Facts, RamStorage] | None:
    """The index in use, in memory; None where there is none, or one that this version cannot read.

    The folder named may go between two looks, when another process swaps: then look again.
    """
    for _ in range(_TRIES):
        try:
            made = folder / (folder / _POINTER).read_text("utf-8").strip()
            facts = json.loads((made / _FACTS).read_text("utf-8"))
            if facts["version"] != VERSION:
                return None
            storage = copy_to_ram(FileStorage(str(made)))
        except FileNotFoundError:
            if stamp(folder) == (0, 0):
                return None
            continue
        except (OSError, ValueError, KeyError):
            return None
        return Facts(facts["revision"], tuple(facts["languages"])), storage
    return None


def writable(folder: Path) -> bool:
    """May this process make files in `folder`?"""
    return os.access(folder, os.W_OK | os.X_OK)
