"""The judge: stands outside, reads what the far sides saw and what the disk holds, and counts."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hub.store.alerts import UNDECIDED
from tests.sim.judge_desks import judge_desks
from tests.sim.judge_timeline import judge_timeline
from tests.sim.life import Life
from tests.sim.people import People
from tests.sim.setting import BLIND

THROUGH = ("ok", "lost", "hang", "bug", "garbage", "crash", "lost in a crash")
"""Outcomes of a call that may have got through."""


def judge(life: Life, people: People) -> None:
    """Everything healed, the hub came to rest, a human decided what waited for one: now all promises must hold."""
    _nothing_is_left(life)
    judge_timeline(life, people)
    judge_desks(life, people)
    _every_delivery_is_true(life)
    _nobody_is_greeted_twice(life)
    _acknowledgements_keep_their_caps(life)
    _no_alert_without_a_cause(life)


def judge_before_the_human(life: Life, people: People) -> None:
    """What must hold while things still wait for a human."""
    states = dict(life.rows("select key, state from delivery"))
    _what_is_unsure(life, states)
    _alerts_stand_open(life, states)


def judge_always(life: Life, people: People) -> None:
    """What must hold at any moment, whatever is still under way."""
    _effects_are_not_doubled(life)
    _nobody_is_greeted_twice(life)
    doubled = life.rows("select instance, sha256 from raw group by 1, 2 having count(*) > 1")
    for instance, digest in doubled:
        life.wrong(f"{instance} holds a raw twice: {digest[:8]}")
    blind = {key for key, _ in _blind(life)}
    for key in life.seen_unsure - blind:
        life.wrong(f"{key} is unsure, but could be looked for")


def _blind(life: Life) -> list[tuple[str, str]]:
    marks = ",".join("?" * len(BLIND))
    return life.rows(f"select key, state from delivery where ability = 'send' and instance in ({marks})", *BLIND)


def _nothing_is_left(life: Life) -> None:
    for key, state in life.rows("select key, state from delivery where state not in ('done', 'skipped')"):
        life.wrong(f"{key} ends as {state}")
    for (raw_id,) in life.rows("select raw_id from step where state != 'kept'"):
        life.wrong(f"raw {raw_id} still has a step")


def _what_is_unsure(life: Life, states: dict[str, str]) -> None:
    """Every blind send that was in flight is shown, and nothing else is."""
    for key in life.must_unsure - life.seen_unsure:
        life.wrong(f"{key} was in flight when the process died and was never shown as unsure ({states.get(key)})")
    lost = {c.key for c in life.far.calls if c.ability == "send" and c.outcome in THROUGH and c.outcome != "ok"}
    for key in life.seen_unsure - life.may_unsure - lost:
        life.wrong(f"{key} is unsure without a reason")


def _alerts_stand_open(life: Life, states: dict[str, str]) -> None:
    """One alert stands open for each instance and kind of thing that waits for a human, and none for what does not."""
    standing = {key for (key,) in life.rows("select key from alert where closed_at is null")}
    waiting = {f"{state}:{key.partition('/')[0]}" for key, state in states.items() if state in UNDECIDED}
    if life.rows("select 1 from step where state = 'kept'"):
        waiting.add("kept-unread")
    about_deliveries = {key for key in standing if key.partition(":")[0] in (*UNDECIDED, "kept-unread")}
    for key in sorted(waiting ^ about_deliveries):
        life.wrong(f"the alert {key} is {'open' if key in standing else 'closed'}: {sorted(waiting)}")


def _no_alert_without_a_cause(life: Life) -> None:
    open_ones = life.rows("select key, text from alert where closed_at is null")
    causes: set[Any] = set()
    if life.rows("select 1 from step where state = 'kept'"):
        causes.add("kept-unread")
    if life.far.voice:
        causes |= {"voice:helpdesk", *(f"instance:{name}" for name in (*BLIND, "box"))}  # nobody calls them any more
    for key, text in open_ones:
        if key not in causes:
            life.wrong(f"an alert stands open without a cause: {key} ({text})")
    for key, number in Counter(key for key, _ in open_ones).items():
        if number > 1:
            life.wrong(f"{number} alerts stand open for {key}")


def _every_delivery_is_true(life: Life) -> None:
    """What the hub calls done happened over there."""
    _effects_are_not_doubled(life)
    there = {(one.side, one.key) for one in life.far.effects}
    for key, instance, ability, number in life.rows(
        "select d.key, d.instance, d.ability, c.number from delivery d join cases c on c.id = d.case_id "
        "where d.state = 'done'"
    ):
        if ability == "save_case":
            if life.far.ticket_of(instance, number) is None:
                life.wrong(f"{key} is done and there is no ticket")
        elif (instance, key) not in there:
            life.wrong(f"{key} is done and never happened")


def _effects_are_not_doubled(life: Life) -> None:
    for (side, key), number in Counter((one.side, one.key) for one in life.far.effects).items():
        if number > 1 and side not in BLIND:
            life.wrong(f"{key} happened {number} times at {side}")


def _nobody_is_greeted_twice(life: Life) -> None:
    """At a blind side: one try that may have got through, and one more for each human who said "send it"."""
    tries = Counter(c.key for c in life.far.calls if c.ability == "send" and c.side in BLIND and c.outcome in THROUGH)
    for key, number in tries.items():
        if number > 1 + life.resent.get(key, 0):
            life.wrong(f"{key} may have been sent {number} times, and a human said so {life.resent.get(key, 0)} times")
    cases = Counter(key.split("/")[2] for key in {one.key for one in life.far.effects if one.ability == "send"})
    for number_of_case, number in cases.items():
        if number > 1:
            life.wrong(f"{number_of_case} was acknowledged under {number} keys")


def _acknowledgements_keep_their_caps(life: Life) -> None:
    acknowledge = life.config.acknowledge
    owed = {
        key: day for key, day in life.rows("select key, created_at / 86400000 from delivery where ability = 'send'")
    }
    sent = {one.key: one.words for one in life.far.effects if one.ability == "send"}
    for (address, _day), number in Counter((address, owed.get(key)) for key, address in sent.items()).items():
        if number > acknowledge.per_sender_day:
            life.wrong(f"{number} acknowledgements to {address} in a day")
    for number in Counter(owed.get(key) for key in sent).values():
        if number > acknowledge.per_day:
            life.wrong(f"{number} acknowledgements in a day")
