"""The component `maildir`: mail in a directory of this machine is read, and drafts are laid beside it.

A Maildir (https://cr.yp.to/proto/maildir.html) has no numbers to keep a mark with: names sort by
the deliverer's clock, and files may be moved in under any name at any time. What tells arrivals
apart is the inode's change time, which the kernel sets when a file is moved in. So the cursor is a
time, `since`, before which everything is known, and the `names` known from then on: bounded in
number, so that ticks of the clock and small corrections of it lose nothing. A mail that is marked or moved
to cur gets a new change time and may be read again; its key, the name without flags, is the same,
and the hub drops it. One thing is not covered: a clock set far back while the hub was stopped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from hub.mail.glance import sender_of
from hub.sdk import (
    Case,
    Channel,
    ConfigError,
    Context,
    Effect,
    Event,
    Message,
    Notice,
    Page,
    Raw,
    Suggestion,
    Unavailable,
)

from .drafts import Drafter
from .reading import read_sent, read_stored
from .settings import MaildirSettings

PAGE_MAILS = 100
PAGE_BYTES = 32 * 1024**2
NAMES = 128
"""Known names a cursor holds at most."""
OVERLAP = 3600 * 10**9
"""Nanoseconds of change time that the names reach back at most, and how far a clock may be set back."""
TICK = 20 * 10**6
"""Nanoseconds: longer than the file system's clock stands still (a kernel tick, 1 to 10 ms)."""
HEADERS = 256 * 1024
"""Bytes looked at for the end of the headers of a mail that is too large to take."""


@dataclass(frozen=True, slots=True, order=True)
class _File:
    """A mail in new or cur. `changed` is its ctime in nanoseconds."""

    changed: int
    key: str  # the name without flags, which stays when a mail is read or marked
    path: Path = field(compare=False)
    size: int = field(compare=False)
    modified: float = field(compare=False)


class _Known:
    """What a cursor knows."""

    def __init__(self, cursor: Mapping[str, Any]) -> None:
        self.since, self.names = int(cursor.get("since", 0)), dict(cursor.get("names", {}))
        if self.since > (now := time.time_ns()):
            self.since = now - OVERLAP  # the clock was set back

    def __contains__(self, file: _File) -> bool:
        return file.changed < self.since or file.key in self.names

    def add(self, files: list[_File]) -> None:
        """These are next in order of change time."""
        for file in files:
            self.names.pop(file.key, None)
            self.names[file.key] = file.changed
        newest = max(self.names.values(), default=0)
        recent = [(key, at) for key, at in self.names.items() if at >= newest - OVERLAP]
        self.names = dict(recent[-NAMES:])
        oldest = min(self.names.values(), default=0) if len(recent) > NAMES else newest - OVERLAP
        self.since = max(self.since, oldest)

    def cursor(self) -> dict[str, Any]:
        return {"since": self.since, "names": dict(self.names)}


