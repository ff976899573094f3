"""Order numbers in a text (hub/rules/orders.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.rules.orders import compile_patterns, find_orders
from hub.sdk import ConfigError
from tests.cheap import cheap

PATTERNS = compile_patterns([r"CMD-\d{4}-\d{4}", r"order\s+#(\d{5,8})"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ma commande CMD-2026-0042.", ("CMD-2026-0042",)),
        ("cmd-2026-0042 et (CMD-2026-0007)", ("CMD-2026-0042", "CMD-2026-0007")),
        ("CMD-2026-0042, encore CMD-2026-0042", ("CMD-2026-0042",)),
        ("CMD\u20112026\u20130042", ("CMD-2026-0042",)),  # dashes as phones type them
        ("Order #123456 then CMD-2026-0001", ("123456", "CMD-2026-0001")),
        ("CMD-2026-00421", ()),  # another number, not this one with a tail
        ("XCMD-2026-0042", ()),
        ("", ()),
    ],
)
def test_found(text: str, found: tuple[str, ...]) -> None:
    assert find_orders(text, PATTERNS) == found


def test_without_patterns_nothing_is_found() -> None:
    assert find_orders("CMD-2026-0042", ()) == ()


def test_a_report_is_not_read_to_its_end() -> None:
    text = " ".join(f"CMD-2026-{n:04}" for n in range(9999))
    assert len(find_orders(text, PATTERNS)) == 20


@pytest.mark.parametrize("wrong", ["CMD-(", r"\d*", "", "[a-"])
def test_a_wrong_pattern_is_named(wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_patterns([r"\d{8}", wrong])
    assert repr(wrong) in str(caught.value)
    assert caught.value.path == "order_patterns"


@given(st.lists(st.integers(0, 9999), min_size=1, max_size=10, unique=True))
def test_numbers_come_in_the_order_they_are_written(numbers: list[int]) -> None:
    written = [f"CMD-2026-{n:04}" for n in numbers]
    assert find_orders(" x ".join(written), PATTERNS) == tuple(written)


def test_it_costs_little() -> None:
    text = "Bonjour, je n'ai pas reçu ma commande CMD-2026-0042. " * 10
    with cheap(0.2):
        for _ in range(200):
            find_orders(text, PATTERNS)
