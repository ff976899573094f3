"""Several matchers' scores in one list (hub/rules/ranking.py)."""

import math

from hypothesis import given
from hypothesis import strategies as st

from hub.rules.ranking import YARDSTICK, band, merge, yardstick
from hub.sdk import Scored


def test_bands() -> None:
    assert [band(s) for s in (0.9, 0.65, 0.5, 0.45, 0.3, 0.25, 0.2, 0.0)] == [
        *("sure", "sure", "likely", "likely", "perhaps", "perhaps", "", ""),
    ]


def test_the_yardstick_is_the_median_of_what_was_found() -> None:
    assert yardstick([4.0, 0.0, 6.0, 5.0, -1.0, math.nan]) == 5.0
    assert yardstick([]) == yardstick([0.0]) == YARDSTICK


def test_a_question_that_repeats_a_title_is_sure() -> None:
    (one,) = merge({"m": [Scored("1", 1.0)]})
    assert band(one.score) == "sure"


def test_matchers_are_averaged_and_those_that_found_nothing_have_no_say() -> None:
    lists = {"a": [Scored("1", 1.0), Scored("2", 0.8)], "b": [Scored("2", 1.8)], "ill": []}
    merged = merge(lists)
    assert [one.answer for one in merged] == ["2", "1"]
    assert merged[1].score == math.tanh(1.0) / 2


def test_an_answer_named_twice_counts_once() -> None:
    assert merge({"a": [Scored("1", 3.0), Scored("1", 7.0)]}) == merge({"a": [Scored("1", 7.0)]})


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(allow_nan=True)), max_size=20))
def test_scores_are_ordered_bounded_and_unique(found: list[tuple[str, float]]) -> None:
    merged = merge({"m": [Scored(a, s) for a, s in found]})
    scores = [one.score for one in merged]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= s <= 1.0 for s in scores)
    assert len({one.answer for one in merged}) == len(merged)


@given(st.floats(0.1, 40), st.floats(0.1, 40))
def test_one_matchers_order_is_kept(one: float, two: float) -> None:
    merged = {s.answer: s.score for s in merge({"m": [Scored("1", one), Scored("2", two)]})}
    assert (one >= two) == (merged["1"] >= merged["2"]) or merged["1"] == merged["2"]
