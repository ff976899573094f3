r"""The way in: a folder read by UID above a stored mark, in pages, told only after the commit.

The mark is (UIDVALIDITY, UID). Flags decide nothing: another client may set \\Seen before we look,
and the mail still comes (measured over 60 kills: this way loses 0 of 600 and doubles 0, UNSEEN
with RFC822 loses 54).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from imapclient.exceptions import CapabilityError, IMAPClientAbortError, IMAPClientError

from hub.mail.glance import sender_of
from hub.sdk import ConfigError, Page, Raw, Unavailable

from .line import connect, speaking
from .settings import MailSettings
from .wire import Fetched

PAGE_MAILS = 100
PAGE_BYTES = 32 * 1024**2
"""A page ends at whichever comes first; it is in memory as a whole, twice while it is stored."""
LIGHT = 128 * 1024
"""Bytes. Smaller mails are not asked for their size one by one; heavier ones are."""
WINDOW = 50_000
"""UIDs searched at once: imaplib refuses an answer line of more than a million bytes."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a folder was read.

    `rescan` is the last UID of a re-scan under way: it must go on as one after a restart.
    `settled` is the last UID whose mail was flagged or moved after its commit. `turn` counts how
    often the numbering broke: numbers may come back, and must not be taken for the mails they had.
    """

    uidvalidity: int
    uid: int = 0
    rescan: int = 0
    settled: int = 0
    turn: int = 0

    @classmethod
    def of(cls, cursor: Mapping[str, Any], folder: str) -> Mark | None:
        values = cursor.get(folder)
        return cls(**values) if values else None

    def on(self, cursor: Mapping[str, Any], folder: str) -> dict[str, Any]:
        """The cursor with this mark for `folder`; other folders' marks stay."""
        return {**cursor, folder: asdict(self)}

    def key(self, folder: str, uid: int) -> str:
        """The source key of a mail."""
        turn = f".{self.turn}" if self.turn else ""
        return f"{folder}/{self.uidvalidity}{turn}/{uid}"


