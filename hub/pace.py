"""How fast an instance may be called: by the admin's word, and by what the far side says in its answers.

One row per instance holds the earliest time of the next call, and whoever calls moves it on in the moment
of the call. So the limit holds over all threads, lanes and hosts together. Calls are spread evenly, without
bursts: a limit of ten a second is one each tenth of a second, and a twentieth more to be sure.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from hub.clock import Clock
from hub.sdk import Unavailable
from hub.store import ILL, Store, upsert
from hub.store.health import instance

T = TypeVar("T")

SURE = 1.05
"""How much wider than the limit calls are spaced: they may reach the far side a little closer than they left."""
PATIENCE, TURNS = 10.0, 3
"""Seconds a request inside a call waits for its turn at most, or so many turns where these are further apart."""
CALL = 6
"""Turns that a call has time for at least, so that one of several requests comes to its end."""
LITTLE = 0.1
"""Below this share of what is allowed, what remains is spread over the rest of the time."""
_EPOCHS = 1e9
"""A larger number of seconds is a time since 1970."""
LONGEST = 3600.0
"""Seconds a far side's word is believed, at most."""


class TooSoon(Unavailable):
    """Its rate limit says "later". Nothing is wrong over there, and nobody was called."""


class TurnUnknown(Exception):
    """Our own database does not say whose turn it is, for it is `ill`: nobody was called."""

    def __init__(self, ill: BaseException) -> None:
        super().__init__(type(ill).__name__)
        self.ill = ill


class NoTurn(Unavailable):
    """Its limit leaves no turn for one more request of a call. Nothing is wrong over there."""


