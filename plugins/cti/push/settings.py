"""What a section with `use = "push"` may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from hub.rules.signing import secret_bytes
from hub.sdk import Secret, Settings, Size


class PushSettings(Settings):
    """A phone system that pushes its calls, and may be told what agents do."""

    token: Secret = Field(description="What the phone system must know: the last part of the address it pushes to.")
    number_format: Literal["auto", "international", "national"] = Field(
        default="auto",
        description="How it writes numbers without +: 33612345678 (international) or 0612345678 and 612345678.",
    )
    country: str = Field(default="", description="Country (two letters) of national numbers; empty is the hub's.")
    largest: Size = Field(default=65536, gt=0, description="A push larger than this is refused.")
    presence_url: str = Field(default="", description="Where to post what agents do; empty: tell nobody.")
    presence_secret: Secret = Field(
        default=SecretStr(""), description='Signs these posts (Standard Webhooks): "whsec_" and base64.'
    )

    @field_validator("token")
    @classmethod
    def _not_empty(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().strip():
            raise ValueError("is empty: anybody could push calls")
        return value

    @field_validator("presence_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("should begin with https://")
        return value

    @field_validator("presence_secret")
    @classmethod
    def _decodes(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            secret_bytes(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _signed(self) -> PushSettings:
        if self.presence_url and not self.presence_secret.get_secret_value():
            raise ValueError("presence_url needs presence_secret, so that the receiver knows who speaks")
        return self
