"""What became of the suggestions once an agent answered.

Agents greet, paste, adapt and sign, so the reply is longer than the answer it was made from. What
counts is how much of the suggested text stands in the reply, in runs of at least three words:
single words and pairs meet by chance in any two letters of one trade.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from rapidfuzz.distance import LCSseq

from hub.sdk import Outcome

EDITED = 0.6
"""From this containment on it was used and adapted."""

_RUN = 3
_WORDS = 2_000
_WORD = re.compile(r"\w+")


def judge(reply: str, suggested: Sequence[str]) -> list[tuple[Outcome, float]]:
    """An outcome and a containment (0..1) for each suggested text, in their order.

    `reply` is the agent's new text, without the mail it quotes. The best contained suggestion is
    USED where it stands in the reply word for word (a greeting before it and a name under it are
    no change; "two days" for "three days" is one), else EDITED from 0.6 on; all the others are
    then IGNORED. Where none reaches 0.6 the agent wrote something else: every one is OTHER. Equal
    containments go to the longer text (one answer may stand inside another), then to the first.
    """
    words = _words(reply)
    wordings = [_words(text) for text in suggested]
    contained = [_containment(words, wording) for wording in wordings]
    best = max(range(len(suggested)), key=lambda i: (contained[i], len(wordings[i]), -i), default=-1)
    if best < 0 or contained[best] < EDITED:
        return [(Outcome.OTHER, share) for share in contained]
    outcome = Outcome.USED if _stands_in(words, wordings[best]) else Outcome.EDITED
    return [(outcome if i == best else Outcome.IGNORED, share) for i, share in enumerate(contained)]


def _words(text: str) -> list[str]:
    """Case, accents, punctuation and line breaks are what mail programs change on the way."""
    folded = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return _WORD.findall(folded)[:_WORDS]


def _stands_in(reply: list[str], suggested: list[str]) -> bool:
    """Whether all of `suggested` stands in `reply`, in one piece."""
    return f" {' '.join(suggested)} " in f" {' '.join(reply)} "


def _containment(reply: list[str], suggested: list[str]) -> float:
    """The share of `suggested`'s words that stand in `reply` in order and in runs of three or more."""
    if not suggested or not reply:
        return 0.0
    shortest = min(_RUN, len(suggested))
    blocks = (op for op in LCSseq.opcodes(suggested, reply) if op.tag == "equal")
    shared = sum(op.src_end - op.src_start for op in blocks if op.src_end - op.src_start >= shortest)
    return shared / len(suggested)
