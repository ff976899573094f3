"""Configured components: made, called on their own threads, watched, and kept away from while sick.

Every call into a plugin goes through `Instance.call`. It gives the call a time limit, turns
what happens into the instance's health, and opens the circuit when the far side is away, so
that one sick instance costs the others nothing.
"""

from __future__ import annotations

import random
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from hub.clock import Clock
from hub.config import Config, ConfigErrors, Section, settings_of
from hub.http import GuardedSession
from hub.log import logger
from hub.registry import Registry
from hub.sdk import Component, ConfigError, Context, Rejected, Settings, Unavailable, abilities_of
from hub.store import Store, upsert
from hub.store.alerts import close_alert, raise_alert
from hub.store.health import instance_health
from hub.store.secrets import SecretState
from hub.threads import Executor

T = TypeVar("T")

FIRST_RETRY, LONGEST_RETRY = 1.0, 300.0
"""Seconds between tries while a far side is away: doubling, give or take a quarter."""
RED_RETRY = 60.0
"""Seconds after which a red instance is tried once more: a server's own passwords heal too."""
CALL_LIMIT = 30.0
"""Seconds a call into a component may take where its section does not say otherwise."""


class Bug(Exception):
    """A component raised something that is not one of the four words."""


@dataclass(frozen=True, slots=True)
class Health:
    """How an instance is: green, amber (away, tried again at `retry_at`) or red (needs someone)."""

    state: str
    since: datetime
    reason: str = ""
    seen_at: datetime | None = None
    failures: int = 0
    retry_at: datetime | None = None


class Instance:
    """One section of the configuration, alive."""

    def __init__(self, section: Section, component: Component[Any], lend: Lend) -> None:
        self.id, self.kind, self.section, self.options = section.id, section.kind, section, section.options
        self.component = component
        self.abilities = frozenset(abilities_of(component))
        self.log = component.context.log
        self._lend = lend
        self._calls = lend.threads(f"{section.id}-call", self.options.threads)
        self._lock = threading.Lock()
        self._hung = 0
        self._probing = False
        self.health = Health("green", lend.clock.now())

    def has(self, ability: str) -> bool:
        """Whether the component has `ability` (a name from hub.sdk.ABILITIES)."""
        return ability in self.abilities

    # -- calling ---------------------------------------------------------------------------

    def call(self, function: Callable[..., T], *args: Any, timeout: float | None = None) -> T:
        """Run a component's method on the instance's own threads.

        Raises one of the four words, or `Bug`. A call that outlives its limit (seconds) raises
        Unavailable(maybe_done=True): it may still be at work.
        """
        if self._hung >= self._calls.size:
            raise Unavailable("every thread of this instance is stuck in a call that does not return")
        limit = timeout or self.options.timeout or CALL_LIMIT
        future = self._calls.submit(function, *args)
        try:
            result = future.result(limit)
        except TimeoutError as error:
            if future.done():  # the component's own TimeoutError
                self.failed(Unavailable(str(error) or "timed out", maybe_done=True))
                raise Unavailable(str(error) or "timed out", maybe_done=True) from error
            self._count_hung(future)
            away = Unavailable(f"no answer within {limit:g} s", maybe_done=True)
            self.failed(away)
            raise away from None
        except Exception as error:
            self.failed(error)
            if isinstance(error, ConfigError | Unavailable | Rejected):
                raise
            raise Bug(f"{type(error).__name__} in {self.component.name}") from error
        self.succeeded()
        return result

    def _count_hung(self, future: Future[Any]) -> None:
        def back(_: Future[Any]) -> None:
            with self._lock:
                self._hung -= 1

        with self._lock:
            self._hung += 1
        future.add_done_callback(back)

    # -- the circuit -----------------------------------------------------------------------

    def ready(self) -> bool:
        """Whether a call makes sense now. While the circuit is open, True once per retry: the probe."""
        with self._lock:
            if self.health.retry_at is None:
                return True
            if self._probing or self._lend.clock.now() < self.health.retry_at:
                return False
            self._probing = True
            return True

    def succeeded(self) -> None:
        """The far side answered: close the circuit, and say so once."""
        before, now = self.health, self._lend.clock.now()
        with self._lock:
            self._probing = False
            self.health = Health("green", before.since if before.state == "green" else now, seen_at=now)
        if before.state != "green":
            self.log.info("returned", after_seconds=round((now - before.since).total_seconds(), 1))
            self._keep()

    def failed(self, error: Exception) -> None:
        """Note what a call ran into. Rejected is an answer like any other."""
        if isinstance(error, Rejected):
            self.succeeded()
            return
        if isinstance(error, ConfigError):
            self._sick("red", str(error), RED_RETRY)
        elif isinstance(error, Unavailable):
            n = self.health.failures if self.health.state == "amber" else 0
            wait = min(LONGEST_RETRY, FIRST_RETRY * 2**n) * self._lend.random.uniform(0.75, 1.25)
            self._sick("amber", str(error), error.retry_after or wait)
        else:
            with self._lock:
                self._probing = False
            # An exception's text may quote a customer: its place is logged, its words only at DEBUG.
            frames = traceback.extract_tb(error.__traceback__)[-3:]
            where = " < ".join(f"{f.filename.rsplit('/', 2)[-1]}:{f.lineno} {f.name}" for f in reversed(frames))
            self.log.error("bug", error=type(error).__name__, where=where)
            self.log.debug("bug in words", text=str(error))

    def _sick(self, state: str, reason: str, wait: float) -> None:
        before, now = self.health, self._lend.clock.now()
        with self._lock:
            self._probing = False
            self.health = Health(
                state,
                before.since if before.state == state else now,
                reason,
                before.seen_at,
                before.failures + 1 if before.state == state else 1,
                now + timedelta(seconds=wait),
            )
        if before.state != state or before.reason != reason:
            if before.state != state:
                self.log.warning("gone" if state == "amber" else "needs attention", reason=reason)
            self._keep()

    def _keep(self) -> None:
        """Write the health where the admin pages read it; raise or close the alert."""
        h = self.health
        row = {
            "health": h.state,
            "reason": h.reason,
            "since": h.since,
            "seen_at": h.seen_at,
            "failures": h.failures,
            "retry_at": h.retry_at,
        }
        with self._lend.store.write() as connection:
            insert = upsert(connection, instance_health).values(instance=self.id, **row)
            connection.execute(insert.on_conflict_do_update(index_elements=["instance"], set_=row))
            if h.state == "red":
                raise_alert(connection, f"instance:{self.id}", h.reason, h.since, self.id)
            elif h.state == "green":
                close_alert(connection, f"instance:{self.id}", h.since)

    def close(self) -> None:
        """Close the component; a component that fails to close does not stop the others."""
        try:
            self.component.close()
        except Exception as error:  # noqa: BLE001 - whatever a plugin does at its end must not stop the stop
            self.log.warning("close failed", error=type(error).__name__)
        self._calls.close()


