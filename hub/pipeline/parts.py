"""What the steps are given: nothing is reached for."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from random import Random
from typing import Any

from hub.clock import Clock
from hub.config import BrandSettings, Config
from hub.flow import Crowd, Flow
from hub.instances import Instance
from hub.pipeline.host_alert import HostAlert
from hub.pipeline.lookups import Lookups
from hub.pipeline.room import Room
from hub.pipeline.together import GroupCommit
from hub.pipeline.troubles import Troubles
from hub.reading import InProcess, Outcome, Readers
from hub.rules.orders import compile_patterns
from hub.store import Store
from hub.store.restored import Restored, read_restored

_NOW_AND_THEN = timedelta(seconds=5)


@dataclass(slots=True)
class Reading:
    """A page that an instance reads."""

    ids: Sequence[int]
    outcomes: dict[int, Outcome]
    """What is known and not yet taken, by the raw's id; the thread that reads adds to it."""
    future: Future[None]
    waited_for: bool = False
    """Whoever waited once does not wait again: others' mail would wait with it."""
    flood: bool = False
    """It has some of a flood's, and stops at the next mail after a while."""
    cut: threading.Event = field(default_factory=threading.Event)
    """It did stop, and left some."""


@dataclass(frozen=True)
class Parts:
    """The wired parts a step may use (hub/app.py makes them)."""

    config: Config
    store: Store
    clock: Clock
    random: Random
    instances: Mapping[str, Instance]
    room: Room
    pushes: GroupCommit
    flow: Flow
    """Whose turn it is, where one sender writes a lot."""
    troubles: Troubles
    """What this process stumbles over, told once."""
    lookups: Lookups
    """Who asks CRMs and shops, so that no case waits for a slow one."""
    started: datetime = field()
    """When this hub first started: what is older than `hub.history` before it is history."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the process ends: who could go on for long does not begin anything more."""
    readers: Readers = field(default_factory=InProcess)
    """Who reads what came in."""
    reading: dict[str, Reading] = field(default_factory=dict)
    """The page each instance reads now, or read last (hub/pipeline/read.py)."""
    ahead: dict[str, Sequence[Any]] = field(default_factory=dict)
    """The page behind the one that is recorded now, by instance."""
    slow_until: dict[str, datetime] = field(default_factory=dict)
    """Until when the flood of an instance counts as one of mails that take long."""
    rests_until: dict[str, float] = field(default_factory=dict)
    """Until when, by the monotonic clock, no more is read of an instance's flood while others are about."""
    heard: set[str] = field(default_factory=set)
    """Desks whose voice was listened to since this process started (hub/pipeline/voices.py)."""
    crowd: Crowd = field(default_factory=Crowd)
    """Whether a flood has to make room."""
    looked: dict[str, datetime] = field(default_factory=dict)
    """When something that need not be looked at often was looked at last."""

    def now(self) -> datetime:
        """The time, by the injected clock."""
        return self.clock.now()

    def left_behind(self) -> bool:
        """Whether it is time to look for what instances left behind that are not running; now and then."""
        now, last = self.now(), self.looked.get("left behind")
        if last is not None and last <= now < last + _NOW_AND_THEN:
            return False
        self.looked["left behind"] = now
        return True

    def having(self, ability: str, kind: str = "") -> list[Instance]:
        """The instances that have `ability`, in the order of the configuration."""
        return [i for i in self.instances.values() if i.has(ability) and kind in ("", i.kind)]

    @cached_property
    def unreadable(self) -> HostAlert:
        """The alert that says that nobody can be started to read what came in."""
        return HostAlert("readers", self.config, self.store, self.clock)

    @cached_property
    def restored(self) -> Restored | None:
        """The restore of this database, if any; read once, for a restore needs a hub that is stopped."""
        with self.store.read() as connection:
            return read_restored(connection)

    def brand_of(self, instance: str) -> tuple[str, BrandSettings]:
        """The brand a channel answers under: its own, else the company's name."""
        found = self.instances.get(instance)
        key = found.options.brand if found else ""
        if key:
            return key, self.config.brands[key]
        return "", BrandSettings(name=self.config.hub.name)

    @cached_property
    def _patterns(self) -> dict[str, tuple[re.Pattern[str], ...]]:
        return {}

    def order_patterns(self, instance: str) -> tuple[re.Pattern[str], ...]:
        """The order patterns that hold on a channel: the hub's and its brand's."""
        if instance not in self._patterns:
            written = (*self.config.hub.order_patterns, *self.brand_of(instance)[1].order_patterns)
            self._patterns[instance] = compile_patterns(written)
        return self._patterns[instance]
