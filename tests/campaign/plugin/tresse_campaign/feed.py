"""The channel `feed`: messages by cursor, and a sender that can neither be asked nor told a key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import ClassVar

from pydantic import Field

from hub.sdk import Channel, Context, Direction, Effect, Event, Identity, Message, Outgoing, Page, Proof, Raw, Settings
from hub.sdk.abilities import Cursor

from .far import post


class FeedSettings(Settings):
    """Where it is."""

    url: str = Field(description="The far side's address.")
    poll: float = Field(0.3, description="Seconds between polls.")


class Feed(Channel[FeedSettings]):
    """Polls, Reads, Sends; the last one blind, as SMTP is."""

    name = "feed"
    settings_model = FeedSettings
    interval = 0.3
    blind: ClassVar[bool] = True

    def __init__(self, settings: FeedSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.interval = settings.poll

    def check(self) -> None: ...

    def poll(self, cursor: Cursor) -> Iterator[Page]:
        """Page after page, until one is not full."""
        at = int(cursor.get("n", 0))
        while True:
            said = post(self.context, f"{self.settings.url}/feed/{self.context.id}", {"cursor": at}, 0.0)
            raws = tuple(
                Raw(f"{at + n}", json.dumps(one).encode(), {"sender": one["from"]})
                for n, one in enumerate(said["messages"])
            )
            at = said["cursor"]
            if raws:
                yield Page(raws, {"n": at})
            if len(raws) < 40:
                return

    def read(self, raw: Raw) -> list[Message | Event]:
        said = json.loads(raw.data)
        who = Identity("email", said["from"])
        return [
            Message(
                direction=Direction.IN,
                sender=who,
                customer=who,
                at=datetime.fromtimestamp(said["at"], UTC),
                subject=said["mark"],
                text=said["mark"],
                reply=said["mark"],
                proof=Proof.CLAIMED,
                may_acknowledge=True,
                message_id=f"<{said['mark']}@customer.example>",
                references=tuple(f"<{mark}@customer.example>" for mark in said["refs"]),
                content_key=said["mark"],
            )
        ]

    def send(self, outgoing: Outgoing, effect: Effect) -> str:
        mark = outgoing.in_reply_to.strip("<>").partition("@")[0]
        said = {"key": effect.key, "case": outgoing.case_number, "mark": mark}
        post(self.context, f"{self.settings.url}/send/{self.context.id}/send", said, 0.1)
        return f"<{effect.key.replace('/', '.')}@hub.example>"
