"""Which case a message continues (hub/rules/threading.py)."""

import random

from hypothesis import given
from hypothesis import strategies as st

from hub.rules.threading import choose


def test_nothing_known_is_a_new_case() -> None:
    assert choose([], {}) is None
    assert choose(["<a@x>"], {"<b@x>": [(1, 10)]}) is None
    assert choose(["<a@x>"], {"<a@x>": []}) is None


def test_the_oldest_known_reference_decides() -> None:
    known = {"<root@x>": [(7, 100)], "<later@x>": [(9, 50)]}
    assert choose(["<unseen@x>", "<root@x>", "<later@x>"], known) == 7
    assert choose(["<later@x>", "<root@x>"], known) == 9


def test_of_several_cases_the_one_opened_first() -> None:
    assert choose(["<a@x>"], {"<a@x>": [(5, 300), (8, 200), (6, 200)]}) == 6


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 5)), min_size=1), st.randoms(use_true_random=False))
def test_the_order_of_rows_makes_no_difference(rows: list[tuple[int, int]], shuffle: random.Random) -> None:
    other = list(rows)
    shuffle.shuffle(other)
    assert choose(["<a@x>"], {"<a@x>": rows}) == choose(["<a@x>"], {"<a@x>": other})
