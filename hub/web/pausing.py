"""Pausing an instance and letting it go on: a person's decision, in the audit log."""

from __future__ import annotations

from flask import flash, redirect, url_for
from werkzeug.wrappers import Response

from hub.pipeline.replay import pause
from hub.web import here, login

blueprint = login.pages("pausing", __name__, "/instances")


@blueprint.post("/<instance>/pause")
@login.admins_only
def stop(instance: str) -> Response:
    """Fetch nothing from it and send nothing to it."""
    return _decide(instance, on=True)


@blueprint.post("/<instance>/resume")
@login.admins_only
def go_on(instance: str) -> Response:
    """Let it go on."""
    return _decide(instance, on=False)


def _decide(instance: str, *, on: bool) -> Response:
    known = any(section.id == instance for section in here.hub().config.sections)
    person = here.person()
    by = person.name if person is not None else ""
    done = known and pause(here.hub().store, here.now(), instance, by, on=on)
    act = "pause" if on else "resume"
    if done:
        login.acted(f"instance.{act}", instance)
    flash(here.say(f"overview.done_{act}" if done else "overview.not_moved"), "good" if done else "bad")
    return redirect(url_for("overview.show"))
