"""Saying what is wrong once, and once that it works again."""

from __future__ import annotations

import threading

from hub.log import logger
from hub.store import ILL


class Troubles:
    """What an engine stumbles over, by place. Thread-safe."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def ill(self, where: str, error: BaseException) -> None:
        """It failed at `where`. Told once, until it works again."""
        with self._lock:
            news = where not in self._known
            self._known.add(where)
        if news and isinstance(error, ILL):
            logger().error("the database does not answer; waiting", at=where, error=type(error).__name__)
        elif news:
            logger().error("bug in the engine", at=where, error=type(error).__name__)
        logger().debug("could not go on", at=where, exc_info=error)

    def well(self, where: str) -> None:
        """It worked at `where`."""
        if where in self._known:
            with self._lock:
                self._known.discard(where)
            logger().info("works again", at=where)
