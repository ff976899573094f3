"""The message that the benches' channels read from their JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hub.sdk import Direction, Identity, Message, Proof


def message(said: dict[str, Any], at: datetime, subject: str, name: str = "") -> Message:
    """`said` has an id, who it is from, and a text."""
    who = Identity("email", said["from"], name)
    return Message(
        direction=Direction.IN,
        sender=who,
        customer=who,
        at=at,
        subject=subject,
        text=said["text"],
        reply=said["text"],
        proof=Proof.CLAIMED,
        message_id=f"<{said['id']}@customer.example>",
        content_key=said["id"],
    )
