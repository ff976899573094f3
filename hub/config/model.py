"""The hub's own settings. What a plugin needs is in the plugin's model.

Every description here is read by `tresse check`, the reference and the annotated sample.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from hub.config.alerts import AlertsSettings
from hub.sdk import Duration, Secret, Settings, Size

KINDS = ("channels", "crm", "cti", "matchers")
"""Tables that hold instances, in the order people meet them."""

Voice = Literal["hub", "desk", "nobody"]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f'"{name}" is not a time zone of the IANA database, such as "Europe/Paris"') from None
    return name


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError('write an address such as "https://hub.example"')
    return text.rstrip("/")


def _case_number(pattern: str) -> str:
    try:
        first, second = (pattern.format(year=2026, n=n) for n in (1, 2))
    except (KeyError, IndexError, ValueError, AttributeError):
        raise ValueError('write a pattern such as "TR-{year}-{n:06}"; it may hold {year} and {n}') from None
    if first == second:
        raise ValueError("the pattern must hold {n}, else every case has the same number")
    if not re.fullmatch(r"[A-Za-z0-9._/#-]{3,60}", first):
        raise ValueError("a case number has 3 to 60 letters, digits and . _ / # -")
    return pattern


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError('write an address and a port, such as "127.0.0.1:8080"')
    return text


_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def _rate(text: str) -> str:
    found = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(s|min|h)\s*", text)
    if text and (not found or not int(found[1])):
        raise ValueError('write how many calls in which time: "10/s", "100/min" or "5000/h"')
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2}$")]


class HubSettings(Settings):
    """`[hub]`: what is true for the whole company."""

    name: str = Field("Tresse", description="The name customers and agents see.", min_length=1, max_length=80)
    data: Path = Field(Path("var"), description="Directory for the database, the key file and the indexes.")
    address: Annotated[str, AfterValidator(_address)] = Field(
        "http://127.0.0.1:8080", description="Where browsers and other systems reach the hub; links begin with it."
    )
    languages: tuple[Language, ...] = Field(
        ("fr", "en"), description="Languages you answer in; the first one where nothing is known.", min_length=1
    )
    country: str = Field(
        "FR", description="Country of phone numbers without a prefix (ISO 3166).", pattern="^[A-Z]{2}$"
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        "Europe/Paris", description="Time zone of people who have not chosen one."
    )
    case_number: Annotated[str, AfterValidator(_case_number)] = Field(
        "TR-{year}-{n:06}", description="How a case is numbered; {n} begins at 1 every year."
    )
    order_patterns: tuple[Pattern, ...] = Field(
        (), description="Regular expressions that recognise your order numbers, for every channel."
    )
    history: Duration = Field(
        86400.0,
        description="Mail older than this when the hub first started only goes onto the timeline: "
        "no acknowledgement, no case in the desk.",
    )
    allow_hosts: tuple[str, ...] = Field(
        (), description="Hosts inside your network that plugins may call, beside those in their own settings."
    )
    keep_free: Size = Field(
        200 * 1024**2,
        description="Below so much free disk nothing new is taken in: pushes are answered 503, mail stays on its "
        "server; what was received is still worked off.",
    )


class DatabaseSettings(Settings):
    """`[database]`: where the rows are kept."""

    url: Secret = Field(
        Secret(""),
        description="SQLAlchemy URL; empty means SQLite in the data directory. A secret: it may hold a password.",
    )


class EngineSettings(Settings):
    """`[engine]`: who does the work."""

    kind: Literal["embedded", "distributed"] = Field(
        "embedded",
        description="embedded: one process does everything. distributed: any number of workers on any number of "
        "hosts, on PostgreSQL.",
    )


class WebSettings(Settings):
    """`[web]`: the pages, the API, and what other systems push."""

    listen: Annotated[str, AfterValidator(_listen)] = Field(
        "127.0.0.1:8080", description="Address and port to listen on; put a TLS proxy in front."
    )
    threads: int = Field(
        32,
        description="Requests answered at the same time; pushes that wait for the disk together share one commit.",
        ge=1,
        le=64,
    )
    proxies: int = Field(
        0, description="How many reverse proxies of yours stand in front (X-Forwarded-For).", ge=0, le=5
    )

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])


class LogSettings(Settings):
    """`[log]`: how the hub tells what it does."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description='The least important thing that is told; customers\' text appears at "debug" only.'
    )
    format: Literal["line", "json"] = Field("line", description="Lines for people, or JSON for a log collector.")


