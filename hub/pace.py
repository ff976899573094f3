"""How fast an instance may be called: by the admin's word, and by what the far side says in its answers.

One row per instance holds the earliest time of the next call, and whoever calls moves it on in the moment
of the call. So the limit holds over all threads, lanes and hosts together. Calls are spread evenly, without
bursts: a limit of ten a second is one each tenth of a second, and a twentieth more to be sure.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from hub.clock import Clock
from hub.sdk import Unavailable
from hub.store import Store, upsert
from hub.store.health import instance

T = TypeVar("T")

SURE = 1.05
"""How much wider than the limit calls are spaced: they may reach the far side a little closer than they left."""
PATIENCE = 10.0
"""Seconds a request inside a call waits for its turn; then the call is tried again later."""
LITTLE = 0.1
"""Below this share of what is allowed, what remains is spread over the rest of the time."""
_EPOCHS = 1e9
"""A larger number of seconds is a time since 1970."""
LONGEST = 3600.0
"""Seconds a far side's word is believed, at most."""


class Stop(Protocol):
    """Ends a wait early."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class Pace:
    """The pace of one instance. `spacing` is in seconds between calls; None: as fast as you like."""

    def __init__(self, name: str, store: Store, clock: Clock, stop: Any, spacing: float | None) -> None:
        self._name, self._store, self._clock, self._stop = name, store, clock, stop
        self._spacing = spacing * SURE if spacing else None
        self._told = False
        self._paid = threading.local()

    @property
    def active(self) -> bool:
        """Whether calls are counted at all."""
        return self._told or self._spacing is not None

    def far_off(self) -> float:
        """Seconds until the next turn, as the rows say now; takes none."""
        if not self.active:
            return 0.0
        with self._store.read() as connection:
            at = connection.scalar(sa.select(instance.c.next_at).where(instance.c.id == self._name))
        return max(0.0, (at - self._clock.now()).total_seconds()) if at is not None else 0.0

    def take(self, patience: float) -> float:
        """Wait for a turn, `patience` seconds at most. 0.0: call now; else come again after so many seconds."""
        if not self.active:
            return 0.0
        end = self._clock.monotonic() + patience
        while (wait := self._try()) > 0:
            if self._clock.monotonic() + wait > end or self._clock.wait(self._stop, wait):
                return wait
        return 0.0

    def _try(self) -> float:
        now = self._clock.now()
        with self._store.write() as connection:
            mine = sa.select(instance).where(instance.c.id == self._name).with_for_update()
            row = connection.execute(mine).one_or_none()
            if row is None:  # nothing was locked: whoever writes the row first is first
                connection.execute(upsert(connection, instance).values(id=self._name).on_conflict_do_nothing())
                row = connection.execute(mine).one_or_none()
            if row is not None and row.next_at is not None and row.next_at > now:
                return float((row.next_at - now).total_seconds())
            told = row.spacing / 1000 if row and row.spacing and row.spacing_until and row.spacing_until > now else 0.0
            self._told = bool(told)
            spacing = max(self._spacing or 0.0, told)
            if spacing:
                self._write(connection, {"next_at": now + timedelta(seconds=spacing)})
        return 0.0

    def _write(self, connection: sa.Connection, values: dict[str, Any]) -> None:
        insert = upsert(connection, instance).values(id=self._name, **values)
        connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=values))

    # -- requests inside a call ------------------------------------------------------------------

    def paid(self, function: Callable[..., T]) -> Callable[..., T]:
        """`function` with its first request paid for: the call itself took a turn."""

        def called(*args: Any) -> T:
            self._paid.left = 1
            return function(*args)

        return called

    def before_request(self) -> None:
        """Each request after a call's first takes a turn of its own. Raises Unavailable when that is too far off."""
        if not self.active:
            return
        left = getattr(self._paid, "left", 0)
        if left:
            self._paid.left = left - 1
        elif (wait := self.take(PATIENCE)) > 0:
            raise Unavailable("too many calls for its limit; tried again later", retry_after=wait)

    def after_request(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer: nothing remains until then, or little, to be spread."""
        now = self._clock.now()
        heard = listen(status, headers, now.timestamp())
        if heard is None:
            return
        wait, spacing = heard
        self._told = True
        values: dict[str, Any] = {}
        if not spacing:
            values["next_at"] = now + timedelta(seconds=wait)
        else:
            until = now + timedelta(seconds=wait)
            values |= {"spacing": int(spacing * 1000), "spacing_until": until}
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
