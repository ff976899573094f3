"""The part of a check that asks every far side.

It makes components of its own and calls them beside the instances of a running hub: what it finds
out is told to whoever asked, and never written into the health of the daemon's instances.
"""

from __future__ import annotations

import random
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from hub.check.report import Result, Tell
from hub.clock import SystemClock
from hub.config import Config, Problem, Section
from hub.instances import Lend
from hub.making import context_for
from hub.reading.blueprint import rebuilt
from hub.registry import Registry
from hub.sdk import Component, ConfigError, Settings, Unavailable, abilities_of
from hub.store import Store, metadata
from hub.store.secrets import load_key
from hub.threads import Threads

LIMIT = 30.0
"""Seconds one live check may take, unless the section's own `timeout` is longer."""


def ask_all(config: Config, sound: list[tuple[Section, Settings]], registry: Registry, add: Tell) -> None:
    """Ask every enabled section's far side, all at the same time."""
    with _lent(config) as lend:
        began = lend.clock.monotonic()
        asked = []
        for section, settings in sound:
            if section.options.enabled:
                threads = Threads(f"check-{section.id}", 1)
                asked.append((section, threads.submit(_ask, section, settings, config, registry, lend)))
        for section, future in asked:
            limit = max(LIMIT, section.options.timeout)
            try:
                add(future.result(max(0.0, began + limit - lend.clock.monotonic())))
            except TimeoutError:
                add(Result(section.path, (Problem(section.path, f"no answer within {limit:g} s"),), live=True))


def ask_webhook(config: Config, add: Tell) -> None:
    """Whether somebody answers where alerts are posted: connects, proves the certificate, sends nothing."""
    parts = urlsplit(config.alerts.webhook)
    if not parts.hostname:
        return
    secure = parts.scheme == "https"
    try:
        with socket.create_connection((parts.hostname, parts.port or (443 if secure else 80)), 10) as line:
            if secure:
                ssl.create_default_context().wrap_socket(line, server_hostname=parts.hostname).close()
    except OSError as error:  # ssl.SSLError is one
        problem = Problem("alerts.webhook", f"{parts.hostname} cannot be reached: {error}")
        add(Result("alerts", (problem,), live=True))
    else:
        add(Result("alerts", live=True))


def _ask(section: Section, settings: Settings, config: Config, registry: Registry, lend: Lend) -> Result:
    made = registry.component(section.kind, section.use)
    try:
        with closing(made(settings, context_for(section, settings, config, lend))) as component:
            found = component.check() or []
    except ConfigError as error:
        path = f"{section.path}.{error.path}" if error.path else section.path
        return Result(section.path, (Problem(path, str(error)),), live=True)
    except Unavailable as error:
        return Result(section.path, (Problem(section.path, f"cannot be reached: {error}"),), live=True)
    except BaseException as error:  # noqa: BLE001 - a plugin's bug is a result too; this is no main thread
        text = f"the plugin has a bug: {type(error).__name__} in check()"
        return Result(section.path, (Problem(section.path, text, "please report it to its author"),), live=True)
    notices = [Problem(f"{section.path}.{n.path}" if n.path else section.path, n.text) for n in found]
    notices += _read_here(section, component)
    return Result(section.path, (), tuple(notices), live=True)


def _read_here(section: Section, component: Component[Any]) -> list[Problem]:
    """A notice where a child process could not read what comes in."""
    if "Reads" not in abilities_of(component):
        return []
    try:
        rebuilt(component)
    except Exception as error:  # noqa: BLE001 - a constructor may raise anything
        text = f"is read without a child process: {type(error).__name__} when built without secrets and network"
        return [Problem(section.path, text, "one hostile message can hold up its channel")]
    return []


@contextmanager
def _lent(config: Config) -> Iterator[Lend]:
    """What components need: the hub's own state where there is a database, else a blank one for the moment."""
    with tempfile.TemporaryDirectory(prefix="tresse-check-") as folder:
        store, key = _store(config, Path(folder))
        stop = threading.Event()
        try:
            yield Lend(store, SystemClock(), random.Random(), key, stop, Threads)  # noqa: S311 - jitter, not secrets
        finally:
            stop.set()
            store.close()


def _store(config: Config, folder: Path) -> tuple[Store, bytes]:
    url, key = sa.make_url(config.database_url), config.hub.data / "hub.key"
    on_disk = url.get_backend_name() != "sqlite" or Path(str(url.database)).exists()
    if on_disk and key.exists():
        return Store(config.database_url), load_key(key)
    store = Store(f"sqlite:///{folder / 'check.db'}")
    with store.write() as connection:
        metadata.create_all(connection)
    return store, load_key(folder / "hub.key")
