"""Configured components, alive: called on their own threads, watched, and kept away from while sick.

Every call into a plugin goes through `Instance.call`. It gives the call a time limit, turns
what happens into the instance's health, and opens the circuit when the far side is away, so
that one sick instance costs the others nothing.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, TypeVar

import requests

from hub.circuit import RED_RETRY, Health
from hub.clock import Clock
from hub.config import Section
from hub.http import GuardedSession
from hub.log import place
from hub.pace import NoTurn, Pace, TooSoon, TurnUnknown
from hub.sdk import Component, ConfigError, Rejected, Unavailable, abilities_of
from hub.sides import IN, OUT, Sides
from hub.store import Store
from hub.store.sides import Said
from hub.threads import Executor

T = TypeVar("T")

CALL_LIMIT = 30.0
"""Seconds a call into a component may take where its section does not say otherwise."""
VISITS = 4
"""Calls at most that callers of one instance make on threads of their own (`Instance.visit`)."""
CLOSING = 1.0
"""Seconds the components have to close, all at once: a server that does not answer must not hold up the stop."""


class Bug(Exception):
    """A component raised something that is not one of the four words."""


class Instance:
    """One section of the configuration, alive."""

    def __init__(self, section: Section, component: Component[Any], lend: Lend, pace: Pace | None = None) -> None:
        self.id, self.kind, self.section, self.options = section.id, section.kind, section, section.options
        self.component = component
        self.abilities = frozenset(abilities_of(component))
        self.log = component.context.log
        self._lend = lend
        self._calls = lend.threads(f"{section.id}-call", self.options.threads)
        self.reads = lend.threads(f"{section.id}-read", 1)  # for `read` alone: it never waits for the network
        self._lock = threading.Lock()
        self._hung = self._visits = 0
        self._under_way: set[str] = set()
        self.sides = Sides(section.id, lend.store, lend.clock, lend.random)
        self.pace = pace or Pace(section.id, lend.store, lend.clock, lend.stop, section.options.spacing)
        self.paused = False
        """An admin's word: nothing comes in by itself and nothing goes out (set from the rows: `adopt`)."""

    def adopt(self, said: Said) -> None:
        """What was decided or heard elsewhere: by an admin, by another process."""
        self.paused = said.paused
        self.pace.adopt(said.heeds_until)

    def has(self, ability: str) -> bool:
        """Whether the component has `ability` (a name from hub.sdk.ABILITIES)."""
        return ability in self.abilities

    @property
    def limit(self) -> float:
        """Seconds a call may take; where its limit spaces requests far apart, as long as a few of them need."""
        return self.options.timeout or max(CALL_LIMIT, self.pace.call)

    @property
    def settle(self) -> float:
        """Seconds its far side may work on after a call has ended; 0 for a blind one, where nobody can look."""
        return float(getattr(self.component, "settle", 0.0)) if self.has("Finds") else 0.0

    @property
    def health(self) -> Health:
        """How the instance is: as its sickest side."""
        return self.sides.whole()

    # -- calling ---------------------------------------------------------------------------

    def call(
        self,
        function: Callable[..., T],
        *args: Any,
        timeout: float | None = None,
        judged: bool = True,
        once: str = "",
    ) -> T:
        """Run a component's method on the instance's own threads.

        Raises one of the four words, or `Bug`. A call that outlives its limit (seconds) raises
        Unavailable(maybe_done=True): it may still be at work. While it is, another one with the
        same `once` is refused. `judged` is for calls whose outcome says something about the far side.
        Raises TooSoon where its limit leaves no turn within the call's own time.
        """
        if once and once in self._under_way:
            self._nobody_called(judged=judged)
            raise Unavailable("an earlier call for the same thing has not ended", maybe_done=True)
        if self._hung >= self._calls.size:
            stuck = Unavailable("every thread of this instance is stuck in a call that does not return")
            self._judge(stuck, judged=judged)
            raise stuck
        limit = timeout or self.limit
        work = self.pace.paid(function, limit) if judged else function
        end = self._lend.clock.monotonic() + limit
        while True:
            try:
                result = self._result(self._calls.submit(work, *args), limit, once, judged=judged)
            except TooSoon as early:
                # Meanwhile it keeps no thread: what is pushed needs no turn, and must not wait behind it.
                if not self.pace.waits(early.retry_after or 0.0, end):
                    self._nobody_called(judged=judged)
                    raise
            else:
                if judged:
                    self.succeeded()
                return result

    def visit(self, function: Callable[..., T], *args: Any) -> T:
        """Run a method that takes what is pushed, on the caller's thread: handing it over costs more than the work.

        Raises what `call` raises. One that hangs would keep the caller for good, so only a few are at it at a time;
        whoever comes meanwhile, or behind those that hang, has the instance's threads and its time limit.
        """
        with self._lock:
            full = self._visits >= VISITS
            self._visits += not full
        if full:
            return self.call(function, *args, judged=False)
        try:
            return function(*args)
        except BaseException as error:  # noqa: BLE001 - told as one of the four words
            self._raise(error, judged=False)
        finally:
            with self._lock:
                self._visits -= 1

    def _result(self, future: Future[T], limit: float, once: str, *, judged: bool) -> T:
        """What a call returns or raises, within `limit` seconds, and what that says about the far side."""
        try:
            return future.result(limit)
        except TimeoutError as error:
            if future.done() and not future.cancelled():  # the component's own TimeoutError
                self._raise(error, judged=judged)
            if future.cancel():  # it never began, and now never will
                away = Unavailable(f"no free thread within {limit:g} s")
            else:
                self._count_hung(future, once)
                away = Unavailable(f"no answer within {limit:g} s", maybe_done=True)
            self._judge(away, judged=judged)
            raise away from error
        except BaseException as error:  # noqa: BLE001 - also sys.exit() and panics of extensions: our thread goes on
            self._raise(error, judged=judged)

    def _raise(self, error: BaseException, *, judged: bool) -> NoReturn:
        """Tell what a component raised in one of the four words, and note what that says about the far side."""
        if isinstance(error, KeyboardInterrupt | TooSoon):
            raise error
        if isinstance(error, TurnUnknown):
            self._nobody_called(judged=judged)
            raise error.ill from None
        if isinstance(error, TimeoutError):
            away = Unavailable(str(error) or "timed out", maybe_done=True)
            self._judge(away, judged=judged)
            raise away from error
        self._judge(error, judged=judged)
        if isinstance(error, ConfigError | Unavailable | Rejected):
            raise error
        raise Bug(f"{type(error).__name__} in {self.component.name}") from error

    def _count_hung(self, future: Future[Any], once: str) -> None:
        def back(_: Future[Any]) -> None:
            with self._lock:
                self._hung -= 1
                self._under_way.discard(once)

        with self._lock:
            self._hung += 1
            if once:
                self._under_way.add(once)
        future.add_done_callback(back)

    def _judge(self, error: BaseException, *, judged: bool) -> None:
        if judged:
            self.failed(error)
        elif not isinstance(error, ConfigError | Unavailable | Rejected):
            self._log_bug(error)

    # -- the circuit -----------------------------------------------------------------------

    def ready(self, side: str = OUT) -> bool:
        """Whether a call makes sense now. While the circuit is open, True once per retry: the probe."""
        return not self.paused and self.sides.ready(side)

    def waits(self, side: str = OUT) -> bool:
        """Whether a call makes no sense now; for those who only want to know."""
        return self.paused or self.sides.waits(side)

    def _nobody_called(self, *, judged: bool) -> None:
        """If this was the circuit's probe, another one may try."""
        if judged:
            self.give_back()

    def give_back(self, side: str = OUT) -> None:
        """The caller was told "ready" and called nobody: somebody else may."""
        self.sides.give_back(side)

    def retry_at(self, side: str = OUT) -> datetime | None:
        """When the far side is tried again; None where it is well."""
        return self.sides[side].retry_at

    def succeeded(self, side: str = OUT) -> None:
        """The far side answered: close the circuit, and say so once."""
        before, after = self.sides.good(side)
        if before.state != "green" and after.state == "green":
            away = self._lend.clock.now() - before.since  # the other side may be well since yesterday
            self.log.info("returned", after_seconds=round(away.total_seconds(), 1))

    def failed(self, error: BaseException, side: str = OUT) -> None:
        """Note what a call ran into. Rejected is an answer like any other."""
        if isinstance(error, TooSoon | NoTurn):
            self.give_back(side)
        elif isinstance(error, Rejected):
            self.succeeded(side)
        elif isinstance(error, ConfigError):
            self._sick("red", str(error), side, RED_RETRY)
        elif isinstance(error, Unavailable):
            self._sick("amber", str(error), side, error.retry_after)
        elif side == IN:
            # Nothing comes in while this lasts, so it is not one item's trouble: somebody must know.
            reason = f"a bug in the plugin {self.component.name} ({type(error).__name__}); the log says where"
            if self._sick("red", reason, side, RED_RETRY):
                self._log_bug(error)
        else:
            self.give_back(side)
            self._log_bug(error)

    def _log_bug(self, error: BaseException) -> None:
        # An exception's text may quote a customer: its place is logged, its words only at DEBUG.
        self.log.error("bug", error=type(error).__name__, where=place(error))
        self.log.debug("bug in words", text=str(error))

    def _sick(self, state: str, reason: str, side: str, wait: float | None) -> bool:
        """Open the circuit of a side; True when that is news."""
        before, after, news = self.sides.bad(side, state, reason, wait)
        if before.state != after.state:
            self.log.warning("gone" if after.state == "amber" else "needs attention", reason=after.reason)
        return news

    def begin_close(self) -> Future[None]:
        """Start closing the component, on a thread of its own: those for calls may all be stuck."""
        closer = self._lend.threads(f"{self.id}-close", 1)
        future = closer.submit(self.component.close)
        closer.close()
        self._calls.close()
        self.reads.close()
        return future

    def end_close(self, closing: Future[None], seconds: float) -> None:
        """Wait for it a little; a component that fails to close, or hangs, does not stop the others."""
        try:
            closing.result(max(0.0, seconds))
        except BaseException as error:  # noqa: BLE001 - whatever a plugin does at its end must not stop the stop
            self.log.warning("close failed", error=type(error).__name__)


@dataclass(frozen=True, slots=True)
class Lend:
    """What the hub lends its instances."""

    store: Store
    clock: Clock
    random: random.Random
    key: bytes
    stop: threading.Event
    threads: Callable[[str, int], Executor]
    session: Callable[[Collection[str]], requests.Session] = GuardedSession
    """Makes the HTTP session of an instance from the hosts inside that it may reach."""
