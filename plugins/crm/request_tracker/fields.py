"""The enriched case as values of custom fields, and what a ticket holds of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from hub.locale import text
from hub.sdk import Case, ConfigError, OrderOnCase, Proof

from .settings import FieldNames

_SHORT = 200
_CONTROLS = {c: None for c in range(32) if chr(c) not in "\n\t"}


def case_values(case: Case, names: FieldNames, language: str) -> dict[str, str]:
    """Values by custom-field name, for every field of the vocabulary that has a name but `answers`."""
    found = {
        names.case: case.number,
        names.order: ", ".join(o.number for o in case.orders),
        names.order_state: order_states(case.orders, language),
        names.sender: sender(case, language),
        names.language: case.language,
        names.customer: case.customer.name,
        names.segment: case.customer.segment,
        names.earlier_cases: str(case.customer.earlier_cases),
        names.timeline: case.link,
    }
    return {name: one_line(value) for name, value in found.items() if name}


def sender(case: Case, language: str) -> str:
    """Who wrote, and whether that is proven."""
    return f"{case.requester.value} ({proof_word(case.proof, language)})"


def proof_word(proof: Proof, language: str) -> str:
    return text(language, f"desk.proof.{proof}")


def order_states(orders: Sequence[OrderOnCase], language: str) -> str:
    """The state of each order; with its number where there are several."""
    many = len(orders) > 1
    return "; ".join(f"{o.number}: {order_state(o, language)}" if many else order_state(o, language) for o in orders)


def order_state(order: OrderOnCase, language: str) -> str:
    """The state of one order and how sure it is that the writer may know it."""
    state = order.state if order.known else text(language, "desk.order.unknown")
    proof = proof_word(order.proof, language)
    return f"{state} ({proof})" if state else proof


def one_line(value: str) -> str:
    """`value` as a single-line field can hold it."""
    return re.sub(r"\s+", " ", clean(value)).strip()


def clean(value: str) -> str:
    """`value` with bare line feeds and without control characters: JSON carries NUL, databases do not."""
    return value.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS)


def held(ticket: Mapping[str, Any]) -> dict[str, str]:
    """What a ticket's custom fields hold, by name; fields without a value are there, empty."""
    fields = ticket.get("CustomFields") or ()
    return {f["name"]: "\n".join(str(v) for v in f.get("values") or () if v is not None) for f in fields}


def differing(wanted: Mapping[str, str], ticket: Mapping[str, Any]) -> dict[str, str | None]:
    """The part of `wanted` the ticket does not hold yet, as RT takes it: None removes a value.

    Fields the ticket's queue does not have are left out: RT would drop them in silence.
    """
    there = held(ticket)
    return {
        name: value or None
        for name, value in wanted.items()
        if name in there and clean(there[name]).strip() != value.strip()
    }


def shortened(changed: Mapping[str, str | None], ticket: Mapping[str, Any]) -> dict[str, str]:
    """A short value for each field that is to be emptied and holds a long one.

    RT looks for a value to remove among the short ones only (255 bytes; longer ones lie in another
    column), finds none, and answers 200: agents would go on reading yesterday's answers.
    """
    there = held(ticket)
    return {n: "-" for n, value in changed.items() if value is None and len(there[n].encode()) > _SHORT}


def require_case_field(name: str, queue: str, existing: Iterable[str]) -> None:
    """Raise ConfigError, with a guess at what was meant, unless the queue has the field of the case number."""
    names = sorted(existing)
    if name not in names:
        raise ConfigError(
            f"queue {queue} has no custom field {name!r} that the hub's user may see{meant(name, names)}",
            path="fields.case",
        )


def meant(name: str, existing: Iterable[str]) -> str:
    """`; did you mean ...` or what there is, as the end of a sentence."""
    names = sorted(existing)
    folded = {n.casefold(): n for n in names}
    close = get_close_matches(name.casefold(), list(folded), n=1)
    if close:
        return f"; did you mean {folded[close[0]]!r}?"
    return f"; there are: {', '.join(names)}" if names else "; it has none"