class Mailbox:
    """One connection to one folder; a context manager. Raises the sdk's errors."""

    def __init__(self, settings: MailSettings) -> None:
        self.settings = settings
        self.login = settings.imap_login()
        self.folder = settings.imap.folder
        self.after = settings.imap.after

    def __enter__(self) -> Self:
        with speaking(self.login):
            self.wire = connect(self.login)
            try:
                self._select()
            except BaseException:
                self.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self.wire.hang_up()

    def can_idle(self) -> bool:
        """Whether the server calls when mail comes."""
        with speaking(self.login):
            return bool(self.wire.has_capability("IDLE"))

    def start_idle(self) -> None:
        """Let the server call."""
        with speaking(self.login):
            self.wire.start_idle()

    def changed(self, seconds: float) -> bool:
        """In IDLE: wait at most so long; True as soon as new mail may be there."""
        with speaking(self.login):
            # What was reported beside earlier answers, IDLE does not say again.
            return self.wire.grown() or self.wire.wait(seconds)

    def stop_idle(self) -> None:
        """Speak again."""
        with speaking(self.login):
            self.wire.stop_idle()

    def _select(self) -> None:
        try:
            answer = self.wire.select_folder(self.folder, readonly=self.after == "nothing")
        except IMAPClientAbortError:
            raise
        except IMAPClientError as error:
            raise self._missing(self.folder, "imap.folder") or error from error
        self.uidvalidity = int(answer.get(b"UIDVALIDITY", 0))
        self.uidnext = int(answer.get(b"UIDNEXT", 0))
        self.opened = True

    def _missing(self, folder: str, path: str) -> ConfigError | None:
        """The error for a folder that is not there; None when it is there and the trouble is another."""
        names = [str(name) for flags, _, name in self.wire.list_folders() if b"\\Noselect" not in flags]
        if folder in names or folder.upper() == "INBOX":
            return None
        near = {n.lower(): n for n in names}
        close = difflib.get_close_matches(folder.lower(), near, 1, 0.6)
        hint = f'did you mean "{near[close[0]]}"?' if close else f"there are: {', '.join(sorted(names)[:20])}"
        return ConfigError(f'{self.login.user} has no folder "{folder}"; {hint}', path=path)

    def check_after(self) -> None:
        """Prove that what shall happen to a stored mail can be done. Raises ConfigError."""
        if not self.after.startswith("move:"):
            return
        with speaking(self.login):
            if not self.wire.has_capability("MOVE"):
                raise ConfigError('the server cannot move mail (RFC 6851); use "seen"', path="imap.after")
            if missing := self._missing(self.after.removeprefix("move:"), "imap.after"):
                raise missing

    # -- reading ---------------------------------------------------------------------------

    def pages(self, cursor: Mapping[str, Any]) -> Iterator[Page]:
        """What is above the cursor's mark, oldest first. Asking on says that the last page is stored."""
        with speaking(self.login):
            mark = self._start(cursor)
            if self.after != "nothing" and mark.settled < mark.uid:
                # Stored before a crash, and not flagged or moved any more.
                self._settle(self._search(mark.settled, mark.uid))
                mark = replace(mark, settled=mark.uid)
                yield Page((), mark.on(cursor, self.folder))
            uids = self._search(mark.uid)
            for batch, oversized in self._batches(uids):
                raws = self._raws(mark, batch, oversized)
                # With nothing to do, nothing is owed, should `after` be configured later.
                mark = replace(mark, uid=batch[-1], settled=batch[-1] if self.after == "nothing" else mark.settled)
                yield Page(raws, mark.on(cursor, self.folder), rescan=batch[0] <= mark.rescan)
                if self.after != "nothing":
                    self._settle(batch)
                    mark = replace(mark, settled=batch[-1])
            if uids and self.after != "nothing":
                yield Page((), mark.on(cursor, self.folder))

    def _start(self, cursor: Mapping[str, Any]) -> Mark:
        opened, self.opened = self.opened, False
        mark = Mark.of(cursor, self.folder)
        if mark is None:
            return Mark(self.uidvalidity)
        # UIDNEXT was told when the folder was opened; later pages go beyond it.
        backwards = opened and 0 < self.uidnext <= mark.uid
        if mark.uidvalidity == self.uidvalidity and not backwards:
            return mark
        # The server numbers anew (RFC 3501, section 2.3.1.1), or was restored from a backup and
        # gives numbers again that we have seen: our mark means nothing there.
        last = max(self._search(0), default=0)
        return Mark(self.uidvalidity, rescan=last, turn=mark.turn + 1)

    def _search(self, above: int, last: int = 0) -> list[int]:
        """UIDs above a mark, ascending; with `last`, up to that one."""
        self.wire.grown()  # what was reported before this search lies in its view
        found: set[int] = set()
        low = above + 1
        while not last and self.uidnext > low + WINDOW:
            found.update(self.wire.search(["UID", f"{low}:{low + WINDOW - 1}"]))
            low += WINDOW
        found.update(self.wire.search(["UID", f"{low}:{last or '*'}"]))
        # "n:*" names the last mail even where its UID is below n (RFC 3501, section 6.4.8).
        return sorted(u for u in found if u > above and (not last or u <= last))

    def _batches(self, uids: list[int]) -> Iterator[tuple[list[int], set[int]]]:
        """UIDs cut into pages by number and weight, each with those that are too large to fetch."""
        if not uids:
            return
        heavy = self.wire.search(["UID", f"{uids[0]}:{uids[-1]}", "LARGER", str(LIGHT)])
        sizes = self.wire.sizes(heavy) if heavy else {}
        batch: list[int] = []
        oversized: set[int] = set()
        weight = 0
        for uid in uids:
            size = sizes.get(uid, LIGHT)
            large = size > self.settings.max_size
            weight += LIGHT if large else size
            if batch and (len(batch) >= PAGE_MAILS or weight > PAGE_BYTES):
                yield batch, oversized
                batch, oversized, weight = [], set(), LIGHT if large else size
            batch.append(uid)
            if large:
                oversized.add(uid)
        yield batch, oversized

    def _raws(self, mark: Mark, batch: list[int], oversized: set[int]) -> tuple[Raw, ...]:
        whole, refused = self._fetch([u for u in batch if u not in oversized])
        headers = self.wire.fetch_bulk(oversized, "HEADER") if oversized else {}
        raws = []
        for uid in batch:
            if uid in whole:
                raws.append(self._raw(mark.key(self.folder, uid), whole[uid]))
            elif uid in headers:
                raws.append(self._raw(mark.key(self.folder, uid), headers[uid], oversized=str(self.settings.max_size)))
            elif uid in refused:
                raws.append(self._raw(mark.key(self.folder, uid), Fetched(b""), unfetched=refused[uid]))
        return tuple(raws)  # a UID in none of them was expunged since the search

    def _fetch(self, uids: list[int]) -> tuple[dict[int, Fetched], dict[int, str]]:
        """Bodies, and the server's words for those it would not give although others came."""
        if not uids:
            return {}, {}
        try:
            return self.wire.fetch_bulk(uids), {}
        except IMAPClientAbortError:
            raise
        except IMAPClientError:
            if len(uids) == 1:
                raise
        found: dict[int, Fetched] = {}
        refused: dict[int, str] = {}
        for uid in uids:
            try:
                found |= self.wire.fetch_bulk([uid])
            except IMAPClientAbortError:
                raise
            except IMAPClientError as error:
                refused[uid] = str(error)
        if not found and refused:
            raise Unavailable(f"{self.login.place} refuses every mail: {next(iter(refused.values()))}")
        return found, refused

    def _raw(self, key: str, fetched: Fetched, **more: str) -> Raw:
        facts = {"mailbox": self.settings.address, "folder": self.folder, **more}
        if sender := sender_of(fetched.data):
            facts["sender"] = sender
        if fetched.received:
            facts["received"] = fetched.received
        return Raw(key, fetched.data, facts)

    def _settle(self, uids: list[int]) -> None:
        """Flag or move what is stored."""
        if not uids:
            return
        if self.after == "seen":
            self.wire.add_flags(uids, [b"\\Seen"], silent=True)
            return
        target = self.after.removeprefix("move:")
        try:
            self.wire.move(uids, target)
        except CapabilityError as error:
            raise ConfigError('the server cannot move mail (RFC 6851); use "seen"', path="imap.after") from error
        except IMAPClientAbortError:
            raise
        except IMAPClientError as error:
            raise self._missing(target, "imap.after") or error from error
