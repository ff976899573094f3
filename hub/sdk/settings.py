"""Types for a component's settings: one for durations, one for sizes, one for secrets."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB)", re.IGNORECASE)
_BYTES = {"b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}


def _duration(value: object) -> object:
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        if not found:
            raise ValueError('write a duration as "500ms", "30s", "5m", "2h" or "1d"')
        return float(found[1]) * _SECONDS[found[2]]
    return value


def _size(value: object) -> object:
    if isinstance(value, str):
        found = _SIZE.fullmatch(value.strip())
        if not found:
            raise ValueError('write a size as "64KB", "10MB" or "1GB"')
        return int(float(found[1]) * _BYTES[found[2].lower()])
    return value


Duration = Annotated[float, BeforeValidator(_duration), Field(ge=0)]
"""Seconds; written as ``"30s"``, ``"5m"``, ``"2h"``."""

Size = Annotated[int, BeforeValidator(_size), Field(ge=0)]
"""Bytes; written as ``"10MB"``."""

Secret = SecretStr
"""A secret. In TOML: ``{ file = "..." }``, ``{ env = "..." }`` or, discouraged, the text itself."""


def renamed_from(*names: str) -> dict[str, Any]:
    """Mark a field that had another name, for `tresse check --fix`: ``Field(json_schema_extra=...)``."""
    return {"renamed_from": list(names)}


class Settings(BaseModel):
    """Base of every component's settings: frozen, unknown keys refused, every field described."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
