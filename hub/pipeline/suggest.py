"""Step 7, suggest: the matchers name approved answers; the knowledge base puts them in order.

Asked outside any transaction: matching never holds the database's writer.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

from hub.instances import Bug
from hub.knowledge.answers import approved, revision
from hub.knowledge.suggest import Yardsticks, choose, measure
from hub.pipeline.parts import Parts
from hub.rules.question import question
from hub.sdk import Answer, Matcher, Scored, Suggestion, TresseError

WAIT = 5.0
"""Seconds a case waits for one matcher."""
AGAIN = timedelta(minutes=1)
"""After which a matcher whose index could not be made is given the answers again."""
_DEPTH = 4
"""How many times more candidates than suggestions are asked for: languages and answers overlap."""


class Answers:
    """The approved answers, and the matchers' indexes kept in step with them.

    The indexes are derived from the database: when its revision moves, they are made anew.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._revision = ""
        self._again_at: datetime | None = None
        self._answers: dict[str, Answer] = {}
        self.yardsticks: dict[str, Yardsticks] = {}
        """What each matcher gives right answers on this base: raw scores differ from matcher to matcher."""

    def current(self) -> dict[str, Answer]:
        """The answers by id, with every matcher's index at the same revision.

        While somebody else makes the indexes anew, the last answers are good: a matcher that hangs
        then costs the others nothing.
        """
        with self._parts.store.read() as connection:
            now = revision(connection)
        again = self._again_at is not None and self._parts.now() >= self._again_at
        if (now != self._revision or again) and self._lock.acquire(blocking=False):
            try:
                with self._parts.store.read() as connection:
                    now = revision(connection)
                    self._answers = {answer.id: answer for answer in approved(connection)}
                self._again_at = None if self._index(now) else self._parts.now() + AGAIN
                self._revision = now
            finally:
                self._lock.release()
        return self._answers

    def _index(self, now: str) -> bool:
        """Bring every matcher to the revision `now`; False when one of them failed."""
        complete = True
        for instance in self._parts.instances.values():
            matcher = instance.component
            if not isinstance(matcher, Matcher):
                continue
            try:
                if instance.call(matcher.indexed) != now:
                    instance.call(matcher.index, list(self._answers.values()), now, timeout=300.0)
                    instance.log.info("indexed", answers=len(self._answers))
                found = list(self._answers.values())
                self.yardsticks[instance.id] = instance.call(measure, matcher.suggest, found, timeout=60.0)
            except (TresseError, Bug) as error:
                instance.log.warning("index failed", error=type(error).__name__)
                complete = False
        return complete


def suggest(parts: Parts, answers: Answers, subject: str, reply: str, language: str) -> list[Suggestion]:
    """The best approved answers for a customer's words; empty when nothing fits."""
    known = answers.current()
    texts = question(subject, reply)
    if not known or not texts:
        return []
    limit = parts.config.answers.limit
    lists: dict[str, list[Scored]] = {}
    for instance in parts.instances.values():
        matcher = instance.component
        if not isinstance(matcher, Matcher) or not instance.ready():
            continue
        try:
            lists[instance.id] = instance.call(_best_over, matcher, texts, language, limit * _DEPTH, timeout=WAIT)
        except (TresseError, Bug) as error:
            instance.log.warning("no suggestions", error=type(error).__name__)
    return choose(lists, known, language, limit, answers.yardsticks)


def _best_over(matcher: Matcher[Any], texts: list[str], language: str, limit: int) -> list[Scored]:
    """The best score of each answer over the whole question and its single sentences.

    A mail is not a query: its politeness halves every matcher, and one sentence of it asks.
    """
    best: dict[str, float] = {}
    for words in texts:
        for one in matcher.suggest(words, language, limit):
            best[one.answer] = max(one.score, best.get(one.answer, one.score))
    return [Scored(answer, score) for answer, score in sorted(best.items(), key=lambda i: -i[1])]
