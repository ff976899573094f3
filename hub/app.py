"""The only place where parts are wired together."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import requests

from hub.clock import Clock, SystemClock
from hub.config import Config
from hub.engine.kinds import Engine, make_engine, teach
from hub.engine.lock import Lock, lock_of
from hub.engine.vigil import Vigil
from hub.flow import Flow
from hub.http import GuardedSession
from hub.instances import CLOSING, Instance, Lend
from hub.knowledge.answers import import_answers
from hub.log import logger
from hub.making import build
from hub.pipeline.accept import BUSY, accept
from hub.pipeline.lookups import Lookups
from hub.pipeline.parts import Parts
from hub.pipeline.room import Room
from hub.pipeline.settle import interrupted
from hub.pipeline.suggest import Answers
from hub.pipeline.together import GroupCommit
from hub.pipeline.troubles import Troubles
from hub.reading import Readers
from hub.reading.children import Children
from hub.registry import Registry, load_plugins
from hub.rules.dates import parse_date
from hub.sdk import ConfigError, Reply, Request
from hub.store import Store, alone
from hub.store.migrate import migrate
from hub.store.notes import get_note, set_note
from hub.store.secrets import load_key, same_key
from hub.threads import Executor, Threads

INDEXING = 30.0
"""Seconds the start waits for the matchers, so that the first case finds its answers; one that hangs is left behind."""


@dataclass
class Hub:
    """A wired hub. `start` sets it going; `stop` ends it within about five seconds."""

    config: Config
    store: Store
    clock: Clock
    registry: Registry
    instances: dict[str, Instance]
    broken: dict[str, str]
    """Sections that could not be started, and why."""
    key: bytes
    parts: Parts
    answers: Answers
    engine: Engine | None
    """None in a process that only serves pages and takes in."""
    vigil: Vigil
    _lock: Lock
    _stop: threading.Event = field(repr=False)
    _stopped: bool = False

    def start(self) -> None:
        """Set the engine going, where this process has one; and look whether anybody is at work."""
        self.vigil.start()
        if self.engine is None:
            return
        self.parts.readers.begin(one.component for one in self.parts.having("Reads"))
        indexing = threading.Thread(target=self.answers.current, name="index", daemon=True)
        indexing.start()
        indexing.join(INDEXING)
        self._lock.watch(self.parts.stop, _end_this_process)
        self.engine.start()

    def stop(self) -> None:
        """Stop in reverse order. Safe to call twice."""
        if self._stopped:
            return
        self._stopped = True
        self.parts.stop.set()
        if self.engine is not None:
            self.engine.stop()
        ending = [(one, one.begin_close()) for one in reversed(list(self.instances.values()))]
        end = self.clock.monotonic() + CLOSING
        for instance, closing in ending:
            instance.end_close(closing, end - self.clock.monotonic())
        self.vigil.end()
        self.parts.readers.end()
        self.parts.pushes.close(CLOSING)
        self.store.close()
        self._lock.release()

    def accept(self, instance_id: str, request: Request) -> Reply:
        """Hand an HTTP request to an instance; KeyError where none of that name accepts.

        One that could not start answers "later": its sender keeps what it has until somebody mends it.
        """
        if instance_id in self.broken:
            return BUSY
        instance = self.instances[instance_id]
        if not instance.has("Accepts"):
            raise KeyError(instance_id)
        reply = accept(self.parts, instance, request)
        if self.engine is not None:
            self.engine.wake()
        return reply


def _end_this_process() -> None:
    """As an admin would: the engine of another process works on this database now."""
    os.kill(os.getpid(), signal.SIGTERM)


def connect(config: Config, clock: Clock | None = None) -> Store:
    """The database of a configuration as it is; who writes work through it wakes its lanes."""
    store = Store(config.database_url)
    teach(store, config, clock or SystemClock(), tables=False)
    return store


def open_store(config: Config, clock: Clock | None = None) -> Store:
    """The database of a configuration, brought to the newest schema."""
    store = Store(config.database_url)
    try:
        migrate(store)
        teach(store, config, clock or SystemClock(), tables=True)
    except BaseException:
        store.close()
        raise
    return store


def open_hub(
    config: Config,
    *,
    engine: bool = True,
    registry: Registry | None = None,
    clock: Clock | None = None,
    rng: random.Random | None = None,
    threads: Callable[[str, int], Executor] = Threads,
    session: Callable[[Collection[str]], requests.Session] = GuardedSession,
    readers: Callable[[], Readers] = Children,
) -> Hub:
    """Wire a hub; time, chance, threads, HTTP and who reads may be simulated.

    Without `engine`, it serves and takes in only.

    Raises ConfigError when another process works on the same database and must not.
    """
    clock, rng = clock or SystemClock(), rng or random.Random()  # noqa: S311 - jitter, not secrets
    lock: Lock | None = None
    store = Store(config.database_url)
    try:
        lock = lock_of(config, store, engine=engine)
        lock.take()
        migrate(store)
        teach(store, config, clock, tables=True)
        key = load_key(config.hub.data / "hub.key")
        if not store.sqlite:
            same_key(store, key, config.hub.data / "hub.key")
        _import_answers(store, config, clock.now())
        registry, stop = registry or load_plugins(), threading.Event()
        instances, broken = build(config, registry, Lend(store, clock, rng, key, stop, threads, session))
        flow, room, troubles = Flow(), Room(config, store, clock), Troubles()
        pushes = GroupCommit(store, clock, threads("pushes", 1), flow, troubles)
        first = _first_start(store, clock.now())
        asks = Lookups(threads, clock)
        parts = Parts(config, store, clock, rng, instances, room, pushes, flow, troubles, asks, first, stop, readers())
        if engine:
            interrupted(parts)
        answers = Answers(parts)
        works = make_engine(config, parts, answers, threads) if engine else None
        vigil = Vigil(parts, threads)
        return Hub(config, store, clock, registry, instances, broken, key, parts, answers, works, vigil, lock, stop)
    except BaseException:
        if lock is not None:
            lock.release()
        store.close()
        raise


def _first_start(store: Store, now: datetime) -> datetime:
    """When this hub first started, remembered for ever."""
    with store.write() as connection:
        alone(connection, "start")
        known = parse_date(get_note(connection, "first_start") or "")
        if known is None:
            set_note(connection, "first_start", now.isoformat())
        return known or now


def _import_answers(store: Store, config: Config, now: datetime) -> None:
    """Fill an empty knowledge base from the configured file; later the database owns the answers."""
    if config.answers.file is None:
        return
    try:
        imported: Any = import_answers(store, config.answers.file, now)
    except ConfigError as error:
        logger().error("answers not imported", reason=str(error))
        return
    if imported.count:
        logger().info("answers imported", count=imported.count)
