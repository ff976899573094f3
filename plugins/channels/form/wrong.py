"""What is wrong with an entry, before it is put into words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.locale import text

_MB = 1024**2


@dataclass(frozen=True, slots=True)
class Wrong:
    """`key` names the sentence in hub/locale/form.toml; a value called `size` is in bytes."""

    key: str
    values: Mapping[str, str | int] = field(default_factory=dict)

    def sentence(self, language: str) -> str:
        """The sentence for the customer."""
        values = {n: size(language, int(v)) if n == "size" else v for n, v in self.values.items()}
        return text(language, f"form.{self.key}", **values)


def size(language: str, count: int) -> str:
    """Bytes as people say them, rounded down: a limit must not promise more than there is."""
    if count >= _MB:
        return text(language, "form.unit.mb", n=count // _MB)
    return text(language, "form.unit.kb", n=max(1, math.floor(count / 1024)))
