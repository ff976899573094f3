"""Alerts are told on a thread of their own: a webhook that hangs holds up nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from hub.log import logger
from hub.pipeline.parts import Parts
from hub.pipeline.tell import tell_due
from hub.threads import Executor

EVERY = timedelta(seconds=1)


class Telling:
    """Asked by an engine at each of its looks; looks itself once a second at most."""

    def __init__(self, parts: Parts, threads: Callable[[str, int], Executor]) -> None:
        self._parts = parts
        self._thread = threads("tell", 1)
        self._next: datetime = parts.now()
        self._busy = self._troubled = False

    def look(self) -> None:
        """Tell what is due, unless that is under way; does not wait for it."""
        now = self._parts.now()
        if self._busy or now < self._next or not self._parts.config.alerts.targets:
            return
        self._busy, self._next = True, now + EVERY
        self._thread.submit(self._tell)

    def _tell(self) -> None:
        try:
            tell_due(self._parts)
            self._troubled = False
        except Exception as error:  # noqa: BLE001 - the rows still say what is to be told
            if not self._troubled:
                logger().error("alerts cannot be told", error=type(error).__name__)
            self._troubled = True
        finally:
            self._busy = False
