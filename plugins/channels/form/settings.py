"""What a section with `use = "form"` may say."""

from __future__ import annotations

import re
from typing import Literal, get_args

from pydantic import Field, SecretStr, field_validator

from hub.sdk import Duration, Secret, Settings, Size

Language = Literal["fr", "en", "es"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::\d{1,5})?")


class FormSettings(Settings):
    """A contact form, as a page of the hub and for a website's own form or script."""

    name: str = Field(default="", description="Whom the customer writes to; empty is the hub's name.")
    intro: str = Field(default="", description="A sentence above the form instead of ours, in your language.")
    languages: tuple[Language, ...] = Field(
        default=(), description="Languages of the page, the first where none fits; empty: the hub's that we have."
    )
    privacy_url: str = Field(default="", description="Your privacy notice, linked under the form.")
    thanks_url: str = Field(default="", description="Your own page to show after sending, instead of ours.")
    origins: tuple[str, ...] = Field(
        default=(), description='Websites that may post here or show the form in a frame: "https://shop.example".'
    )
    longest_message: int = Field(default=20_000, gt=0, description="Characters of a message.")
    max_files: int = Field(default=5, ge=0, description="Files of one message; 0 takes none.")
    max_file_size: Size = Field(default=10 * 1024**2, gt=0, description="Size of one file.")
    max_total_size: Size = Field(default=20 * 1024**2, gt=0, description="Size of all files of a message.")
    file_types: tuple[str, ...] = Field(
        default=("pdf", "jpg", "jpeg", "png", "gif", "webp", "heic", "txt", "docx", "odt"),
        description="Endings of the files that are taken; the content is compared where we know the type.",
    )
    minimum_fill: Duration = Field(default=3.0, description="Nobody fills in our page faster than this; 0s: no check.")
    honeypot: bool = Field(
        default=True, description="Keep aside what fills the field that people do not see; see the README."
    )
    rate: int = Field(default=10, gt=0, description="Messages from one address within rate_window.")
    rate_window: Duration = Field(default=3600.0, gt=0, description="The time that `rate` counts in.")
    signing_key: Secret = Field(
        default=SecretStr(""), description="Your website signs the addresses of customers who are logged in with it."
    )
    signed_for: Duration = Field(default=43_200.0, gt=0, description="How long such a signature is good.")

    @field_validator("origins")
    @classmethod
    def _plain_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        plain = tuple(origin.strip().lower().rstrip("/") for origin in value)
        for origin in plain:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError('write an origin as "https://shop.example": scheme and host, no path, no *')
        return plain

    @field_validator("file_types")
    @classmethod
    def _plain_types(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(ending.strip().lower().lstrip(".") for ending in value)

    @field_validator("privacy_url", "thanks_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("should begin with https://")
        return value

    @field_validator("signing_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < 16:
            raise ValueError("is too short: take 32 random characters")
        return value
