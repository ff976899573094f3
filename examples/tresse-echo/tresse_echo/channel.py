"""The channel `echo`: one text file is one letter, in one folder and out into another."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from hub.sdk import (
    Channel,
    ConfigError,
    Direction,
    Effect,
    Event,
    Identity,
    Message,
    Notice,
    Outgoing,
    Page,
    Proof,
    Raw,
    Rejected,
    Settings,
    Unavailable,
)
from hub.sdk.abilities import Cursor

PAGE = 50
"""Letters the hub stores at once."""


class EchoSettings(Settings):
    """Two folders."""

    inbox: Path = Field(description="The folder where letters appear, one .txt file each.")
    outbox: Path = Field(description="The folder where the hub puts letters to customers.")
    largest: int = Field(100_000, description="Letters with more bytes are set aside for a human.", ge=1)


class EchoChannel(Channel[EchoSettings]):
    """Polls and Reads letters; Sends them, and Finds what it has sent, so that none goes out twice."""

    name = "echo"
    summary = "Letters in and out as text files, for programs that can only exchange files."
    settings_model = EchoSettings
    interval = 30.0
    blind = False
    settle = 0.0  # a file is there or it is not: nothing can still be under way

    def check(self) -> list[Notice]:
        """Both folders must be there, and the outbox must be ours to write to."""
        for path, mode in (("inbox", os.R_OK), ("outbox", os.W_OK)):
            folder: Path = getattr(self.settings, path)
            if not folder.is_dir():
                raise ConfigError(f"there is no folder {folder}", path=path)
            if not os.access(folder, mode | os.X_OK):
                raise ConfigError(f"the hub may not use {folder}", path=path)
        if self.settings.inbox == self.settings.outbox:
            return [Notice("letters to customers come straight back as letters from customers", "outbox")]
        return []

    # -- in -----------------------------------------------------------------------------------

    def poll(self, cursor: Cursor) -> Iterator[Page]:
        """New letters, oldest first. The files stay: the cursor remembers how far the hub has read."""
        last = (int(cursor.get("time", 0)), str(cursor.get("name", "")))
        new = [place for place in self._places() if place > last]
        for start in range(0, len(new), PAGE):
            some = new[start : start + PAGE]
            raws = tuple(raw for time, name in some if (raw := self._raw(time, name)))
            yield Page(raws, {"time": some[-1][0], "name": some[-1][1]})

    def _places(self) -> list[tuple[int, str]]:
        try:
            with os.scandir(self.settings.inbox) as entries:
                return sorted((e.stat().st_mtime_ns, e.name) for e in entries if e.name.endswith(".txt"))
        except OSError as error:
            raise Unavailable(f"the folder {self.settings.inbox} cannot be read: {error.strerror}") from error

    def _raw(self, time: int, name: str) -> Raw | None:
        try:
            data = (self.settings.inbox / name).read_bytes()
        except FileNotFoundError:  # somebody was quicker and took it back
            return None
        return Raw(f"{time}/{name}", data, {"at": datetime.fromtimestamp(time / 1e9, UTC).isoformat()})

    def read(self, raw: Raw) -> list[Message | Event]:
        """Pure: from the bytes and the settings alone, so that it runs again years later."""
        if len(raw.data) > self.settings.largest:
            raise Rejected(f"the letter has {len(raw.data)} bytes, more than {self.settings.largest}")
        try:
            address, subject, text = raw.data.decode("utf-8").split("\n", 2)
            at = datetime.fromisoformat(raw.facts["at"])
        except (ValueError, KeyError):
            raise Rejected("not an address, a subject and a text, each on lines of its own") from None
        if "@" not in address:
            raise Rejected("the first line is not an address")
        sender = Identity("email", address.strip())
        return [
            Message(
                direction=Direction.IN,
                sender=sender,
                customer=sender,
                at=at,
                subject=subject.strip(),
                text=text,
                reply=text,
                proof=Proof.CLAIMED,  # anybody can write an address on a letter
                proof_reason="the letter says so",
                acknowledge_reason="the sender of a letter is not proven",
            )
        ]

    # -- out ----------------------------------------------------------------------------------

    def send(self, outgoing: Outgoing, effect: Effect) -> str:
        """Write a letter; a second call with the same effect finds the first one's file."""
        target = self._letter(effect)
        text = f"{outgoing.to.value}\n{outgoing.subject}\n{outgoing.text}"
        try:
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=target.parent, prefix=".", delete=False
            ) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(target)  # whole or not at all: nobody reads half a letter
        except OSError as error:
            raise Unavailable(f"cannot write to {target.parent}: {error.strerror}") from error
        return target.name

    def find(self, ability: str, effect: Effect) -> str | None:
        """The letter that `send` wrote for this effect, before the hub was interrupted."""
        target = self._letter(effect)
        return target.name if ability == "send" and target.exists() else None

    def _letter(self, effect: Effect) -> Path:
        """The effect's key never changes, so neither does the letter's name."""
        return self.settings.outbox / f"{hashlib.sha256(effect.key.encode()).hexdigest()[:32]}.txt"
