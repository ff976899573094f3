"""Step 9, deliver: lane by lane, in order, each thing once.

The row says "sending" on the disk before the call goes out. Found so after a crash, or after an
answer was lost on the way, the far side is asked first (`Finds`), once the interrupted call had
time to settle over there. A blind far side cannot be asked: the row then says "unsure", and a
human decides; the hub does not repeat it by itself.

What happens when a desk is down? Its instance's circuit opens (hub/instances.py), its lanes wait
here in state "waiting", and everything else goes on.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from hub.instances import Bug, Instance
from hub.pace import TooSoon
from hub.pipeline.call import call_ability, effect_of
from hub.pipeline.parts import Parts
from hub.pipeline.replies import withdraw_acknowledgement
from hub.pipeline.settle import done, set_state, unsure
from hub.pipeline.voices import hear, who_speaks
from hub.sdk import ConfigError, Finds, Rejected, Unavailable
from hub.store import ILL
from hub.store.base import At
from hub.store.cases import case, case_ref, delivery
from hub.store.intake import message
from hub.store.lanes import OPEN

TURN = 20
"""Deliveries of one lane in a row, then others have their turn."""
PATIENCE = 10.0
"""Seconds a lane waits for its turn where an instance has a limit; longer, and the thread is given to others."""
LOOKS = 8
"""Tries after which a plugin that stumbles while it looks is given up: some minutes."""
AGAIN = (0.0, 0.5, 2.0)
"""Seconds before each new try to write down what the far side answered; then its row stays "sending"."""
LONGEST = 300.0
"""Seconds between two tries of one delivery, at most."""
NEEDS_CASE = ("add_message", "show")
"""Abilities that need the case to exist over there."""


# Made once, not at every use: docs/decisions/0012-what-a-message-costs.md
_HEAD = (
    sa.select(delivery, case.c.number, case_ref.c.remote_id.label("there"), message.c.message_id.label("cause"))
    .outerjoin(case, case.c.id == delivery.c.case_id)
    .outerjoin(case_ref, sa.and_(case_ref.c.case_id == delivery.c.case_id, case_ref.c.instance == delivery.c.instance))
    .outerjoin(message, message.c.id == delivery.c.message_id)
    .where(delivery.c.lane == sa.bindparam("of"), delivery.c.state.in_(OPEN))
    .order_by(delivery.c.id)
    .limit(1)
)
"""What a lane owes next, with the case's number here and there, and the Message-ID of its cause."""
_MARK = (
    sa.update(delivery)
    .where(
        delivery.c.id == sa.bindparam("of"),
        delivery.c.state == sa.bindparam("was"),
        delivery.c.attempts == sa.bindparam("tried"),
    )
    .values(
        state="sending",
        started_at=sa.bindparam("now", type_=At),
        attempts=delivery.c.attempts + 1,
        due_at=sa.bindparam("due", type_=At),
        reason="",
    )
)


class Stumbled(Bug):
    """The plugin failed while it looked whether something is there: nobody knows."""


def drain(parts: Parts, instance: Instance, lane: str, given_up: threading.Event | None = None) -> None:
    """Deliver what is due at the head of `lane`, until it is empty, waits, is `given_up`, or its turn is over."""
    for _ in range(TURN):
        if parts.stop.is_set() or (given_up is not None and given_up.is_set()):
            return
        with parts.store.read() as connection:
            head = connection.execute(_HEAD, {"of": lane}).one_or_none()
        if head is None or head.due_at > parts.now() or instance.waits():
            return
        try:
            if not _deliver(parts, instance, head):
                return
        except ILL:  # the database is ill: the row says how far it came
            instance.give_back()  # if this was its circuit's probe, another one may try
            raise
        except Exception as error:  # our own bug: this one alone is set aside, the lane goes on
            instance.log.error("bug in the hub", delivery=head.id, ability=head.ability, error=type(error).__name__)
            instance.log.debug("bug in the hub", exc_info=True)
            _set_aside(parts, instance, head, f"a bug in the hub: {type(error).__name__}")


def _deliver(parts: Parts, instance: Instance, head: sa.Row[Any]) -> bool:
    """Deliver one; False when the lane has to wait."""
    if (settled := _without_a_call(parts, instance, head)) is not None:
        return settled
    if not _may_call(parts, instance, head):
        return False
    try:
        result = _look(instance, head)
        if result is None:
            if not _mark_sending(parts, instance, head):
                instance.give_back()
                return True  # somebody decided otherwise meanwhile
            result = call_ability(parts, instance, head)
    except TooSoon as error:
        return _too_soon(parts, head, error.retry_after or 1.0)
    except Unavailable as error:
        return _away(parts, instance, head, error)
    except ConfigError as error:
        set_state(parts, head, "waiting", str(error), due_in=60.0)
        return False
    except Rejected as error:
        set_state(parts, head, "rejected", str(error))
        instance.log.warning("rejected", delivery=head.id, ability=head.ability)
        return True
    except Bug as error:
        return _plugins_bug(parts, instance, head, error)
    try:
        _write_down(parts, instance, head, result)
    except sa.exc.IntegrityError:
        set_state(parts, head, "rejected", f"{instance.id} gave the number of another case: {result}")
        return True
    if head.ability == "save_case":
        hear(parts, instance, result)
    return True


def _write_down(parts: Parts, instance: Instance, head: sa.Row[Any], result: str) -> None:
    """What the far side answered, also where a connection was cut while it did: nobody else knows it."""
    for pause in AGAIN:
        try:
            return done(parts, instance, head, result)
        except ILL:
            if parts.clock.wait(parts.stop, pause):
                raise
    return done(parts, instance, head, result)


