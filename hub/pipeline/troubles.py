"""Saying what is wrong once, and once that it works again. A database that is away is one trouble, not many."""

from __future__ import annotations

import threading

from hub.log import logger
from hub.store import ILL


class Troubles:
    """What a process stumbles over, by place. Thread-safe."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._away: set[str] = set()
        """Places that found the database away."""
        self._lock = threading.Lock()

    def ill(self, where: str, error: BaseException, *, database: bool = False) -> None:
        """It failed at `where`. Told once, until it works again; `database`: it is certain that this is its cause."""
        database = database or isinstance(error, ILL)
        with self._lock:
            news = not self._away if database else where not in self._known
            (self._away if database else self._known).add(where)
        if news and database:
            logger().error("the database does not answer; waiting", at=where, error=type(error).__name__)
        elif news:
            logger().error("bug in the engine", at=where, error=type(error).__name__)
        logger().debug("could not go on", at=where, exc_info=error)

    def database_away(self) -> bool:
        """Whether the database did not answer the last time somebody asked it."""
        return bool(self._away)

    def well(self, where: str) -> None:
        """It worked at `where`."""
        if where not in self._known and where not in self._away:
            return
        with self._lock:
            back, works = where in self._away, where in self._known
            self._known.discard(where)
            if back:  # one place that found it away and found it there again speaks for all
                self._away.clear()
        if back:
            logger().info("the database answers again", at=where)
        if works:
            logger().info("works again", at=where)
