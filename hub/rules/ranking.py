"""Several matchers' raw scores, made one list.

A raw score means nothing outside its matcher and its knowledge base: BM25 sums have no ceiling,
cosines end at 1, and thresholds do not carry over. But every base holds questions whose right
answer is known: its own titles. What a matcher gives the right answer for those is its *yardstick*
on this base, and `tanh(score / yardstick)` is comparable: it keeps the order, ends below 1, and a
question that repeats a title comes to about 0.76.

That is a scale, not a calibration: what the bands promise is only known once a base is calibrated
on what agents used. Measured on two English and one French base, answers in the band "sure" were
right four times in five, "likely" three in five, "perhaps" one in three; yours may differ. A score
alone never justifies an automatic answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, tanh
from statistics import median

from hub.sdk import Scored

YARDSTICK = 10.0
"""Where none was measured: what BM25 gives a title in a base of some hundred answers."""

BANDS = (("sure", 0.65), ("likely", 0.45), ("perhaps", 0.25))
"""The lowest score of each band. Below the last one an answer is not worth an agent's time."""


def band(score: float) -> str:
    """``sure``, ``likely``, ``perhaps``, or an empty string for a score (0..1) below them all."""
    return next((name for name, lowest in BANDS if score >= lowest), "")


def yardstick(scores: Sequence[float]) -> float:
    """The yardstick from the raw scores that right answers got for their own titles."""
    found = [score for score in scores if score > 0 and isfinite(score)]
    return median(found) if found else YARDSTICK


def merge(lists: Mapping[str, Sequence[Scored]]) -> list[Scored]:
    """One list with scores of 0..1, highest first, each answer once with its mean over the matchers.

    The scores in `lists` are in yardsticks: raw scores divided by their matcher's yardstick.

    Scores are averaged, not ranks: fused ranks order well and are useless for keeping silent. A
    matcher that did not find an answer gives it 0; one that found nothing at all has no say (it may
    not know the language, or be ill).
    """
    asked = {matcher: scored for matcher, scored in lists.items() if scored}
    total: dict[str, float] = {}
    for scored in asked.values():
        for answer, score in _best(scored).items():
            total[answer] = total.get(answer, 0.0) + tanh(score)
    merged = [Scored(answer, score / len(asked)) for answer, score in total.items()]
    return sorted(merged, key=lambda one: (-one.score, one.answer))


def _best(scored: Sequence[Scored]) -> dict[str, float]:
    """Each answer's best score; one that is negative or no number at all counts as nothing."""
    best: dict[str, float] = {}
    for one in scored:
        best[one.answer] = max(one.score if isfinite(one.score) else 0.0, best.get(one.answer, 0.0))
    return best
