"""The approved answers in the database, which owns them: filled once from a file, then changed by editors.

Every change moves the *revision* in the same transaction; matchers' indexes are derived from the
answers and made anew when it moved.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.knowledge.files import AnswerFileError, Wording
from hub.knowledge.files import read_answers as parse_answers
from hub.sdk import Answer, Rejected
from hub.store import Store, upsert
from hub.store.answers import answer, phrasing, variant
from hub.store.base import to_ms
from hub.store.notes import get_note, set_note

_REVISION = "answers.revision"
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did. `count` wordings came in; `skipped` says, a sentence each, what did not and why."""

    count: int
    skipped: tuple[str, ...] = ()
    already: bool = False  # this very file was imported before: nothing was done


def read_answers(path: Path) -> list[Wording]:
    """The wordings in the file `path`. Raises AnswerFileError with every problem at once."""
    return parse_answers(path, _bytes(path))


def import_answers(store: Store, path: Path, now: datetime) -> Imported:
    """Take the answers of `path` into the database: all or, where one is wrong, none.

    A file is imported once: its hash is kept, so that a restart does not bring back what an editor
    changed or retired. Wordings the database has, and titles it knows under another name, are
    skipped and named. Raises AnswerFileError (a ConfigError) for a file that cannot be taken.
    """
    data = _bytes(path)
    seen = f"answers.imported:{hashlib.sha256(data).hexdigest()[:32]}"
    wordings = parse_answers(path, data)
    with store.write() as connection:
        if get_note(connection, seen) is not None:
            return Imported(0, already=True)
        skipped: list[str] = []
        count = _take(connection, wordings, now, skipped)
        set_note(connection, seen, now.isoformat())
        if count:
            _move_revision(connection, now)
    return Imported(count, tuple(skipped))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AnswerFileError(path, [f"cannot be read ({error.strerror})"]) from None


def _take(connection: Connection, wordings: Sequence[Wording], now: datetime, skipped: list[str]) -> int:
    """Write the wordings that are new; the others are named in `skipped`."""
    refs = {row.ref: row.id for row in connection.execute(sa.select(answer.c.ref, answer.c.id))}
    worded = connection.execute(sa.select(answer.c.ref, variant.c.language).join(variant))
    there = {(str(row.ref), str(row.language)) for row in worded}
    titles = _titles(connection)
    count = 0
    for one in wordings:
        title = (one.language, normal(one.title))
        if (one.ref, one.language) in there:
            skipped.append(f'{one.place}: "{one.ref}" has a wording in "{one.language}" already; change that one')
            continue
        if title in titles:
            skipped.append(f'{one.place}: "{one.ref}" has the same title as "{titles[title]}" ("{one.title}")')
            continue
        if one.ref not in refs:
            refs[one.ref] = _insert_answer(connection, one.ref, one.title, now)
        _write_wording(connection, refs[one.ref], one.language, one.title, one.text, one.phrasings)
        there.add((one.ref, one.language))
        titles[title] = one.ref
        count += 1
    return count


def _titles(connection: Connection) -> dict[tuple[str, str], str]:
    """The titles in use, and whose they are."""
    rows = connection.execute(
        sa.select(variant.c.language, variant.c.title, answer.c.ref).join(answer).where(answer.c.state == "approved")
    )
    return {(row.language, normal(row.title)): row.ref for row in rows}


def normal(title: str) -> str:
    """`title` without what makes no difference: capitals, accents, punctuation, spaces."""
    folded = unicodedata.normalize("NFKD", title.casefold())
    return " ".join(_WORD.findall("".join(c for c in folded if not unicodedata.combining(c))))


def _insert_answer(connection: Connection, ref: str, title: str, now: datetime) -> int:
    row = sa.insert(answer).values(ref=ref, title=title, state="approved", created_at=now, changed_at=now)
    return int(connection.execute(row.returning(answer.c.id)).scalar_one())


def _write_wording(
    connection: Connection, answer_id: int, language: str, title: str, text: str, phrasings: Sequence[str]
) -> None:
    """Put a wording in the place of the one in this language, phrasings included."""
    words = {"title": title, "text": text}
    row = upsert(connection, variant).values(answer_id=answer_id, language=language, **words)
    connection.execute(row.on_conflict_do_update(index_elements=["answer_id", "language"], set_=words))
    connection.execute(sa.delete(phrasing).where(phrasing.c.answer_id == answer_id, phrasing.c.language == language))
    if phrasings:
        rows = [{"answer_id": answer_id, "language": language, "text": one} for one in dict.fromkeys(phrasings)]
        # The same words in two languages ("Refund?") are one phrasing.
        connection.execute(upsert(connection, phrasing).on_conflict_do_nothing(), rows)


