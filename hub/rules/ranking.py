"""Several matchers' raw scores, made one list.

A raw score means nothing outside its matcher and its knowledge base (BM25 sums have no ceiling,
cosines end at 1), and thresholds do not carry over from one base to another. Until a base is
calibrated, each matcher's scores pass through ``score / (score + half)``: it keeps their order,
ends below 1 and gives 0.5 at `half`. Bands from such scores rank; they do not promise. A score
alone never justifies an automatic answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hub.sdk import Scored

HALF = 1.0
"""The raw score that counts as 0.5 where nobody measured a better one for this matcher and base."""

BANDS = (("sure", 0.75), ("likely", 0.5), ("perhaps", 0.25))
"""The lowest score of each band. Below the last one an answer is not worth an agent's time."""


def band(score: float) -> str:
    """``sure``, ``likely``, ``perhaps``, or an empty string for a score (0..1) below them all."""
    return next((name for name, lowest in BANDS if score >= lowest), "")


def merge(lists: Mapping[str, Sequence[Scored]], halves: Mapping[str, float] | None = None) -> list[Scored]:
    """One list with scores of 0..1, highest first, each answer once with its mean over the matchers.

    Scores are averaged, not ranks: fused ranks order well and are useless for keeping silent. A
    matcher that did not find an answer gives it 0; one that found nothing at all has no say (it may
    not know the language, or be ill). `halves` are the matchers' own half-way scores.
    """
    asked = {matcher: scored for matcher, scored in lists.items() if scored}
    total: dict[str, float] = {}
    for matcher, scored in asked.items():
        half = (halves or {}).get(matcher, HALF)
        best: dict[str, float] = {}
        for one in scored:
            best[one.answer] = max(one.score, best.get(one.answer, 0.0))
        for answer, score in best.items():
            total[answer] = total.get(answer, 0.0) + score / (score + half) if score > 0 else total.get(answer, 0.0)
    merged = [Scored(answer, score / len(asked)) for answer, score in total.items()]
    return sorted(merged, key=lambda one: (-one.score, one.answer))