def _may_call(parts: Parts, instance: Instance, head: sa.Row[Any]) -> bool:
    """Whether its limit and its circuit let us call now; asked last: who is told "ready" must call.

    The turn itself is taken in the moment of the call: what is written before it would bunch the calls.
    """
    if (wait := instance.pace.far_off()) > PATIENCE:
        return _too_soon(parts, head, wait)
    return instance.ready()


def _too_soon(parts: Parts, head: sa.Row[Any], wait: float) -> bool:
    """Its limit says "later": nobody was called, so this was no attempt."""
    set_state(parts, head, "waiting", "as fast as its limit allows", due_in=wait, attempts=head.attempts)
    return False


def _without_a_call(parts: Parts, instance: Instance, head: sa.Row[Any]) -> bool | None:
    """None: the far side must be called. Else whether the lane goes on (True) or waits (False)."""
    if not instance.has(_ABILITY[head.ability]):
        set_state(parts, head, "rejected", f"{instance.id} cannot do this any more; its plugin has changed")
        return True
    if head.ability == "send" and (verdict := _may_speak(parts, head)) is not None:
        return verdict
    if head.ability in NEEDS_CASE and not _case_is_there(parts, head):
        return True
    if head.state == "sending" and not _can_look(instance):
        unsure(parts, head, "the hub ended while it was being sent")
        return True
    return None


def _set_aside(parts: Parts, instance: Instance, head: sa.Row[Any], reason: str) -> None:
    """After a bug nobody knows how far it came: what cannot be looked for is unsure, the rest is refused."""
    instance.give_back()
    if _can_look(instance):
        set_state(parts, head, "rejected", reason)
    else:
        unsure(parts, head, reason)
    instance.log.warning("set aside", delivery=head.id, ability=head.ability)


def _plugins_bug(parts: Parts, instance: Instance, head: sa.Row[Any], error: Bug) -> bool:
    """Set it aside. Where the plugin only stumbled while it looked, it looks again, and then a human decides.

    To go on with the lane at once would mean to write as if nothing were there, and open a second ticket.
    """
    if not isinstance(error, Stumbled):
        _set_aside(parts, instance, head, f"a bug: {error}")
        return True
    if head.attempts >= LOOKS:
        unsure(parts, head, f"the hub could not find out whether it is there: a bug: {error}")
        instance.log.warning("set aside", delivery=head.id, ability=head.ability)
        return True
    reason = f"nobody knows yet whether it is there; the hub looks again: a bug: {error}"
    set_state(parts, head, head.state, reason, due_in=2.0 ** min(head.attempts, 8), attempts=head.attempts + 1)
    return False


_ABILITY = {
    "save_case": "KeepsCases",
    "add_message": "AddsMessages",
    "show": "ShowsSuggestions",
    "draft": "Drafts",
    "send": "Sends",
}


def _can_look(instance: Instance) -> bool:
    return instance.has("Finds")


def _look(instance: Instance, head: sa.Row[Any]) -> str | None:
    """Was it done already? Asked only where an earlier try may have got through."""
    # What a human let be sent counts as not begun (hub/pipeline/replay.py).
    begun = head.state == "sending" or (head.attempts and head.started_at is not None)
    if not _can_look(instance) or not begun:
        return None
    assert isinstance(instance.component, Finds)
    try:
        return instance.call(instance.component.find, head.ability, effect_of(head))
    except Bug as error:
        raise Stumbled(str(error)) from error


def _mark_sending(parts: Parts, instance: Instance, head: sa.Row[Any]) -> bool:
    """On the disk before the call: `due_at` says from when somebody may look, should we die now.

    False when the row is not as it was read: it was withdrawn, a human decided, or another worker has it.
    """
    now = parts.now()
    with parts.store.write(durable=True) as connection:
        values = {"of": head.id, "was": head.state, "tried": head.attempts}
        marked = connection.execute(_MARK, {**values, "now": now, "due": now + timedelta(seconds=instance.settle)})
    return bool(marked.rowcount)


def _away(parts: Parts, instance: Instance, head: sa.Row[Any], error: Unavailable) -> bool:
    """The far side is away. Did the call get through? Then a blind one is unsure, another must settle."""
    retry = instance.retry_at()
    # Its own back-off too: a far side may answer every question and still refuse to write.
    wait = max(1.0, (retry - parts.now()).total_seconds()) if retry else 1.0
    wait = max(wait, min(LONGEST, 2.0 ** min(head.attempts, 9)))
    if error.maybe_done and not _can_look(instance):
        unsure(parts, head, str(error))
        return True
    if error.maybe_done:
        wait = max(wait, instance.settle)
    # It may still be at work over there: "sending", so that nobody's "retry now" looks too early.
    state = "sending" if error.maybe_done else "waiting"
    set_state(parts, head, state, str(error), due_in=wait, attempts=head.attempts + 1)
    return False


def _case_is_there(parts: Parts, head: sa.Row[Any]) -> bool:
    """Deliveries that need the case wait for a human when it could not be created; others go on."""
    if head.there is None:
        set_state(parts, head, "held", "waits until the case could be created over there; replay that first")
    return head.there is not None


def _may_speak(parts: Parts, head: sa.Row[Any]) -> bool | None:
    """None: go on and send. Else whether the lane goes on without it (True) or waits (False)."""
    if head.state == "sending":
        return None
    with parts.store.read() as connection:
        channel = connection.scalar(sa.select(case.c.instance).where(case.c.id == head.case_id)) or head.instance
    silent = who_speaks(parts, channel, head.created_at)
    if silent == "":
        return None
    if silent is None:
        set_state(parts, head, "waiting", "waits to hear whether the desk acknowledges by itself", due_in=1.0)
        return False
    with parts.store.write() as connection:
        withdraw_acknowledgement(connection, head.case_id, silent)
    return True
