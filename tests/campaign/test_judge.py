"""The judge sees what it is there to see: a clean log, then the same log spoilt in one place."""

from __future__ import annotations

from typing import Any

import pytest

from tests.campaign.judge import judge, most_in_a_second

DESKS = {"keyed": ["mail"]}


def _log() -> list[dict[str, Any]]:
    """One thread of two messages at a desk and a blind sender; process 7 was killed during a call, 8 went on."""
    owed = [("desk/keyed", "save_case", "a"), ("desk/keyed", "show", "a"), ("send/mail", "send", "a")]
    owed += [("desk/keyed", what, "b") for what in ("save_case", "add_message", "show")]
    lines: list[dict[str, Any]] = [
        {"e": "wrote", "t": 0.0, "feed": "mail", "mark": mark, "thread": "a"} for mark in ("a", "b")
    ]
    for n, (at, what, mark) in enumerate(owed, 1):
        facts = {"n": n, "at": at, "what": what, "mark": mark, "key": f"{what}/{mark}", "case": "TR-1"}
        lines += [{"e": "call", "t": n, "who": 7 if n < 2 else 8, **facts}, {"e": "effect", "t": n + 0.1, **facts}]
        lines.append({"e": "end", "t": n + 0.2, "n": n, "out": "ok"})
    return lines


def _effect(lines: list[dict[str, Any]], what: str, mark: str) -> dict[str, Any]:
    return next(one for one in lines if one["e"] == "effect" and (one["what"], one["mark"]) == (what, mark))


def test_a_clean_log():
    found = judge(_log(), (), DESKS)
    assert found.clean
    assert (found.messages, found.calls, found.raw_repeats) == (2, 6, 0)


@pytest.mark.parametrize(("what", "mark"), [("save_case", "a"), ("add_message", "b"), ("show", "b"), ("send", "a")])
def test_something_lost(what, mark):
    lines = _log()
    lines.remove(_effect(lines, what, mark))
    assert judge(lines, (), DESKS).lost == 1


def test_something_doubled():
    lines = _log()
    lines.append(_effect(lines, "show", "b"))
    assert judge(lines, (), DESKS).by_key == 1
    lines[-1] = {**lines[-1], "key": "another"}
    found = judge(lines, (), DESKS)
    assert (found.by_key, found.by_meaning) == (0, 1)


def test_one_thread_in_two_cases():
    lines = _log()
    for line in lines:
        if line.get("mark") == "b" and line["e"] == "effect":
            line["case"] = "TR-2"
    assert judge(lines, (), DESKS).by_meaning == 1


def test_words_before_their_case():
    lines = _log()
    case, words = _effect(lines, "save_case", "b"), _effect(lines, "add_message", "b")
    at, other = lines.index(case), lines.index(words)
    lines[at], lines[other] = lines[other], lines[at]
    assert judge(lines, (), DESKS).order == 1


def test_a_blind_send_repeated():
    lines = _log()
    lines.append(_effect(lines, "send", "a"))
    assert judge(lines, (), DESKS).repeated == 1


def test_a_send_whose_answer_was_lost_is_to_be_unsure():
    lines = _log()
    next(one for one in lines if one["e"] == "end" and one["n"] == 3)["out"] = "lost"
    found = judge(lines, (), DESKS)
    assert (found.in_flight, found.hidden) == (1, 1)
    found = judge(lines, [{"key": "send/a"}], DESKS)
    assert (found.in_flight, found.hidden, found.unsure, found.clean) == (1, 0, 1, True)


def test_a_kill_and_the_recovery_from_it():
    lines = _log()
    kill = [{"e": "kill", "t": 1.05, "who": 7}, {"e": "killed", "t": 1.06, "who": 7}]
    again = {**lines[2], "t": 1.5, "n": 99, "who": 8}
    found = judge([*lines[:3], *kill, again, *lines[3:]], (), DESKS)
    assert (found.kills, found.cut) == (1, 1)
    assert found.recovery == pytest.approx([0.44])
    assert found.lanes == pytest.approx([0.44])


def test_a_sliding_second():
    assert most_in_a_second([0.0, 0.5, 0.99, 1.0, 1.5]) == 3
