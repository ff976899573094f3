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
from hub.store import Store
from hub.store.alerts import close_alert, raise_alert

ALERT = "disk"
LOOK = 1.0
"""Seconds an answer of the disk holds."""
BACK = 1.1
"""So many times `hub.keep_free` must be free again: what floats around the limit must not raise an alert a second."""


class Room:
    """The free space under the database and the data directory. `free` tells it, in bytes."""

    def __init__(self, config: Config, store: Store, clock: Clock) -> None:
        self._store, self._clock, self._limit = store, clock, config.hub.keep_free
        self._places = {config.hub.data}
        if store.sqlite:
            self._places.add(Path(str(store.url.database)).parent)
        self.free: Callable[[Path], int] = lambda place: shutil.disk_usage(place).free
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._left = True
        self._told: bool | None = None
        """What the alert says; None: nobody knows yet what an earlier process left there."""

    def left(self) -> bool:
        """Whether more may be taken in. Asks the disk at most once a second, whoever asks."""
        if self._clock.monotonic() - self._looked_at < LOOK or not self._lock.acquire(blocking=False):
            return self._left
        try:
            self._looked_at = self._clock.monotonic()
            self._left = self._enough()
            if self._told is not self._left:
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
        now, news = self._clock.now(), self._told is not None or not self._left
        try:
            with self._store.write() as connection:
                if self._left:
                    close_alert(connection, ALERT, now)
                else:
                    size = f"{self._limit / 1024**2:.0f}"
                    raise_alert(connection, ALERT, f"Less than {size} MB is free: nothing new is taken in.", now)
        except SQLAlchemyError as error:
            logger().debug("could not tell about the disk", error=type(error).__name__)
            return
        self._told = self._left
        if news and self._left:
            logger().info("there is room on the disk again")
        elif news:
            logger().error("the disk is nearly full: nothing new is taken in", keep_free=self._limit)
