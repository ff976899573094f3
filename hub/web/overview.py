"""The first page: how every instance is, what needs a person, what the last day brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import g, redirect, render_template, url_for
from werkzeug.wrappers import Response

from hub.store.cases import delivery
from hub.store.intake import step
from hub.store.overview import Hour, counts, health_rows, last_day, open_alerts, waiting_for
from hub.web import here, login
from hub.web.instances import instance_views

blueprint = login.pages("overview", __name__)


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour of the picture, in the picture's own units."""

    x: float
    width: float
    parts: tuple[tuple[str, float, float], ...]  # what, top, height
    hour: Hour


@dataclass(frozen=True, slots=True)
class Picture:
    """The last day as bars. `most` is the tallest hour's number."""

    bars: tuple[Bar, ...]
    most: int
    total: dict[str, int]
    height: int = 120
    width: int = 720


def picture(hours: list[Hour], width: int = 720, height: int = 120) -> Picture:
    """Bars for `hours`, stacked: in, out, events."""
    numbers = [(("in", h.incoming), ("out", h.outgoing), ("event", h.events)) for h in hours]
    most = max((sum(n for _, n in of_hour) for of_hour in numbers), default=0)
    slot = width / max(1, len(hours))
    bars = []
    for place, of_hour in enumerate(numbers):
        bottom, parts = float(height), []
        for what, number in of_hour:
            tall = number / most * (height - 4) if most else 0.0
            bottom -= tall
            if number:
                parts.append((what, round(bottom, 1), round(max(1.5, tall - 1), 1)))
        bars.append(Bar(round(place * slot + slot * 0.14, 1), round(slot * 0.72, 1), tuple(parts), hours[place]))
    total = {what: sum(n for of_hour in numbers for w, n in of_hour if w == what) for what in ("in", "out", "event")}
    return Picture(tuple(bars), most, total, height, width)


def waiting() -> dict[str, int]:
    """What waits for a person, for the navigation's marks; asked once a request."""
    if "waiting" not in g:
        with here.reading() as connection:
            stuck = sa.select(sa.func.count()).where(delivery.c.state.in_(("rejected", "unsure")))
            kept = sa.select(sa.func.count()).where(step.c.state == "kept")
            g.waiting = {"deliveries": connection.scalar(stuck) or 0, "kept": connection.scalar(kept) or 0}
    marks: dict[str, int] = g.waiting
    return marks


@blueprint.get("/")
def home() -> Response:
    """The address people type."""
    return redirect(url_for("overview.show"))


@blueprint.get("/overview")
def show() -> str:
    """The whole page."""
    return render_template("overview.html", **_seen())


@blueprint.get("/overview/live")
def live() -> str:
    """The part that changes, for htmx."""
    return render_template("overview_live.html", **_seen())


def _seen() -> dict[str, Any]:
    hub, now = here.hub(), here.now()
    with here.reading() as connection:
        return {
            "figures": counts(connection, now),
            "alerts": open_alerts(connection),
            "instances": instance_views(hub, health_rows(connection), waiting_for(connection)),
            "picture": picture(last_day(connection, now)),
        }
