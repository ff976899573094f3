"""What agents read in the ticket: the best answers, ready to paste, and the facts that no field shows.

The texts are in hub/locale/desk.toml.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from hub.locale import text
from hub.sdk import Case, Message, OrderOnCase, Suggestion

from .fields import clean, one_line, order_state, order_states, sender
from .settings import FieldNames

BEST = 3
"""More answers than an agent reads are none."""


def mark(key: str) -> str:
    """The name of an effect in Request Tracker: what `find` looks for. ASCII, whatever the key holds."""
    return hashlib.sha256(key.encode()).hexdigest()[:20]


def subject(number: str, name: str) -> str:
    """A comment's subject. RT keeps it among the headers, which can be searched without a full-text index."""
    return f"Tresse {number} [{name}]".encode("ascii", "replace").decode()


def answers_text(suggestions: Sequence[Suggestion], language: str) -> str:
    """The best answers: title, score, and the words, each ready to paste."""
    best = sorted(suggestions, key=lambda s: s.rank)[:BEST]
    return "\n\n".join(_answer(place, s, language) for place, s in enumerate(best, 1))


def _answer(place: int, suggestion: Suggestion, language: str) -> str:
    band = text(language, f"desk.band.{suggestion.band or 'none'}")
    percent = text(language, "desk.answer.percent", value=round(suggestion.score * 100))
    head = text(
        language, "desk.answer.title", place=place, title=one_line(suggestion.title), band=band, percent=percent
    )
    return f"{head}\n\n{clean(suggestion.text).strip()}"


def suggestions_comment(
    case: Case, suggestions: Sequence[Suggestion], names: FieldNames, language: str, name: str
) -> str:
    """The one internal comment per customer message."""
    best = answers_text(suggestions, language)
    parts = [
        text(language, "desk.comment.title", number=case.number),
        "\n".join(_facts(case, names, language)),
        f"{text(language, 'desk.comment.answers')}\n\n{best}" if best else text(language, "desk.comment.no_answers"),
        footer(case.number, name),
    ]
    return "\n\n".join(part for part in parts if part)


def words_comment(case: Case, message: Message, language: str, name: str) -> str:
    """A message that cannot be filed under the customer's name: a machine's, or one without an address."""
    key = "automatic" if message.automatic else "words"
    head = text(language, f"desk.comment.{key}", who=one_line(message.sender.value), subject=one_line(message.subject))
    return f"{head}\n\n{clean(message.text).strip()}\n\n{footer(case.number, name)}"


def footer(number: str, name: str) -> str:
    return f"-- \nTresse {number} · {name}"


def _facts(case: Case, names: FieldNames, language: str) -> list[str]:
    """A line for every fact that has no field in Request Tracker."""
    customer = case.customer
    found = [
        ("sender", "" if names.sender else sender(case, language)),
        ("customer", "" if names.customer else customer.name),
        ("segment", "" if names.segment else customer.segment),
        ("earlier_cases", "" if names.earlier_cases else str(customer.earlier_cases)),
        ("language", "" if names.language else case.language),
        ("order", "" if names.order else ", ".join(o.number for o in case.orders)),
        ("order_state", "" if names.order_state else order_states(case.orders, language)),
        ("channel", " · ".join(filter(None, (case.brand, case.channel)))),
        ("timeline", "" if names.timeline else case.link),
    ]
    lines = [_line(text(language, f"desk.fact.{key}"), value, language) for key, value in found if value]
    for order in case.orders:
        lines += _order_facts(order, language)
    return [*lines, *(_line(one_line(k), v, language) for k, v in customer.facts.items() if v)]


def _order_facts(order: OrderOnCase, language: str) -> list[str]:
    facts = {k: v for k, v in order.facts.items() if v and k != "owner"}
    lines = [_line(f"{order.number} · {one_line(key)}", value, language) for key, value in facts.items()]
    if order.facts.get("owner") == "other":
        # Two customers and one order: the agent must know before a word about it is written.
        warning = text(language, "desk.order.other_owner", number=order.number, state=order_state(order, language))
        lines.insert(0, warning)
    return lines


def _line(name: str, value: str, language: str) -> str:
    return text(language, "desk.fact.line", name=name, value=one_line(value))
