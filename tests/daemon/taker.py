"""A channel for the daemon's tests: takes pushes, polls a folder, and sends into a file that can be searched.

The folder lies outside of what the hub lives on: what a test counts, it counts there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from hub.sdk import (
    Accepted,
    Channel,
    Component,
    Direction,
    Effect,
    Event,
    Identity,
    Message,
    Outgoing,
    Page,
    Proof,
    Raw,
    Reply,
    Request,
    Settings,
    hookimpl,
)

PAGE = 5


class TakerSettings(Settings):
    """Where the world outside is."""

    outside: Path = Field(description="The folder with `in` and `sent`.")


class Taker(Channel[TakerSettings]):
    """Takes, polls and sends."""

    name = "taker"
    summary = "The far side of the daemon's tests."
    settings_model = TakerSettings
    interval = 0.5
    settle: ClassVar[float] = 0.1
    blind: ClassVar[bool] = False

    def check(self) -> None:
        return None

    def accept(self, request: Request) -> Accepted:
        return Accepted((Raw(json.loads(request.body)["key"], request.body),), Reply(202))

    def poll(self, cursor: Mapping[str, Any]) -> Iterator[Page]:
        names = sorted(file.name for file in (self.settings.outside / "in").iterdir())
        fresh = [name for name in names if name > cursor.get("at", "")]
        for first in range(0, len(fresh), PAGE):
            page = fresh[first : first + PAGE]
            raws = tuple(Raw(name, (self.settings.outside / "in" / name).read_bytes()) for name in page)
            yield Page(raws, {"at": page[-1]})

    def read(self, raw: Raw) -> list[Message | Event]:
        said = json.loads(raw.data)
        who = Identity("email", f"{said['key']}@customer.example")
        words = {"subject": "Retour", "text": said["text"], "reply": said["text"]}
        return [
            Message(
                direction=Direction.IN,
                sender=who,
                customer=who,
                at=self.context.now(),
                proof=Proof.VERIFIED,
                may_acknowledge=True,
                message_id=f"<{said['key']}@customer.example>",
                content_key=said["key"],
                **words,
            )
        ]

    def send(self, outgoing: Outgoing, effect: Effect) -> str:
        with (self.settings.outside / "sent").open("a") as file:
            file.write(f"{effect.key}\n")
        return f"<{effect.key}@hub.example>"

    def find(self, ability: str, effect: Effect) -> str | None:
        sent = (self.settings.outside / "sent").read_text().split()
        return f"<{effect.key}@hub.example>" if effect.key in sent else None


@hookimpl
def hub_components() -> list[type[Component[Any]]]:
    return [Taker]
