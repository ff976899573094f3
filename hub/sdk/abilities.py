"""Abilities: small protocols a component has by having the method. The hub asks for these, never for names.

A writing ability receives an `Effect`. Without a key the far side honours and without `Finds`,
it is *blind* and declares so (`blind = True`): after a crash in the middle the hub shows
"unsure" and does not repeat it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

from hub.sdk.cases import Case, Effect, Hit, Outgoing, Suggestion
from hub.sdk.exchange import Accepted, Request
from hub.sdk.values import Event, Identity, Message, OrderFacts, Page, Profile, Raw

Cursor = Mapping[str, Any]


@runtime_checkable
class Reads(Protocol):
    """Bytes to messages. Pure: from the raw and the settings alone, so it runs again years later."""

    def read(self, raw: Raw) -> list[Message | Event]: ...


@runtime_checkable
class Polls(Protocol):
    """Asked from time to time. Asking for the next page says that the last is stored."""

    interval: float  # seconds between polls

    def poll(self, cursor: Cursor) -> Iterator[Page]: ...


@runtime_checkable
class Listens(Protocol):
    """The same, long-lived and supervised: yields pages as things arrive, ends when `context.stop` is set.

    A page without raws says "alive" and keeps the supervisor content.
    """

    def listen(self, cursor: Cursor) -> Iterator[Page]: ...


@runtime_checkable
class Accepts(Protocol):
    """Takes an HTTP request; the signature is checked on the raw body; the reply leaves after the commit."""

    def accept(self, request: Request) -> Accepted: ...


@runtime_checkable
class Finds(Protocol):
    """Looks for an effect on the far side before it is repeated; returns its id or None.

    `settle` is how many seconds an interrupted call may still be at work over there; the hub
    waits that long after a crash before it looks.
    """

    settle: ClassVar[float]

    def find(self, ability: str, effect: Effect) -> str | None: ...


@runtime_checkable
class Sends(Protocol):
    """Sends to a customer. Returns the far side's id (for mail: the Message-ID)."""

    blind: ClassVar[bool]

    def send(self, outgoing: Outgoing, effect: Effect) -> str: ...


@runtime_checkable
class Drafts(Protocol):
    """A draft reply where the agent writes; updated, never repeated. Returns its id."""

    def draft(self, case: Case, message: Message, suggestions: list[Suggestion], effect: Effect) -> str: ...


@runtime_checkable
class KnowsCustomers(Protocol):
    """Several profiles are listed, never joined."""

    def find_customers(self, identity: Identity) -> list[Profile]: ...


@runtime_checkable
class KnowsOrders(Protocol):
    """Order facts by number, or None."""

    def find_order(self, number: str) -> OrderFacts | None: ...


@runtime_checkable
class KeepsCases(Protocol):
    """Upsert: the same input gives the same state. Returns the far side's id of the case."""

    def save_case(self, case: Case, effect: Effect) -> str: ...


@runtime_checkable
class AddsMessages(Protocol):
    """The customer's further words, written there as the customer. `effect.known['case']` is the case."""

    def add_message(self, case: Case, message: Message, effect: Effect) -> str: ...


@runtime_checkable
class ShowsSuggestions(Protocol):
    """Field, draft or note; updated where the desk can, else one note per customer message."""

    def show(self, case: Case, suggestions: list[Suggestion], effect: Effect) -> str: ...


@runtime_checkable
class ReportsChanges(Protocol):
    """Agents' replies, read incrementally. The raws are read by the same component's `read`."""

    interval: float

    def changes(self, cursor: Cursor) -> Iterator[Page]: ...


@runtime_checkable
class Speaks(Protocol):
    """Tells whether the far side itself acknowledged a case: two voices are one too many.

    Returns a sentence that says what spoke, or an empty string; None while it cannot be told yet.
    """

    def speaks(self, remote_case: str) -> str | None: ...


@runtime_checkable
class SearchesAnswers(Protocol):
    """Search for people, with highlighting."""

    def search(self, words: str, language: str, limit: int) -> list[Hit]: ...


ABILITIES: dict[str, type[Any]] = {
    a.__name__: a
    for a in (
        Reads,
        Polls,
        Listens,
        Accepts,
        Finds,
        Sends,
        Drafts,
        KnowsCustomers,
        KnowsOrders,
        KeepsCases,
        AddsMessages,
        ShowsSuggestions,
        ReportsChanges,
        Speaks,
        SearchesAnswers,
    )
}


def abilities_of(component: object) -> list[str]:
    """The names of the abilities a component (or its class) has."""
    return [name for name, protocol in ABILITIES.items() if _has(component, protocol)]


def _has(component: object, protocol: type[Any]) -> bool:
    """`isinstance` for classes too: every method the protocol defines is there."""
    wanted = [n for n, v in vars(protocol).items() if not n.startswith("_") and callable(v)]
    return all(callable(getattr(component, n, None)) for n in wanted)