class MaildirChannel(Channel[MaildirSettings]):
    """One Maildir, read by listing; nothing in it is changed but the drafts."""

    name = "maildir"
    summary = "A Maildir on this machine: read, and given drafts with suggested answers."
    sample = "maildir.toml"
    settings_model = MaildirSettings
    settle: ClassVar[float] = 0.0

    def __init__(self, settings: MaildirSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.interval = settings.poll
        self.root = settings.path / f".{settings.folder}" if settings.folder else settings.path
        self._quiet: tuple[Any, str] | None = None  # the cursor and directories that held nothing new

    # -- in --------------------------------------------------------------------------------

    def poll(self, cursor: Mapping[str, Any]) -> Iterator[Page]:
        """What lies there and is not known yet, in the order it came."""
        with _touching(self.root):
            if self._quiet == (dict(cursor), self._state()):
                return
            files, state = self._snapshot()
            known = _Known(cursor)
            for batch in _batches(sorted(f for f in files if f not in known)):
                raws, taken = self._raws(batch)
                known.add(taken)
                cursor = known.cursor()
                yield Page(raws, cursor)
            self._quiet = (dict(cursor), state) if state else None

    def _snapshot(self) -> tuple[list[_File], str]:
        """What lies there, and the directories' state; empty where they would not stand still.

        A listing made while files are moved in may hold a later one and miss an earlier one: then
        only what is a second old is taken, the rest comes with the next poll.
        """
        for _ in range(5):
            begun, state = time.time_ns(), self._state()
            files = self._files()
            if state == self._state() and max(map(int, state.split("/"))) < begun - TICK:
                return files, state
            self.context.stop.wait(TICK / 10**9)
        return [f for f in files if f.changed < begun - 10**9], ""

    def _files(self) -> list[_File]:
        found: dict[str, _File] = {}
        for name in ("new", "cur"):
            with os.scandir(self.root / name) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    try:
                        stat = entry.stat()
                    except FileNotFoundError:
                        continue  # moved from new to cur, or deleted, as we looked
                    key = entry.name.partition(":2,")[0]
                    path = Path(entry.path)
                    found[key] = _File(stat.st_ctime_ns, key, path, stat.st_size, stat.st_mtime)
        return list(found.values())

    def _state(self) -> str:
        """Changes whenever a file comes, goes or is renamed."""
        return "/".join(str((self.root / name).stat().st_mtime_ns) for name in ("new", "cur"))

    def _raws(self, batch: list[_File]) -> tuple[tuple[Raw, ...], list[_File]]:
        """The mails, and the files they were read from."""
        raws, taken = [], []
        limit = self.settings.max_size
        for file in batch:
            large = file.size > limit
            try:
                with file.path.open("rb") as mail:
                    data = mail.read(HEADERS if large else limit)
            except FileNotFoundError:
                continue  # renamed as we looked: its change time is new, so the next poll finds it
            facts = {
                "mailbox": self.settings.address,
                "folder": self.settings.folder or "INBOX",
                "received": datetime.fromtimestamp(file.modified, UTC).isoformat(timespec="seconds"),
            }
            if sender := sender_of(data):
                facts["sender"] = sender
            if large:
                facts["oversized"] = str(limit)
            raws.append(Raw(file.key, _headers(data) if large else data, facts))
            taken.append(file)
        return tuple(raws), taken

    def read(self, raw: Raw) -> list[Message | Event]:
        """The mail in the bytes."""
        if self.settings.sent:
            return read_sent(raw, self.settings.trusted_authservs)
        return read_stored(raw, self.settings.address, self.settings.trusted_authservs)

    # -- drafts ----------------------------------------------------------------------------

    def draft(self, case: Case, message: Message, suggestions: list[Suggestion], effect: Effect) -> str:
        """Lay a draft reply into the drafts folder, or bring the one that is there up to date.

        Returns its key. A draft an agent has changed is left alone. Raises ConfigError where the
        folder cannot be written, Rejected where the customer has no address.
        """
        with _touching(self.settings.path):
            return self._drafter().write(case, message, suggestions, effect.key)

    def find(self, ability: str, effect: Effect) -> str | None:
        """The key of the draft of this effect, if it lies there."""
        with _touching(self.settings.path):
            return self._drafter().find(effect.key)

    def _drafter(self) -> Drafter:
        hub = self.context.hub or {}
        return Drafter(
            folder=self.settings.path / f".{self.settings.drafts}",
            address=self.settings.address,
            name=self.settings.name or hub.get("name", ""),
            language=hub.get("languages", "en").partition(",")[0].strip() or "en",
            now=self.context.now,
        )

    # -- both ------------------------------------------------------------------------------

    def check(self) -> list[Notice]:
        """Look whether the Maildir is one, and may be read."""
        with _touching(self.root):
            for name in ("new", "cur"):
                if not os.access(self.root / name, os.R_OK | os.X_OK):
                    raise ConfigError(f"this user may not read {self.root / name}", path="path")
        if not os.access(self.settings.path, os.W_OK):
            return [Notice(f"this user may not write in {self.settings.path}: no drafts", "path")]
        return []


def _batches(files: list[_File]) -> Iterator[list[_File]]:
    batch: list[_File] = []
    weight = 0
    for file in files:
        if batch and (len(batch) >= PAGE_MAILS or weight + file.size > PAGE_BYTES):
            yield batch
            batch, weight = [], 0
        batch.append(file)
        weight += file.size
    if batch:
        yield batch


def _headers(data: bytes) -> bytes:
    """What stands before the first empty line."""
    ends = [i + len(end) for end in (b"\n\n", b"\n\r\n") if (i := data.find(end)) >= 0]
    return data[: min(ends, default=len(data))]


@contextmanager
def _touching(root: Path) -> Iterator[None]:
    """Turn what a file system may say into the sdk's words."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(f"{root} is no Maildir (cur, new and tmp): {error.strerror}", path="path") from error
    except PermissionError as error:
        raise ConfigError(f"this user may not use {error.filename}", path="path") from error
    except OSError as error:
        raise Unavailable(f"{root} cannot be read now: {error.strerror}") from error
