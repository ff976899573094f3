"""What a view may ask about the request it answers: the hub, the person, the language, the zone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import current_app, g, request
from sqlalchemy.engine import Connection

from hub.locale import LANGUAGES, bound, text
from hub.store.access import Login

if TYPE_CHECKING:
    from hub.app import Hub

EXTENSION = "tresse"
ZONE_COOKIE = "zone"


def hub() -> Hub:
    """The hub this app belongs to."""
    return cast("Hub", current_app.extensions[EXTENSION])


def now() -> datetime:
    """The hub's own time: a simulation owns it."""
    return hub().clock.now()


@contextmanager
def reading() -> Iterator[Connection]:
    """A snapshot for this view."""
    with hub().store.read(snapshot=True) as connection:
        yield connection


def person() -> Login | None:
    """Who is logged in (hub/web/login.py sets it before each request)."""
    return cast("Login | None", g.get("person"))


def language() -> str:
    """The language of the page: the person's choice, else what the browser asks for. Found once a request."""
    if "language" not in g:
        somebody = person()
        chosen = (somebody.language if somebody is not None else "") or request.cookies.get("language", "")
        asked = request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]
        g.language = chosen if chosen in LANGUAGES else asked
    return str(g.language)


def say(key: str, **values: object) -> str:
    """A text of the admin pages in the reader's language: ``say("overview.title")``."""
    return bound(language(), text(language(), f"admin.{key}", **values))


def zone() -> ZoneInfo:
    """The reader's time zone: a small script puts it into a cookie; until then the hub's own."""
    if "zone" not in g:
        try:
            g.zone = ZoneInfo(request.cookies.get(ZONE_COOKIE, "") or hub().config.hub.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            g.zone = ZoneInfo(hub().config.hub.timezone)
    return cast("ZoneInfo", g.zone)