@dataclass(frozen=True, slots=True)
class Lend:
    """What the hub lends its instances."""

    store: Store
    clock: Clock
    random: random.Random
    key: bytes
    stop: threading.Event
    threads: Callable[[str, int], Executor]


def context_for(section: Section, settings: Settings, config: Config, lend: Lend) -> Context:
    """The context of one instance."""
    return Context(
        id=section.id,
        log=logger(instance=section.id),
        http=GuardedSession(_hosts_in(settings.model_dump()) | set(config.hub.allow_hosts)),
        state=SecretState(lend.store, section.id, lend.key),
        stop=lend.stop,
        now=lend.clock.now,
        random=lend.random,
        address=f"{config.hub.address.rstrip('/')}/in/{section.id}",
        hub={
            "name": config.hub.name,
            "country": config.hub.country,
            "languages": ",".join(config.hub.languages),
            "data": str(config.hub.data),
            "timezone": config.hub.timezone,
        },
    )


def _hosts_in(values: Mapping[str, Any]) -> set[str]:
    """Host names in a section's own addresses: the admin wrote them, so they may lie inside."""
    from urllib.parse import urlsplit

    hosts: set[str] = set()
    for value in values.values():
        if isinstance(value, Mapping):
            hosts |= _hosts_in(value)
        elif isinstance(value, str) and "://" in value:
            hosts.add(urlsplit(value).hostname or "")
    return hosts - {""}


def build(config: Config, registry: Registry, lend: Lend) -> tuple[dict[str, Instance], dict[str, str]]:
    """Make every enabled section's instance. Returns them and, by id, why others could not be made."""
    made: dict[str, Instance] = {}
    broken: dict[str, str] = {}
    for section in config.sections:
        if not section.options.enabled:
            continue
        try:
            made[section.id] = create(section, config, registry, lend)
        except (ConfigError, ConfigErrors) as error:
            broken[section.id] = str(error)
        except Exception as error:  # noqa: BLE001 - a plugin's constructor may raise anything; the others start
            broken[section.id] = f"{type(error).__name__} while it was made"
    for instance, reason in broken.items():
        logger(instance=instance).error("could not start", reason=reason)
    _keep_broken(lend, broken, made)
    return made, broken


def create(section: Section, config: Config, registry: Registry, lend: Lend) -> Instance:
    """Make one instance. Raises ConfigError(s) with the path of what is wrong."""
    component = registry.component(section.kind, section.use)
    settings = settings_of(section, component.settings_model)
    return Instance(section, component(settings, context_for(section, settings, config, lend)), lend)


def _keep_broken(lend: Lend, broken: Mapping[str, str], made: Mapping[str, Instance]) -> None:
    now = lend.clock.now()
    with lend.store.write() as connection:
        known = {**dict.fromkeys(made, ("green", "")), **{i: ("red", r) for i, r in broken.items()}}
        gone = sa.not_(instance_health.c.instance.in_(known))
        connection.execute(sa.delete(instance_health).where(gone))
        for instance, (state, reason) in known.items():
            row = {"health": state, "reason": reason, "since": now, "failures": 0, "retry_at": None}
            insert = upsert(connection, instance_health).values(instance=instance, **row)
            connection.execute(insert.on_conflict_do_update(index_elements=["instance"], set_=row))
            if reason:
                raise_alert(connection, f"instance:{instance}", reason, now, instance)
            else:
                close_alert(connection, f"instance:{instance}", now)