def approved(connection: Connection) -> list[Answer]:
    """What matchers index: one Answer per approved wording, its id ``<answer>:<language>``."""
    asked: dict[tuple[int, str], list[str]] = {}
    for row in connection.execute(sa.select(phrasing).order_by(phrasing.c.id)):
        asked.setdefault((row.answer_id, row.language), []).append(row.text)
    rows = connection.execute(
        sa.select(variant).join(answer).where(answer.c.state == "approved").order_by(variant.c.answer_id, variant.c.id)
    )
    return [
        Answer(
            id=f"{row.answer_id}:{row.language}",
            language=row.language,
            title=row.title,
            text=row.text,
            phrasings=tuple(asked.get((row.answer_id, row.language), ())),
        )
        for row in rows
    ]


def revision(connection: Connection) -> str:
    """Names the state of the answers; another one after every change."""
    return get_note(connection, _REVISION) or "0"


def _move_revision(connection: Connection, now: datetime) -> None:
    """A counter, and a hash of when: a restored backup that counts on must not meet an index it did not make."""
    last = revision(connection)
    mark = hashlib.sha256(f"{last}/{to_ms(now)}".encode()).hexdigest()[:8]
    set_note(connection, _REVISION, f"{int(last.partition('-')[0]) + 1}-{mark}")


def add_answer(
    connection: Connection,
    now: datetime,
    *,
    ref: str,
    language: str,
    title: str,
    text: str,
    phrasings: Sequence[str] = (),
) -> int:
    """Add an approved answer with its first wording and return its id.

    Raises Rejected, naming the other answer, where the ref or the title is taken.
    """
    if connection.scalar(sa.select(answer.c.id).where(answer.c.ref == ref)) is not None:
        raise Rejected(f'there is an answer "{ref}" already: choose another name, or change that one')
    _refuse_twin(connection, language, title)
    number = _insert_answer(connection, ref, title, now)
    _write_wording(connection, number, language, title, text, phrasings)
    _move_revision(connection, now)
    return number


def change_wording(
    connection: Connection,
    now: datetime,
    answer_id: int,
    *,
    language: str,
    title: str,
    text: str,
    phrasings: Sequence[str] = (),
) -> None:
    """Replace, or add, an answer's wording in one language, phrasings included.

    Raises Rejected where the answer does not exist, or the title is another answer's.
    """
    ref = connection.scalar(sa.select(answer.c.ref).where(answer.c.id == answer_id))
    if ref is None:
        raise Rejected(f"there is no answer {answer_id}: it may have been removed; look at the list again")
    _refuse_twin(connection, language, title, but=ref)
    _write_wording(connection, answer_id, language, title, text, phrasings)
    connection.execute(sa.update(answer).where(answer.c.id == answer_id).values(changed_at=now))
    _move_revision(connection, now)


def _refuse_twin(connection: Connection, language: str, title: str, *, but: str = "") -> None:
    twin = _titles(connection).get((language, normal(title)), but)
    if twin != but:
        raise Rejected(f'"{twin}" has this title already: change that answer, or write another title')


def retire_answer(connection: Connection, now: datetime, answer_id: int) -> None:
    """Take an answer out of use; what it was suggested for stays. Raises Rejected where there is none."""
    _set_state(connection, now, answer_id, "retired")


def restore_answer(connection: Connection, now: datetime, answer_id: int) -> None:
    """Put a retired answer back into use. Raises Rejected where there is none, or its title was taken since."""
    ref = connection.scalar(sa.select(answer.c.ref).where(answer.c.id == answer_id)) or ""
    for row in connection.execute(sa.select(variant).where(variant.c.answer_id == answer_id)):
        _refuse_twin(connection, row.language, row.title, but=ref)
    _set_state(connection, now, answer_id, "approved")


def _set_state(connection: Connection, now: datetime, answer_id: int, state: str) -> None:
    changed = sa.update(answer).where(answer.c.id == answer_id).values(state=state, changed_at=now)
    if not connection.execute(changed).rowcount:
        raise Rejected(f"there is no answer {answer_id}: it may have been removed; look at the list again")
    _move_revision(connection, now)
