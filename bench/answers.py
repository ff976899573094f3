"""How often the right answer stands first, or among the first three, with the Whoosh matcher.

    python bench/answers.py [--mail] [folder]

`folder` holds answer sets as JSON: {name, lang, kb: [{id, question, answer, examples}],
test: [{text, gold: [ids]}]}. Without one, `answers` in $TRESSE_SHARED or in ../shared is taken;
where there is none, there is nothing to measure. `k` is how many known phrasings each answer has.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import requests

from hub.clock import SystemClock
from hub.rules.question import question
from hub.sdk import Answer, Context
from plugins.matchers.whoosh.matcher import WhooshMatcher, WhooshSettings

SETS = (("cnil_fr", (0,)), ("banking77_en", (0, 1, 5, 20)), ("clinc150_en", (5,)))
MOST = 800
WRAPPED = {
    "fr": "Bonjour Madame, Monsieur,\n\nJ'espère que vous allez bien. Je vous écris car je suis client chez vous "
    "depuis longtemps.\n{}\nMerci d'avance pour votre aide.\nCordialement,\nJean Dupont\n06 12 34 56 78",
    "en": "Dear Sir or Madam,\n\nI hope you are well. I am writing to you because I have been a customer for a long "
    "time.\n{}\nThank you in advance for your help.\nKind regards,\nJohn Smith",
}


def folder_of(arguments: list[str]) -> Path | None:
    root = Path(__file__).resolve().parents[1]
    shared = Path(os.environ.get("TRESSE_SHARED", root.parent / "shared"))
    folder = Path(arguments[0]) if arguments else shared / "answers"
    return folder if folder.is_dir() else None


def matcher_in(folder: str) -> WhooshMatcher:
    context = Context(
        id="bench",
        log=None,  # type: ignore[arg-type]  # it logs nothing
        http=requests.Session(),
        state=None,  # type: ignore[arg-type]
        stop=threading.Event(),
        now=SystemClock().now,
        random=random.Random(1),
        hub={"data": folder},
    )
    return WhooshMatcher(WhooshSettings(), context)


def answers_of(base: dict, phrasings: int) -> list[Answer]:
    return [
        Answer(str(one["id"]), base["lang"], one["question"], one["answer"], tuple(one["examples"][:phrasings]))
        for one in base["kb"]
    ]


def measure(base: dict, phrasings: int, *, mail: bool) -> str:
    with tempfile.TemporaryDirectory() as folder:
        matcher = matcher_in(folder)
        started = time.process_time()
        matcher.index(answers_of(base, phrasings), "1")
        built = time.process_time() - started
        right, top, inside, outside, spent = [], [], [], [], []
        for one in base["test"][:MOST]:
            text = one["text"]
            if mail:
                text = question("", WRAPPED[base["lang"]].format(text))[0]
            started = time.process_time()
            found = matcher.suggest(text, base["lang"], 3)
            spent.append(1000 * (time.process_time() - started))
            (inside if one["gold"] else outside).append(found[0].score if found else 0.0)
            if one["gold"]:
                right.append(bool(found) and found[0].answer in one["gold"])
                top.append(any(s.answer in one["gold"] for s in found))
    line = f"R1 {statistics.mean(right):.3f}  R3 {statistics.mean(top):.3f}"
    if outside:
        wins = sum((a > b) + (a == b) / 2 for a in inside for b in outside)
        line += f"  silence (AUC) {wins / len(inside) / len(outside):.3f}"
    spent.sort()
    return (
        f"{line}  p50 {spent[len(spent) // 2]:.2f} ms  p95 {spent[int(len(spent) * 0.95)]:.2f} ms  build {built:.2f} s"
    )


def main() -> None:
    arguments = [a for a in sys.argv[1:] if a != "--mail"]
    folder = folder_of(arguments)
    if folder is None:
        print("bench/answers.py: skipped, there is no folder of answer sets")
        return
    for name, counts in SETS:
        file = folder / f"{name}.json"
        if not file.exists():
            print(f"{name}: skipped, not there")
            continue
        base = json.loads(file.read_text("utf-8"))
        for phrasings in counts:
            print(f"{name:14} k={phrasings:<3} {measure(base, phrasings, mail='--mail' in sys.argv)}", flush=True)


if __name__ == "__main__":
    main()