class Stop(Protocol):
    """Ends a wait early."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class _Call(threading.local):
    """The paid call that this thread makes, if it makes one."""

    left = 0
    """Requests that are paid for."""
    sent = False
    """Whether a request has left."""
    end = math.inf
    """When its time is over (monotonic)."""


class Pace:
    """The pace of one instance. `spacing` is in seconds between calls; None: as fast as you like."""

    def __init__(self, name: str, store: Store, clock: Clock, stop: Any, spacing: float | None) -> None:
        self._name, self._store, self._clock, self._stop = name, store, clock, stop
        self._spacing = spacing * SURE if spacing else None
        self._lock = threading.Lock()
        self._heeds: datetime | None = None
        """Until when the far side's word holds, as far as this process knows: so long it looks at the row."""
        self._paid = _Call()

    @property
    def active(self) -> bool:
        """Whether calls are counted at all."""
        return self._spacing is not None or (self._heeds is not None and self._clock.now() < self._heeds)

    @property
    def call(self) -> float:
        """Seconds that a call needs at least, for its requests to have their turns; 0 without an admin's limit."""
        return CALL * (self._spacing or 0.0)

    def adopt(self, until: datetime | None) -> None:
        """The row holds a word of the far side until then, whichever process heard it."""
        with self._lock:
            if until is not None and (self._heeds is None or until > self._heeds):
                self._heeds = until

    def far_off(self) -> float:
        """Seconds until the next turn, as the rows say now; takes none."""
        if not self.active:
            return 0.0
        with self._store.read() as connection:
            at = connection.scalar(sa.select(instance.c.next_at).where(instance.c.id == self._name))
        return max(0.0, (at - self._clock.now()).total_seconds()) if at is not None else 0.0

    def take(self, patience: float) -> float:
        """Wait for a turn, `patience` seconds at most. 0.0: call now; else come again after so many seconds."""
        end = self._clock.monotonic() + patience
        while (wait := self.turn()) > 0:
            if not self.waits(wait, end):
                return wait
        return 0.0

    def waits(self, seconds: float, end: float) -> bool:
        """Wait so long; False, at once, where that is after `end` (monotonic), or when the hub stops."""
        return self._clock.monotonic() + seconds <= end and not self._clock.wait(self._stop, seconds)

    def turn(self) -> float:
        """Take the turn, should it be now. 0.0: call at once; else it comes in so many seconds, or later."""
        if not self.active:
            return 0.0
        with self._store.write() as connection:
            mine = sa.select(instance).where(instance.c.id == self._name).with_for_update()
            row = connection.execute(mine).one_or_none()
            if row is None:  # nothing was locked: whoever writes the row first is first
                connection.execute(upsert(connection, instance).values(id=self._name).on_conflict_do_nothing())
                row = connection.execute(mine).one_or_none()
            now = self._clock.now()  # only now nobody else can: to get here may have taken long
            if row is not None and row.next_at is not None and row.next_at > now:
                return float((row.next_at - now).total_seconds())
            told = row.spacing / 1000 if row and row.spacing and row.spacing_until and row.spacing_until > now else 0.0
            spacing = max(self._spacing or 0.0, told)
            if spacing:
                self._write(connection, {"next_at": now + timedelta(seconds=spacing)})
        return 0.0

    def _write(self, connection: sa.Connection, values: dict[str, Any]) -> None:
        insert = upsert(connection, instance).values(id=self._name, **values)
        new: dict[str, Any] = dict(values)
        if "next_at" in values:  # a short word, or one that comes late, does not undo a longer one
            said = insert.excluded.next_at
            new["next_at"] = sa.case((instance.c.next_at > said, instance.c.next_at), else_=said)
        connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=new))

    # -- requests inside a call ------------------------------------------------------------------

    def paid(self, function: Callable[..., T], limit: float) -> Callable[..., T]:
        """`function` on its turn, which is its first request's. `limit` are the seconds that the call has.

        For the call's own thread: a turn taken while all threads are busy would wait, and leave with the next one.
        Raises TooSoon where its turn is not now, TurnUnknown where nobody knows.
        """

        def called(*args: Any) -> T:
            try:
                wait = self.turn()
            except ILL as error:
                raise TurnUnknown(error) from error
            if wait > 0:
                raise TooSoon("too many calls for its limit", retry_after=wait)
            mine = self._paid
            mine.left, mine.sent, mine.end = 1, False, self._clock.monotonic() + limit
            try:
                return function(*args)
            finally:
                mine.left, mine.sent, mine.end = 0, False, math.inf

        return called

    def before_request(self) -> None:
        """Each request after a call's first takes a turn of its own. Raises NoTurn when that is too far off."""
        mine = self._paid
        if mine.left:
            mine.left -= 1
        elif self.active:
            time_left = mine.end - self._clock.monotonic()
            wait = self.take(min(time_left, max(PATIENCE, TURNS * (self._spacing or 0.0))))
            if wait > 0:  # what was sent before it in this call may be the whole effect
                raise NoTurn("too many calls for its limit; tried again later", retry_after=wait, maybe_done=mine.sent)
        mine.sent = True

    def after_request(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer: nothing remains until then, or little, to be spread."""
        now = self._clock.now()
        heard = listen(status, headers, now.timestamp())
        if heard is None:
            return
        wait, spacing = heard
        until = now + timedelta(seconds=wait)
        self.adopt(until)
        values = {"spacing": int(spacing * 1000), "spacing_until": until} if spacing else {"next_at": until}
        with self._store.write() as connection:
            self._write(connection, values)


def listen(status: int, headers: Mapping[str, str], now: float) -> tuple[float, float] | None:
    """What an answer's headers ask for: (seconds, 0.0) to be silent, or (seconds, spacing) to slow down.

    `now` is in seconds since 1970: some vendors (GitHub, X) name the time of day at which counting begins anew.

    `Retry-After` with 429 (RFC 9110, 10.2.3), `X-RateLimit-*` as most vendors write it, and
    `RateLimit`/`RateLimit-*` (IETF draft-ietf-httpapi-ratelimit-headers).
    """
    low = {name.lower(): value for name, value in headers.items()}
    if status == 429 and (after := _number(low.get("retry-after"))) is not None:
        return min(after, LONGEST), 0.0
    remaining, reset, limit = _limits(low)
    if reset is not None and reset > _EPOCHS:
        reset -= now
    if remaining is None or reset is None or reset <= 0:
        return None
    reset = min(reset, LONGEST)
    if remaining <= 0:
        return reset, 0.0
    if limit and remaining < limit * LITTLE:
        return reset, reset / remaining
    return None


def _limits(low: Mapping[str, str]) -> tuple[float | None, float | None, float | None]:
    if found := low.get("ratelimit"):
        said = {name: float(value) for name, value in re.findall(r"\b([a-z]+)=(\d{1,9})", found)}
        limit = said.get("limit") or said.get("q") or _number(low.get("ratelimit-limit"))
        policy = re.search(r";\s*q=(\d{1,9})", low.get("ratelimit-policy", ""))
        return (
            said.get("remaining", said.get("r")),
            said.get("reset", said.get("t")),
            limit or _number(policy[1] if policy else None),
        )
    for prefix in ("ratelimit-", "x-ratelimit-", "x-rate-limit-"):
        if f"{prefix}remaining" in low:
            return tuple(_number(low.get(prefix + name)) for name in ("remaining", "reset", "limit"))  # type: ignore[return-value]
    return None, None, None


def _number(text: str | None) -> float | None:
    """Seconds or a count."""
    found = re.match(r"\s*(\d{1,12})(?:\.\d+)?\s*(?:$|[,;])", text or "")
    return float(found[1]) if found else None
