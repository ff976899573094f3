"""The component: an index of the approved answers, questions in, scored answers out."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from hub.sdk import Answer, ConfigError, Context, Hit, Matcher, Notice, Scored, Settings, Unavailable

from . import index
from .highlighting import marked
from .snapshot import Snapshot

_QUESTION_LENGTH = 4_000
_SENTENCES = 8
_STOP = re.compile(r"[\n.?!;…]+")
_NOTHING = index.Facts("", ())


class WhooshSettings(Settings):
    """The settings of a `whoosh` matcher."""

    directory: Path | None = Field(
        default=None,
        description="Where the index lies; by default index/<id> in the hub's data directory. "
        "It is derived from the answers in the database and may be deleted at any time.",
    )
    limit: int = Field(
        default=50, ge=1, le=1000, description="The most answers one question or search may bring, whoever asks."
    )


class WhooshMatcher(Matcher[WhooshSettings]):
    """BM25 over questions, phrasings and texts, with an analyser per language."""

    name: ClassVar[str] = "whoosh"
    settings_model: ClassVar[type[Settings]] = WhooshSettings
    summary: ClassVar[str] = "Finds approved answers by their words, and searches them for people (Whoosh)"

    def __init__(self, settings: WhooshSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._building = threading.Lock()
        self._loading = threading.Lock()
        self._stamp = (0, 0)
        self._snapshot: Snapshot | None = None

    @property
    def folder(self) -> Path:
        """The index's folder. Raises ConfigError where neither the settings nor the hub name one."""
        if self.settings.directory is not None:
            return self.settings.directory
        data = (self.context.hub or {}).get("data", "")
        if not data:
            raise ConfigError("the hub has no data directory: name one here", path="directory")
        return Path(data) / "index" / self.context.id

    def check(self) -> list[Notice] | None:
        """Can the index be written? Looks, and leaves nothing behind."""
        folder = self.folder
        nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise ConfigError(f"{nearest} is a file: name a directory", path="directory")
        if not index.writable(nearest):
            raise ConfigError(f"cannot write in {nearest}: give the hub's user the right to", path="directory")
        return None

    def index(self, answers: list[Answer], revision: str) -> None:
        """Replace the whole index atomically, one build at a time.

        Raises ConfigError where writing is not allowed, Unavailable where it fails (a full disk).
        """
        with self._building:
            try:
                index.build(self.folder, answers, revision)
            except PermissionError:
                raise ConfigError(f"may not write in {self.folder}: give the hub's user the right to") from None
            except OSError as error:
                raise Unavailable(f"cannot write the index in {self.folder}: {error.strerror}") from error

    def indexed(self) -> str:
        """The revision of the answers that the index was made from; empty where there is no index."""
        return self._current().facts.revision

    def suggest(self, question: str, language: str, limit: int) -> list[Scored]:
        """The best answers for the whole question and for each of its sentences. Scores have no upper end."""
        snapshot = self._current()
        scores = snapshot.suggest(_sentences(question), language)
        best = sorted(scores.items(), key=lambda one: (-one[1], one[0]))[: min(limit, self.settings.limit)]
        return [Scored(snapshot.stored[document]["id"], score) for document, score in best]

    def search(self, words: str, language: str, limit: int) -> list[Hit]:
        """Answers for the words a person typed; the last one may be unfinished."""
        snapshot = self._current()
        found = snapshot.search(words[:_QUESTION_LENGTH], language)
        best = sorted(found.items(), key=lambda one: (-one[1][0], one[0]))[: min(limit, self.settings.limit)]
        return [_hit(snapshot, document, score, terms) for document, (score, terms) in best]

    def close(self) -> None:
        """Forget the index in memory; asking again loads it again."""
        with self._loading:
            self._snapshot, self._stamp = None, (0, 0)

    def _current(self) -> Snapshot:
        """The index in use; loaded when there is another one than last time. Readers keep theirs."""
        folder = self.folder
        stamp = index.stamp(folder)
        snapshot = self._snapshot
        if snapshot is not None and stamp == self._stamp:
            return snapshot
        with self._loading:
            if self._snapshot is None or stamp != self._stamp:
                self._snapshot, self._stamp = self._load(folder), stamp
            return self._snapshot

    def _load(self, folder: Path) -> Snapshot:
        try:
            loaded = index.load(folder)
            return Snapshot(*loaded) if loaded else Snapshot(_NOTHING, None)
        except Exception as error:  # noqa: BLE001 - a damaged file may fail anywhere inside the library
            self.context.log.warning("the index is damaged and will be made anew", error=type(error).__name__)
            return Snapshot(_NOTHING, None)


def _sentences(question: str) -> list[str]:
    """The whole question, and where it has several sentences each of them."""
    whole = question[:_QUESTION_LENGTH]
    parts = list(dict.fromkeys(part for part in (p.strip() for p in _STOP.split(whole)) if part))
    return [whole, *parts[:_SENTENCES]] if len(parts) > 1 else parts


def _hit(snapshot: Snapshot, document: int, score: float, terms: set[str]) -> Hit:
    stored = snapshot.stored[document]
    return Hit(stored["id"], stored["title"], marked(stored["body"], terms, stored["language"]), score)
