"""`[alerts]`: who is told when something needs a person."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from hub.sdk import Duration, Secret, Settings


def _webhook(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username):
        raise ValueError('write an address such as "https://alerts.example/tresse"')
    return text


def _mail(text: str) -> str:
    local, _, domain = text.rpartition("@")
    if text and (not local or not domain or any(c.isspace() for c in text)):
        raise ValueError('write an address such as "admin@shop.example"')
    return text


def _key(secret: Secret) -> Secret:
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if text not in ("", "?") and not 24 <= len(key) <= 64:  # "?" stands for a secret that was not found
        raise ValueError('should be "whsec_" and 24 to 64 bytes in base64')
    return secret


class AlertsSettings(Settings):
    """`[alerts]`: who is told when something needs a person, once when it begins and once when it is over."""

    webhook: Annotated[str, AfterValidator(_webhook)] = Field(
        "", description="Address that is posted to, signed after Standard Webhooks."
    )
    secret: Annotated[Secret, AfterValidator(_key)] = Field(
        Secret(""), description='What the posts are signed with: "whsec_" and 24 to 64 bytes in base64.'
    )
    mail: Annotated[str, AfterValidator(_mail)] = Field("", description="Address that is written to.")
    via: str = Field(
        "", description="The channel that sends those mails; empty is the first that can, other than the sick one."
    )
    language: Literal["fr", "en"] = Field("fr", description="Language of what is told.")
    after: Duration = Field(
        0.0, description="How long an alert must stand open before it is told, so that short ones are silent."
    )

    @model_validator(mode="after")
    def _signed(self) -> AlertsSettings:
        if self.webhook and not self.secret.get_secret_value():
            raise ValueError('a webhook needs its secret: secret = { file = "..." } or { env = "..." }')
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """Who is told: ``webhook``, ``mail``, both or none."""
        return tuple(name for name in ("webhook", "mail") if getattr(self, name))
