"""Which sources this process reads: it holds their leases, renews them, and lets go of what it lost."""

from __future__ import annotations

from datetime import datetime, timedelta

from hub.engine.polling import Polling
from hub.engine.sources import Source
from hub.log import logger
from hub.pipeline.parts import Parts
from hub.store.leases import LONG, free_leases, lease_is_free, renew_leases, take_lease

MODEST = timedelta(seconds=0.5)
"""How much later a process takes one more for each it has: so the sources spread over the hosts."""

Key = tuple[str, str]


class Owning:
    """The leases of this process. Called by one thread, about once a second."""

    def __init__(self, parts: Parts, polling: Polling, owner: str) -> None:
        self._parts, self._polling, self._owner = parts, polling, owner
        self._held: dict[Key, int] = {}
        self._sources: dict[Key, Source] = {(s.instance.id, s.name): s for s in polling.sources}
        self._renewed_at = parts.now()
        self._seen_free: dict[Key, datetime] = {}
        for source in polling.sources:
            source.mine = False

    def tend(self) -> None:
        """Renew, let go, take. Raises what the database raises."""
        now = self._parts.now()
        if self._held and now >= self._renewed_at + LONG / 4:
            with self._parts.store.write() as connection:
                ours = renew_leases(connection, self._held, now)
            self._renewed_at = now
            for key in self._held.keys() - ours:
                self._lose(key)
        for key in sorted(self._sources.keys() - self._held.keys()):
            self._try(key, now)

    def _try(self, key: Key, now: datetime) -> None:
        if self._sources[key].instance.paused:
            return
        with self._parts.store.read() as connection:
            if not lease_is_free(connection, *key, now):
                self._seen_free.pop(key, None)
                return
        if now < self._seen_free.setdefault(key, now) + MODEST * len(self._held):
            return
        with self._parts.store.write() as connection:
            epoch = take_lease(connection, *key, self._owner, now)
        if epoch is None:
            return
        self._held[key] = epoch
        source = self._sources[key]
        source.mine, source.epoch = True, epoch
        logger(instance=key[0]).info("reads this source now", source=key[1], epoch=epoch)
        self._polling.soon(source)

    def _lose(self, key: Key) -> None:
        self._held.pop(key, None)
        self._sources[key].leave()
        logger(instance=key[0]).info("another process reads this source now", source=key[1])

    def overdue(self) -> None:
        """The database does not answer: once a lease has ended, its source is not ours to read."""
        if self._parts.now() >= self._renewed_at + LONG:
            for key in list(self._held):
                self._lose(key)

    def end(self) -> None:
        """Give everything back."""
        held, self._held = self._held, {}
        for key in held:
            self._sources[key].leave()
        if held:
            with self._parts.store.write() as connection:
                free_leases(connection, held)
