"""What is owed to far sides, with state and reason; and a person's decisions about what is stuck."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from hub.pipeline.replay import replay_delivery, retry_now, settle_unsure
from hub.store.reading_deliveries import STATES, deliveries, deliveries_by_state
from hub.web import here, login

blueprint = login.pages("deliveries", __name__, "/deliveries")


@blueprint.get("")
def every() -> str:
    """The list, by state and instance."""
    state, instance = request.args.get("state", ""), request.args.get("instance", "")
    before = request.args.get("before", type=int)
    with here.reading() as connection:
        rows, more = deliveries(connection, state=state if state in STATES else "", instance=instance, before=before)
        by_state = deliveries_by_state(connection, instance)
    return render_template(
        "deliveries.html", rows=rows, more=more, state=state, instance=instance, by_state=by_state, STATES=STATES,
        instances=sorted({*here.hub().instances, *([instance] if instance else [])}),  # it may not run just now
    )  # fmt: skip


@blueprint.post("/<int:delivery_id>/replay")
@login.admins_only
def replay(delivery_id: int) -> Response:
    """Try again what was refused or held."""
    return _after(bool(replay_delivery(here.hub().store, here.now(), delivery_id)), "replay", delivery_id)


@blueprint.post("/replay")
@login.admins_only
def replay_all() -> Response:
    """Try again whatever was refused or held; where the list was one instance's, only there."""
    instance = request.form.get("instance", "")
    done = bool(replay_delivery(here.hub().store, here.now(), instance=instance))
    return _after(done, "replay_all", instance or "all")


@blueprint.post("/settle")
@login.admins_only
def settle_all() -> Response:
    """Say of all unsure ones on the list what became of them; of one that came since, nobody has said it."""
    instance, count = request.form.get("instance", ""), request.form.get("count", -1, type=int)
    sent = _said()
    done = settle_unsure(here.hub().store, here.now(), sent=sent, instance=instance, expected=count)
    return _after(bool(done), "all_sent" if sent else "all_not_sent", instance or "all")


@blueprint.post("/<int:delivery_id>/retry")
@login.admins_only
def retry(delivery_id: int) -> Response:
    """Do not wait for the next try."""
    return _after(retry_now(here.hub().store, here.now(), delivery_id), "retry", delivery_id)


@blueprint.post("/<int:delivery_id>/settle")
@login.admins_only
def settle(delivery_id: int) -> Response:
    """Say what became of an unsure one."""
    sent = _said()
    done = settle_unsure(here.hub().store, here.now(), delivery_id, sent=sent)
    return _after(bool(done), "sent" if sent else "not_sent", delivery_id)


def _said() -> bool:
    """Whether it was sent, as the form says."""
    sent = request.form.get("sent")
    if sent not in ("yes", "no"):
        abort(404)
    return sent == "yes"


def _after(done: bool, act: str, delivery_id: object) -> Response:
    if done:
        login.acted(f"delivery.{act}", delivery_id)
    flash(here.say(f"deliveries.done_{act}" if done else "deliveries.moved"), "good" if done else "bad")
    return redirect(login.local(request.form.get("back", "")) or url_for("deliveries.every"))
