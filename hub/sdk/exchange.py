"""HTTP as a component that `Accepts` sees it: no web framework, frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.sdk.values import Raw


@dataclass(frozen=True, slots=True)
class Upload:
    """A file sent with a form."""

    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request for a component that `Accepts`. `path` is what follows its own address."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    query: Mapping[str, str]
    body: bytes
    remote: str
    form: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Upload, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What the hub answers on HTTP, after the raws are committed."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The outcome of `accept`: raws to commit, and the reply that leaves after the commit."""

    raws: tuple[Raw, ...]
    reply: Reply
