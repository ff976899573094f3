"""From what the matchers found to what an agent sees: one suggestion per answer, ranked and banded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hub.rules.ranking import YARDSTICK, band, merge, yardstick
from hub.sdk import Answer, Scored, Suggestion

Ask = Callable[[str, str, int], list[Scored]]
"""A matcher's `suggest`: question, language, limit."""

Yardsticks = Mapping[str, float]
"""A matcher's yardstick by language: fourteen Spanish answers do not score as sixty French ones do."""

_SAMPLE = 50
LOWEST = "perhaps"
"""The band of runners-up: where the best one fits, an agent sees the next ones too."""


def choose(
    question_lists: Mapping[str, Sequence[Scored]],
    answers: Mapping[str, Answer],
    language: str,
    limit: int,
    yardsticks: Mapping[str, Yardsticks] | None = None,
) -> list[Suggestion]:
    """The best `limit` answers, each in the wording for `language` where it has one.

    `question_lists` holds what each matcher found, `answers` the approved wordings by their id
    (``12:fr``); ids that are not among them (an index that is older than the base) are left out.
    Empty where not even the best one reaches a band.
    `yardsticks` come from `measure`, by matcher. Bands are a scale and not yet a promise: see `hub.rules.ranking`.
    """
    found = {
        matcher: [
            Scored(answer_of(one.answer), one.score / _yardstick(yardsticks, matcher, answers[one.answer].language))
            for one in scored
            if one.answer in answers
        ]
        for matcher, scored in question_lists.items()
    }
    matched = _matched(question_lists, answers)
    suggestions: list[Suggestion] = []
    merged = merge(found)
    if not merged or not band(merged[0].score):
        return []  # nothing fits: more than half of what people write has no answer in the base
    for one in merged[:limit]:
        wording = answers.get(f"{one.answer}:{language}") or answers[matched[one.answer]]
        suggestions.append(
            Suggestion(
                answer=one.answer,
                title=wording.title,
                text=wording.text,
                language=wording.language,
                score=round(one.score, 4),
                band=band(one.score) or LOWEST,
                rank=len(suggestions) + 1,
            )
        )
    return suggestions


def answer_of(wording: str) -> str:
    """The answer's own id in the id of one of its wordings (``12:fr``)."""
    return wording.partition(":")[0]


def _matched(lists: Mapping[str, Sequence[Scored]], answers: Mapping[str, Answer]) -> dict[str, str]:
    """For each answer the wording that scored best: what is shown where the customer's language lacks."""
    best: dict[str, tuple[float, str]] = {}
    for scored in lists.values():
        for one in scored:
            if one.answer in answers:
                known = best.get(answer_of(one.answer))
                if known is None or one.score > known[0]:
                    best[answer_of(one.answer)] = (one.score, one.answer)
    return {answer: wording for answer, (_, wording) in best.items()}


def _yardstick(yardsticks: Mapping[str, Yardsticks] | None, matcher: str, language: str) -> float:
    return (yardsticks or {}).get(matcher, {}).get(language, YARDSTICK)


def measure(ask: Ask, answers: Sequence[Answer]) -> Yardsticks:
    """A matcher's yardsticks on this base: what it gives answers for their own titles, 50 a language at most."""
    by_language: dict[str, list[Answer]] = {}
    for answer in answers:
        by_language.setdefault(answer.language, []).append(answer)
    return {language: yardstick(_own_scores(ask, some)) for language, some in by_language.items()}


def _own_scores(ask: Ask, answers: Sequence[Answer]) -> list[float]:
    scores = []
    for answer in answers[:: max(1, len(answers) // _SAMPLE)][:_SAMPLE]:
        found = ask(answer.title, answer.language, 5)
        scores.append(next((one.score for one in found if one.answer == answer.id), 0.0))
    return scores