class AcknowledgeSettings(Settings):
    """`[acknowledge]`: who tells a customer that the message has arrived, and how often at most."""

    by: Voice = Field("hub", description="Exactly one side acknowledges: the hub, your desk, or nobody.")
    per_sender_day: int = Field(2, description="Acknowledgements to one address in a day, at most.", ge=0)
    per_day: int = Field(1000, description="Acknowledgements in a day, at most, all addresses together.", ge=0)


class AnswersSettings(Settings):
    """`[answers]`: the approved answers. The file fills an empty base once; then the database owns them."""

    file: Path | None = Field(
        None, description="CSV, TOML or JSON file with your answers, imported into an empty base."
    )
    limit: int = Field(3, description="How many answers are suggested for a message.", ge=1, le=10)


class BrandSettings(Settings):
    """`[brands.NAME]`: a name that channels answer under."""

    name: str = Field(description="The name customers see.", min_length=1, max_length=80)
    signature: str = Field("", description="Text under what the hub sends in this name.")
    order_patterns: tuple[Pattern, ...] = Field((), description="This brand's order numbers, beside those of [hub].")


def _for(*kinds: str) -> dict[str, Any]:
    return {"kinds": list(kinds)}


class SectionOptions(Settings):
    """What the hub itself wants to know of an instance; the rest belongs to the component."""

    enabled: bool = Field(True, description="false: checked, but not started.")
    brand: str = Field(
        "", description="The brand of this channel, a key of [brands].", json_schema_extra=_for("channels")
    )
    acknowledge: Voice | None = Field(
        None,
        description="Who acknowledges here; [acknowledge] decides where it is not set.",
        json_schema_extra=_for("channels"),
    )
    channels: tuple[str, ...] = Field(
        (), description="The channels whose cases this system receives; empty means all.", json_schema_extra=_for("crm")
    )
    threads: int = Field(2, description="Calls into this instance at the same time.", ge=1, le=32)
    timeout: Duration = Field(
        30.0, description="How long one call may take before the instance counts as hanging.", gt=0
    )
    calls: Annotated[str, AfterValidator(_rate)] = Field(
        "",
        description='How often this system may be called at most, by all threads and hosts together: "10/s", '
        '"100/min", "5000/h". What its answers say about limits is heeded without it.',
    )

    @property
    def spacing(self) -> float | None:
        """Seconds between two calls that `calls` means; None without one."""
        if not self.calls:
            return None
        count, _, unit = self.calls.replace(" ", "").partition("/")
        return _SECONDS[unit] / int(count)


def options_of(kind: str) -> tuple[str, ...]:
    """The names of the options sections of `kind` have."""
    names = []
    for name, info in SectionOptions.model_fields.items():
        extra = info.json_schema_extra
        kinds = extra.get("kinds") if isinstance(extra, dict) else None
        if kinds is None or (isinstance(kinds, list) and kind in kinds):
            names.append(name)
    return tuple(names)


@dataclass(frozen=True, slots=True)
class Section:
    """One instance of the configuration. `values` are as written; `settings_of` makes the component's model of them."""

    kind: str
    id: str
    use: str
    options: SectionOptions
    values: Mapping[str, Any] = field(repr=False)
    base: Path = Path()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def path(self) -> str:
        return f"{self.kind}.{self.id}"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, read and checked as far as it can be without the plugins."""

    path: Path
    hub: HubSettings
    database: DatabaseSettings
    engine: EngineSettings
    web: WebSettings
    log: LogSettings
    acknowledge: AcknowledgeSettings
    answers: AnswersSettings
    alerts: AlertsSettings
    brands: Mapping[str, BrandSettings]
    sections: tuple[Section, ...]

    @property
    def database_url(self) -> str:
        """The database's URL; SQLite in the data directory unless configured."""
        return self.database.url.get_secret_value() or f"sqlite:///{self.hub.data / 'tresse.db'}"

    def section(self, path_or_id: str) -> Section | None:
        """The section called `path_or_id`."""
        return next((s for s in self.sections if path_or_id in (s.id, s.path)), None)

    def voice(self, section: Section) -> Voice:
        """Who acknowledges on this channel."""
        return section.options.acknowledge or self.acknowledge.by
