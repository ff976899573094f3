"""Did each desk get each case once, with the customer's words once and in order?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tests.sim.life import Life
from tests.sim.people import People

UNRULY = ("rejected", "bug", "garbage")
"""Outcomes after which a delivery is set aside: when it comes, is a human's choice."""


@dataclass(frozen=True)
class Owed:
    """What a desk must have of one case: words in order, comments in order."""

    opener: str
    words: tuple[str, ...]
    comments: int
    late: frozenset[str] = frozenset()
    """Words that could not be read at first: their place among the others is either one."""


def judge_desks(life: Life, people: People) -> None:
    """One ticket per case and desk; one comment per customer message, one message per further words."""
    owed = _owed(life, people)
    for desk, tickets in life.far.tickets.items():
        for case, number in Counter(ticket["case"] for ticket in tickets.values()).items():
            if number > 1:
                life.wrong(f"{desk} has {number} tickets of {case}")
            if case not in owed:
                life.wrong(f"{desk} has a ticket of {case}, which nothing asks for")
        for case, wanted in owed.items():
            _one_case(life, desk, case, wanted)


def _owed(life: Life, people: People) -> dict[str, Owed]:
    """By case number, as it stands on the timeline: the history before the hub owes nothing."""
    cases: dict[str, list[str]] = {}
    for case, text in life.rows(
        "select c.number, b.text from message m join message_body b on b.message_id = m.id "
        "join cases c on c.id = m.case_id where m.direction = 'in' and m.state = 'ok' order by m.id"
    ):
        cases.setdefault(case, []).append(text)
    owed = {}
    for case, texts in cases.items():
        mails = [people.mails[text.rpartition(" ")[2]] for text in texts]
        words, spoken = [], False
        for place, mail in enumerate(mails):
            if mail.old or (mail.automatic and not spoken):
                continue
            spoken = True
            if place:
                words.append(mail.text)
        if spoken:
            comments = sum(1 for mail in mails if not mail.old and not mail.automatic)
            late = frozenset(mail.text for mail in mails if mail.hard)
            owed[case] = Owed(texts[0], tuple(words), comments, late)
    return owed


def _one_case(life: Life, desk: str, case: str, wanted: Owed) -> None:
    number = life.far.ticket_of(desk, case)
    if number is None:
        life.wrong(f"{desk} has no ticket of {case}")
        return
    if life.far.tickets[desk][number]["first"] != wanted.opener:
        life.wrong(f"{desk}: the ticket of {case} does not begin with the customer's first words")
    here = [one for one in life.far.effects if one.side == desk and one.place == number]
    words = [one for one in here if one.ability == "add_message"]
    if Counter(one.words for one in words) != Counter(wanted.words):
        life.wrong(f"{desk} has {[w.words[-4:] for w in words]} in {case}, and not {[w[-4:] for w in wanted.words]}")
    comments = [one for one in here if one.ability == "show"]
    if len(comments) != wanted.comments or len({one.key for one in comments}) != wanted.comments:
        life.wrong(f"{desk} has {len(comments)} comments in {case}, and not {wanted.comments}")
    if here and here[0].ability != "save_case":
        life.wrong(f"{desk} has words of {case} before its ticket")
    unruly = {c.key for c in life.far.calls if c.side == desk and c.outcome in UNRULY} | life.human
    orderly = [one.words for one in words if one.key not in unruly and one.words not in wanted.late]
    kept = set(orderly)
    # Where the clock was set back, what came in may wait for it: the lane's own order holds even so.
    if not life.clock.wrong and orderly != [text for text in wanted.words if text in kept]:
        said = [text[-4:] for text in wanted.words if text in kept]
        life.wrong(f"{desk} has the words of {case} in the order {[w[-4:] for w in orderly]}, said {said}")
    for name, effects in (("words", words), ("comments", comments)):
        _as_planned(life, f"{desk} has the {name} of {case}", [one.key for one in effects if one.key not in unruly])


def _as_planned(life: Life, what: str, keys: list[str]) -> None:
    """Strict order inside a lane: as its deliveries were planned."""
    numbers = dict(life.rows("select key, id from delivery"))
    places = [numbers[key] for key in keys if key in numbers]
    if places != sorted(places):
        life.wrong(f"{what} in another order than planned")
