"""Reading raws where they can do no harm: in child processes with limits, without secrets.

The hub asks `Readers` for what a component's `read` makes of some raws. `Children`
(hub/reading/children.py) has them read by a process of each instance; `InProcess` reads here, for
simulations, and where a component cannot be built anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hub.sdk import Component, Event, Message, Raw

Said = tuple[Message | Event, ...]


@dataclass(frozen=True, slots=True)
class Unread:
    """A raw that could not be read: the error's name for the log, and a sentence for people."""

    error: str
    reason: str


Outcome = Said | Unread
Tell = Callable[[int, Outcome], bool | None]
"""Hears the outcome of the raw at a place in the page, as soon as it is known. Says whether that is enough for now."""


class NoReaderError(Exception):
    """Nobody can read now, and no raw is to blame: they wait."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one raw may take. An ordinary mail takes a third of a millisecond and no memory worth naming."""

    wall: float = 10.0
    """Seconds until an answer."""
    cpu: int = 5
    """Seconds of processor time."""
    memory: int = 1024
    """Megabytes beyond what the process has when it begins."""


class Readers(Protocol):
    """Whoever reads."""

    def begin(self, components: Iterable[Component[Any]]) -> None:
        """Get ready for these, in the background."""

    def may_hang(self, component: Component[Any]) -> bool:
        """Whether `read` may never return, so that the caller has to leave it behind."""

    def failing(self) -> bool:
        """Whether nobody can be started to read, and raws have waited for a while because of it."""

    def read(self, component: Component[Any], raws: Sequence[Raw], tell: Tell) -> None:
        """Read `raws` in their order, until there is enough. Raises NoReaderError; what was not told is read again."""

    def end(self) -> None:
        """Let go of everything. Safe to call twice."""


class InProcess:
    """Reads in this process, on the caller's thread."""

    def begin(self, components: Iterable[Component[Any]]) -> None:
        """Nothing to get ready."""

    def may_hang(self, component: Component[Any]) -> bool:
        """A thread cannot be ended from outside."""
        return True

    def failing(self) -> bool:
        """There is nobody to be started."""
        return False

    def read(self, component: Component[Any], raws: Sequence[Raw], tell: Tell) -> None:
        """One by one: whoever waits sees how far it came."""
        for number, raw in enumerate(raws):
            if tell(number, attempt(component, raw)):
                return

    def end(self) -> None:
        """Nothing to let go of."""


def attempt(component: Any, raw: Raw) -> Outcome:
    """What a component's `read` makes of a raw; whatever it raises makes it an unread one."""
    try:
        return tuple(component.read(raw))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it was, the bytes are kept and the next mail is read
        # The words of an exception may quote the mail; the type and our own sentence say enough.
        kind = type(error).__name__
        known = type(error).__module__.startswith("hub.")
        return Unread(kind, str(error) if known else f"{kind} while it was read")
