"""Is there room on the disk for more? Asked before anything is taken in, so that 200 is never a lie.

A full disk stops everything at once and mends nothing. So intake stops first, while there is room
to work off what was received: pushes are answered 503, mail stays where it is, one alert says why.
What is refused by the disk all the same is refused by the database, and told to the sender as well.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from hub.clock import Clock
from hub.config import Config
from hub.log import logger
from hub.pipeline.host_alert import HostAlert
from hub.store import Store

ALERT = "disk"
LOOK = 1.0
"""Seconds an answer of the disk holds."""
BACK = 1.1
"""So many times `hub.keep_free` must be free again: what floats around the limit must not raise an alert a second."""


class Room:
    """The free space under the database and the data directory. `free` tells it, in bytes."""

    def __init__(self, config: Config, store: Store, clock: Clock) -> None:
        self._clock, self._limit = clock, config.hub.keep_free
        self._places = {config.hub.data}
        if store.sqlite:
            self._places.add(Path(str(store.url.database)).parent)
        self.free: Callable[[Path], int] = lambda place: shutil.disk_usage(place).free
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._left = True
        self._alert = HostAlert(ALERT, config, store, clock)

    def left(self) -> bool:
        """Whether more may be taken in. Asks the disk at most once a second, whoever asks."""
        if self._clock.monotonic() - self._looked_at < LOOK or not self._lock.acquire(blocking=False):
            return self._left
        try:
            self._looked_at = self._clock.monotonic()
            self._left = self._enough()
            self._tell()
            return self._left
        finally:
            self._lock.release()

    def _enough(self) -> bool:
        wanted = self._limit if self._left else self._limit * BACK
        try:
            return min(self.free(place) for place in self._places) >= wanted
        except OSError as error:
            # A disk that cannot be asked is not known to be full; the database will say what it thinks of it.
            logger().debug("the disk does not say how much is free", error=type(error).__name__)
            return True

    def _tell(self) -> None:
        """The alert and one line; on a disk so full that not even this can be kept, again at the next look."""
        try:
            news = self._alert.tell("" if self._left else self._words())
        except SQLAlchemyError as error:
            logger().debug("could not tell about the disk", error=type(error).__name__)
            return
        if news and self._left:
            logger().info("there is room on the disk again")
        elif news:
            logger().error("the disk is nearly full: nothing new is taken in", keep_free=self._limit)

    def _words(self) -> str:
        size, host = f"{self._limit / 1024**2:.0f}", self._alert.host
        if host:
            return f"Less than {size} MB is free on the host {host}: nothing new is taken in there."
        return f"Less than {size} MB is free: nothing new is taken in."
