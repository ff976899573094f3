"""How things look in every template: the strand of a channel, days and times, sizes, scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any

from hub.locale import bound, text
from hub.locale.sentences import sentence
from hub.store.timeline import Entry
from hub.web import here


def strand(instance: str) -> str:
    """The strand of an instance: one colour and one icon everywhere (static/tresse.css, templates/icons.svg).

    It follows from the section; what is no longer configured keeps a plain one.
    """
    section = here.hub().config.section(instance)
    if section is None:
        return "other"
    if section.kind == "channels":
        return {"mail": "mail", "maildir": "mail", "form": "form"}.get(section.use, "other")
    return {"cti": "phone", "crm": "desk", "matchers": "hub"}.get(section.kind, "other")


def strand_of(entry: Entry) -> str:
    """An entry's strand: its channel's, but the hub's own where the hub spoke by itself."""
    if entry.kind == "message" and entry.direction == "out" and entry.automatic and not entry.agent:
        return "hub"
    return "phone" if entry.event == "call" else strand(entry.instance)


def unanswered(entries: Sequence[Entry]) -> int | None:
    """The newest customer's message with suggestions that nobody has answered yet, in any order of entries."""
    answered: set[str] = set()
    for one in sorted((e for e in entries if e.kind == "message"), key=lambda e: e.at, reverse=True):
        if one.direction == "out" and not one.automatic:
            answered.add(one.case_number)
        elif one.direction == "in" and one.suggestions and one.case_number not in answered:
            return one.id
    return None


def by_day(entries: Sequence[Entry]) -> Iterator[tuple[date, list[Entry]]]:
    """Entries under the days of the reader's zone."""
    for day, group in groupby(entries, key=lambda e: e.at.astimezone(here.zone()).date()):
        yield day, list(group)


def day_name(day: date) -> str:
    """``lundi 23 novembre`` or ``Monday 23 November``; with the year where it is not the running one."""
    today = here.now().astimezone(here.zone()).date()
    if (today - day).days in (0, 1):
        return here.say("dates.today" if today == day else "dates.yesterday")
    values = {
        "weekday": here.say(f"dates.day{day.weekday()}"),
        "day": day.day,
        "month": here.say(f"dates.month{day.month}"),
    }
    return (
        here.say("dates.long", **values) if day.year == today.year else here.say("dates.year", **values, year=day.year)
    )


def clock(at: datetime) -> str:
    """The time of day in the reader's zone."""
    return f"{at.astimezone(here.zone()):%H:%M}"


def exact(at: datetime) -> str:
    """Day, time to the second and zone, for the hover."""
    return f"{at.astimezone(here.zone()):%Y-%m-%d %H:%M:%S %Z}"


def ago(at: datetime) -> str:
    """How long since, in the largest unit that fits; a time to come says how long until."""
    seconds = (here.now() - at).total_seconds()
    if abs(seconds) < 10:
        return here.say("dates.now")
    return here.say("dates.ago" if seconds >= 0 else "dates.until", time=span(abs(seconds)))


def span(seconds: float) -> str:
    """``42 s``, ``5 min``, ``3 h``, ``12 d``."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= size:
            return here.say(f"dates.{unit}", n=int(seconds // size))
    return here.say("dates.seconds", n=int(seconds))


def duration(seconds: Any) -> str:
    """A call's length: ``4:12``."""
    try:
        whole = int(float(seconds))
    except (TypeError, ValueError, OverflowError):
        return ""
    return (
        f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"
    )


def size(number: int) -> str:
    """Bytes for people."""
    for unit, factor in (("megabytes", 1024**2), ("kilobytes", 1024)):
        if number >= factor:
            value = f"{number / factor:.1f}" if number < 10 * factor else f"{number / factor:.0f}"
            return here.say(f"sizes.{unit}", n=value.replace(".", here.say("sizes.point")))
    return here.say("sizes.bytes", n=number)


def percent(score: float) -> int:
    """A score 0..1 in whole percent."""
    return max(0, min(100, round(score * 100)))


def word(section: str, value: str) -> str:
    """A value of the database in the reader's words (``word("delivery", "unsure")``), else itself."""
    try:
        return text(here.language(), f"admin.{section}.{value}")
    except KeyError:
        return value


def address(identity: str) -> str:
    """``email:alice@customer.example`` without its kind."""
    return identity.partition(":")[2]


def said(english: str) -> str:
    """A sentence that was stored or raised in English, in the reader's language."""
    return bound(here.language(), sentence(here.language(), english))


def value_type(kind: str) -> str:
    """The type of a setting (hub/config/fields.py) in the reader's words."""
    for word_of in ("list", "table", "one"):
        if kind.startswith(f"{word_of} of "):
            inside = kind.removeprefix(f"{word_of} of ")
            return here.say(f"type.{word_of}_of", what=inside if word_of == "one" else value_type(inside))
    one, either, other = kind.rpartition(" or ")
    if either and kind != "true or false":
        return here.say("type.either", one=value_type(one), other=value_type(other))
    known = word("type", kind.replace(" ", "_"))
    return known if known != kind.replace(" ", "_") else kind
