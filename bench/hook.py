"""The component of `bench.webhook`: checks a signature over the raw body, and keeps it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from bench.words import message
from hub.sdk import (
    Accepted,
    AuthError,
    Channel,
    Component,
    Event,
    Message,
    Raw,
    Reply,
    Request,
    Settings,
    hookimpl,
)

from .load import SECRET


class HookSettings(Settings):
    """No settings: the secret is the load's."""


class Hook(Channel[HookSettings]):
    """As little as a receiver of signed webhooks may do."""

    name = "hook"
    summary = "Takes signed webhooks."
    settings_model = HookSettings

    def check(self) -> None:
        """Nothing to look at."""

    def accept(self, request: Request) -> Accepted:
        key = request.headers.get("webhook-id", "")
        signature = hmac.new(SECRET, key.encode() + b"." + request.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, request.headers.get("webhook-signature", "")):
            raise AuthError("the signature does not fit")
        return Accepted((Raw(key, request.body),), Reply(202))

    def read(self, raw: Raw) -> list[Message | Event]:
        said = json.loads(raw.data)
        return [message(said, self.context.now(), "Retour", "Alice")]


@hookimpl
def hub_components() -> list[type[Component[Any]]]:
    """The component `hook`."""
    return [Hook]
