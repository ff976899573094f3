"""Draft replies in a Maildir folder: threaded, found by key, brought up to date, never repeated.

The file's name carries the effect's key and a hash of what we wrote, so one listing tells whether
a draft is there, whether it is current, and whether somebody has changed it since.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hub.locale import text
from hub.mail.compose import compose
from hub.sdk import Case, Message, Outgoing, Rejected, Suggestion

HEADER = "X-Tresse-Suggestion"
_MARK = ".tresse-"


@dataclass(frozen=True, slots=True)
class Drafter:
    """Writes into one drafts folder. `language` is the agents', for the words around the answers."""

    folder: Path
    address: str
    name: str
    language: str
    now: Callable[[], datetime]

    def write(self, case: Case, message: Message, suggestions: list[Suggestion], effect: str) -> str:
        """Lay the draft down; returns its key. Without suggestions an untouched older one goes."""
        if message.customer.kind != "email":
            raise Rejected(f"a draft needs an address to reply to, and {message.customer.kind} is none")
        key = draft_key(effect)
        older = self._ours(key)
        if any(_changed(path) for path in older) or (not older and self._taken(key)):
            return key  # an agent's words are never overwritten
        if suggestions:
            try:
                mail = self._mail(case, message, suggestions, key)
            except ValueError as error:
                raise Rejected(f"no draft can be made of this: {error}") from error
            keep = self._place(key, mail, older)
            older = [path for path in older if path != keep]
        for path in older:
            path.unlink(missing_ok=True)
        return key

    def find(self, effect: str) -> str | None:
        """The draft's key, if it lies here, also where a mail client has copied it."""
        key = draft_key(effect)
        return key if self._ours(key) or self._taken(key) else None

    def _place(self, key: str, mail: bytes, older: list[Path]) -> Path:
        """Write under tmp, then move to cur: a reader sees a whole draft or none."""
        name = f"{_MARK}{key}-{_digest(mail)}"
        for path in older:
            if name in path.name:
                return path
        for part in ("cur", "new", "tmp"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "maildirfolder").touch()  # Maildir++: this is a folder, not a mailbox
        full = f"{self.now().timestamp():.6f}{name}"
        temporary = self.folder / "tmp" / full
        with temporary.open("wb") as file:
            file.write(mail)
            file.flush()
            os.fsync(file.fileno())
        return temporary.rename(self.folder / "cur" / f"{full}:2,DS")

    def _ours(self, key: str) -> list[Path]:
        return [p for part in ("cur", "new") for p in (self.folder / part).glob(f"*{_MARK}{key}-*")]

    def _taken(self, key: str) -> bool:
        """Whether a mail client has written the draft anew, under a name of its own."""
        wanted = f"{HEADER}: {key}".encode()
        for part in ("cur", "new"):
            for path in (self.folder / part).glob("*"):
                if _MARK not in path.name and wanted in _head(path):
                    return True
        return False

    def _mail(self, case: Case, message: Message, suggestions: list[Suggestion], key: str) -> bytes:
        subject = message.subject or case.subject
        outgoing = Outgoing(
            kind="answer",
            to=message.customer,
            subject=subject if subject.lower().startswith("re:") else f"Re: {subject}",
            text=self._text(case, suggestions),
            in_reply_to=message.message_id,
            references=(*(r for r in message.references if r != message.message_id), message.message_id)
            if message.message_id
            else message.references,
            case_number=case.number,
            language=case.language,
        )
        domain = self.address.rpartition("@")[2]
        return compose(
            outgoing,
            sender=self.address,
            sender_name=self.name,
            message_id=f"<tresse.draft.{key}@{domain}>",
            date=message.at,  # not now: the same suggestions give the same draft
            automatic=False,
            extra={HEADER: key},
        )

    def _text(self, case: Case, suggestions: list[Suggestion]) -> str:
        lines = [text(self.language, "drafts.head", number=case.number, count=len(suggestions)), ""]
        for s in sorted(suggestions, key=lambda s: s.rank):
            band = text(self.language, f"drafts.band.{s.band}") if s.band else ""
            lines += [text(self.language, "drafts.answer", rank=s.rank, title=s.title, band=band).rstrip(), "", s.text]
            lines.append("")
        return "\n".join(lines)


def draft_key(effect: str) -> str:
    """Short, safe in a file name, the same for ever."""
    return hashlib.sha256(effect.encode()).hexdigest()[:24]


def _digest(mail: bytes) -> str:
    return hashlib.sha256(mail).hexdigest()[:16]


def _changed(path: Path) -> bool:
    """Whether the file no longer holds what its name says we wrote."""
    try:
        return f"-{_digest(path.read_bytes())}" not in path.name
    except FileNotFoundError:
        return False


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16 * 1024)
    except OSError:
        return b""
