"""An alert about the host this process runs on: its disk, its processes.

Several hosts may share a database, so each has an alert of its own: what is well here says nothing
about another host. One that is gone for good cannot close its alert; so an alert is said again
while it lasts, and one that nobody has said for a while is closed by whoever looks.
"""

from __future__ import annotations

import socket
from datetime import datetime, timedelta

from hub.clock import Clock
from hub.config import Config
from hub.rules.dates import parse_date
from hub.store import Store
from hub.store.alerts import close_alert, open_alerts_of, raise_alert
from hub.store.notes import drop_note, get_note, set_note

AGAIN = 60.0
"""Seconds after which a host says again what is wrong, and looks for what others do not say any more."""
SILENT = timedelta(minutes=10)
"""A host that has said nothing for so long is gone, and its alert with it."""


class HostAlert:
    """One cause on this host. The embedded engine has one host, and the cause's plain name for a key."""

    def __init__(self, cause: str, config: Config, store: Store, clock: Clock) -> None:
        self._cause, self._store, self._clock = cause, store, clock
        several = config.engine.kind == "distributed"
        # Cut to what a note's key can hold; without white space, as the catalogue of sentences wants it.
        self.host = "-".join(socket.gethostname().split())[:60] or "?" if several else ""
        """This host's name, where there may be others; else empty."""
        self.key = f"{cause}:{self.host}" if several else cause
        self._wrong: bool | None = None
        """What the alert says; None: nobody knows yet what an earlier process left there."""
        self._again_at = float("-inf")

    def tell(self, wrong: str) -> bool:
        """Open the alert with the sentence `wrong`, or close it where that is empty; returns whether that is news.

        May be called as often as you like. Raises what the database raises; then it was not told.
        """
        at = self._clock.monotonic()
        changed = self._wrong is not bool(wrong)
        if not changed and (not self.host or at < self._again_at):
            return False
        now = self._clock.now()
        over = self._over(now, "" if wrong else self.key)
        if wrong or over:
            with self._store.write() as connection:
                if wrong:
                    raise_alert(connection, self.key, wrong, now)
                    if self.host:
                        set_note(connection, _note(self.key), now.isoformat())
                for key in over:
                    close_alert(connection, key, now)
                    drop_note(connection, _note(key))
        news = changed and (bool(wrong) or self._wrong is not None)
        self._wrong, self._again_at = bool(wrong), at + AGAIN
        return news

    def _over(self, now: datetime, ours: str) -> list[str]:
        """Open alerts to close: `ours`, and those of hosts that are gone and of another kind of engine."""
        with self._store.read() as connection:
            standing = open_alerts_of(connection, self._cause)
            if not self.host:
                return [key for key in standing if key == ours or key != self.key]
            last = {key: parse_date(get_note(connection, _note(key)) or "") or at for key, at in standing.items()}
        ended = {key for key, at in last.items() if key == self._cause or at + SILENT < now}
        return [key for key in standing if key == ours or (key != self.key and key in ended)]


def _note(key: str) -> str:
    return f"alert/{key}"
