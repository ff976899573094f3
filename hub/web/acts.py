"""The API's decisions: again, settled, paused. Each is written into the audit log with the token's name."""

from __future__ import annotations

from typing import Any

from flask import request

from hub.pipeline.replay import pause, replay_delivery, replay_raw, retry_now, settle_unsure
from hub.store.access import write_audit
from hub.web import here
from hub.web.api import UNKNOWN, BadRequest, blueprint
from hub.web.operations import operation
from hub.web.tokens import problem, token_of_request

UNSURE = "GET /api/v1/deliveries?state=unsure lists them"


@blueprint.post("/deliveries/<int:delivery_id>/replay")
@operation("Try a rejected or held delivery again", scope="write", returns={"replayed": int}, errors=(409,))
def replay_one_delivery(delivery_id: int) -> Any:
    """An unsure one is not repeated: settle it."""
    if not replay_delivery(here.hub().store, here.now(), delivery_id):
        return problem(409, "not_replayable", "only a rejected or held delivery is tried again", UNKNOWN)
    return done("delivery.replay", str(delivery_id), {"replayed": 1})


@blueprint.post("/deliveries/<int:delivery_id>/settle")
@operation(
    "Say what became of an unsure delivery: sent, or not sent (then it is sent now)",
    scope="write",
    body={"sent": bool},
    returns={"settled": bool},
    errors=(400, 409),
)
def settle_one_delivery(delivery_id: int) -> Any:
    """Somebody looked at the far side."""
    body = request.get_json(silent=True)
    sent = body.get("sent") if isinstance(body, dict) else None
    if not isinstance(sent, bool):
        raise BadRequest('send {"sent": true} or {"sent": false} as application/json')
    if not settle_unsure(here.hub().store, here.now(), delivery_id, sent=sent):
        return problem(409, "not_unsure", "only an unsure delivery is settled", UNKNOWN)
    return done("delivery.sent" if sent else "delivery.not_sent", str(delivery_id), {"settled": True})


@blueprint.post("/deliveries/settle")
@operation(
    "Say what became of every unsure delivery, or of those to one instance",
    scope="write",
    body={"sent": bool, "count": int, "instance": str},
    returns={"settled": int},
    errors=(400, 409),
)
def settle_all_deliveries() -> Any:
    """`count` is how many were looked at: of one that came since, nobody has. An empty `instance` means all."""
    body = request.get_json(silent=True)
    given = body if isinstance(body, dict) else {}
    sent, count, instance = given.get("sent"), given.get("count"), given.get("instance")
    if not isinstance(sent, bool) or type(count) is not int or not isinstance(instance, str):
        raise BadRequest('send {"sent": false, "count": 12, "instance": ""} as application/json')
    settled = settle_unsure(here.hub().store, here.now(), sent=sent, instance=instance, expected=count)
    if settled != count:
        return problem(409, "not_as_many", "there are more or fewer unsure ones by now", UNSURE)
    return done("delivery.all_sent" if sent else "delivery.all_not_sent", instance or "all", {"settled": settled})


@blueprint.post("/kept/<int:raw_id>/replay")
@operation("Read it once more", scope="write", returns={"replayed": int}, errors=(409,))
def replay_one_kept(raw_id: int) -> Any:
    """After an update, or when whatever stood in the way is gone."""
    if not replay_raw(here.hub().store, here.now(), raw_id):
        return problem(409, "not_kept", "this is not among what is kept unread", UNKNOWN)
    return done("kept.replay", str(raw_id), {"replayed": 1})


@blueprint.post("/deliveries/replay")
@operation("Try every rejected or held delivery again", scope="write", returns={"replayed": int})
def replay_all_deliveries() -> Any:
    """After whatever refused them was mended. Those that are unsure stay as they are."""
    count = replay_delivery(here.hub().store, here.now())
    return done("delivery.replay", "all", {"replayed": count})


@blueprint.post("/deliveries/<int:delivery_id>/retry")
@operation("Do not wait for a delivery's next try", scope="write", returns={"retried": int}, errors=(409,))
def retry_one_delivery(delivery_id: int) -> Any:
    """Its next try is now."""
    if not retry_now(here.hub().store, here.now(), delivery_id):
        return problem(409, "not_waiting", "only a waiting delivery is brought forward", UNKNOWN)
    return done("delivery.retry", str(delivery_id), {"retried": 1})


@blueprint.post("/kept/replay")
@operation("Read everything that was kept unread once more", scope="write", returns={"replayed": int})
def replay_all_kept() -> Any:
    """After an update, or when whatever stood in the way is gone."""
    count = replay_raw(here.hub().store, here.now())
    return done("kept.replay", "all", {"replayed": count})


@blueprint.post("/instances/<instance>/pause")
@operation(
    "Fetch nothing from an instance and send nothing to it", scope="admin", returns={"paused": bool}, errors=(404,)
)
def pause_instance(instance: str) -> Any:
    """What others push is still kept. `paused` tells whether it went on before."""
    return _decide(instance, on=True)


@blueprint.post("/instances/<instance>/resume")
@operation("Let a paused instance go on", scope="admin", returns={"resumed": bool}, errors=(404,))
def resume_instance(instance: str) -> Any:
    """What waited goes out now, in order. `resumed` tells whether it was paused."""
    return _decide(instance, on=False)


def _decide(instance: str, *, on: bool) -> Any:
    if not any(section.id == instance for section in here.hub().config.sections):
        return problem(404, "not_found", "there is no such instance", "GET /api/v1/instances lists them")
    token = token_of_request()
    moved = pause(here.hub().store, here.now(), instance, f"token:{token.name if token else ''}", on=on)
    result = {"paused" if on else "resumed": moved}
    return done("instance.pause" if on else "instance.resume", instance, result) if moved else result


def done(act: str, target: str, result: dict[str, Any]) -> dict[str, Any]:
    """Note who did it, in the audit log."""
    token = token_of_request()
    with here.hub().store.write() as connection:
        write_audit(connection, f"token:{token.name if token else ''}", act, target, here.now())
    return result
