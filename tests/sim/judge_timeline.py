"""Is everything on the timeline, once, and nobody's words on somebody else's case?"""

from __future__ import annotations

from collections import Counter, defaultdict

from tests.sim.life import Life
from tests.sim.people import PERSONS, Mail, People


def judge_timeline(life: Life, people: People) -> None:
    """Every mail and push stands there exactly once, or is kept unread; every raw once."""
    words = life.rows(
        "select m.id, m.case_id, b.text, i.value from message m join message_body b on b.message_id = m.id "
        "join identity i on i.id = m.identity_id where m.direction = 'in' and m.state = 'ok'"
    )
    found: dict[str, list[tuple[int, int | None, str]]] = defaultdict(list)
    for number, case, text, address in words:
        found[text.rpartition(" ")[2]].append((number, case, address))
    for mail in people.mails.values():
        _one_mail(life, mail, found.get(mail.mark, []))
    _raws(life, people)
    _threads(life, people, found)
    _replies(life, people)


def _one_mail(life: Life, mail: Mail, there: list[tuple[int, int | None, str]]) -> None:
    if mail.broken:
        if there:
            life.wrong(f"{mail.mark} cannot be read and stands on the timeline")
        return
    if len(there) != 1:
        life.wrong(f"{mail.mark} stands {len(there)} times on the timeline")
    for _number, case, address in there:
        if address not in PERSONS[mail.person]:
            life.wrong(f"{mail.mark} of {mail.person} stands on the timeline of {address}")
        if case is None and not mail.automatic:
            life.wrong(f"{mail.mark} belongs to no case")


def _raws(life: Life, people: People) -> None:
    for instance, digest, number in life.rows("select instance, sha256, count(*) from raw group by 1, 2"):
        if number > 1:
            life.wrong(f"{instance} holds a raw {number} times: {digest[:8]}")
    held = Counter(instance for (instance,) in life.rows("select instance from raw"))
    expected = {name: len(box.mails) for name, box in life.far.boxes.items()}
    expected |= {name: len(found) for name, found in life.far.replies.items()}
    expected["door"] = len(people.pushes)
    for name, number in expected.items():
        if held[name] != number:
            life.wrong(f"{name} gave {number} raws and {held[name]} are kept")
    kept = life.rows("select count(*) from step where state = 'kept'")[0][0]
    broken = sum(len(mail.boxes) for mail in people.mails.values() if mail.broken)
    if kept != broken:
        life.wrong(f"{broken} raws cannot be read and {kept} are kept unread")
    shown = life.rows("select count(*) from message where state = 'unread'")[0][0]
    if shown != broken:
        life.wrong(f"{broken} raws cannot be read and {shown} are shown so")


def _threads(life: Life, people: People, found: dict[str, list[tuple[int, int | None, str]]]) -> None:
    """What belongs together is one case, and a case is one person's."""
    cases: dict[int, set[int | None]] = defaultdict(set)
    persons: dict[int, set[str]] = defaultdict(set)
    for mark, there in found.items():
        mail = people.mails[mark]
        for _number, case, _address in there:
            if mail.thread is not None and not (mail.automatic and case is None):
                cases[mail.thread].add(case)
            if case is not None:
                persons[case].add(mail.person)
    for thread, numbers in cases.items():
        if len(numbers) > 1:
            marks = [mail.mark for mail in people.mails.values() if mail.thread == thread]
            life.wrong(f"{marks} belong together and stand in cases {numbers}")
    for case, names in persons.items():
        if len(names) > 1:
            life.wrong(f"case {case} holds mails of {sorted(names)}")


def _replies(life: Life, people: People) -> None:
    """Agents' replies stand on the case of their ticket, once, and every suggestion before them has an outcome."""
    there = defaultdict(list)
    for message_id, number, case_id, case, agent in life.rows(
        "select m.message_id, m.id, m.case_id, c.number, m.agent_id from message m left join cases c "
        "on c.id = m.case_id where m.direction = 'out' and m.raw_id is not null"
    ):
        there[message_id].append((number, case_id, case, agent))
    for reply in people.replies:
        rows = there[reply.message_id]
        if len(rows) != 1:
            life.wrong(f"the agent's {reply.message_id} on {reply.case} stands {len(rows)} times on the timeline")
            continue
        number, case_id, case, agent = rows[0]
        if case != reply.case:
            life.wrong(f"the agent's {reply.message_id} on {reply.case} stands on {case}")
        if agent is None:
            life.wrong(f"nobody knows who wrote {reply.message_id}")
        _answered(life, reply.message_id, number, case_id)


def _answered(life: Life, message_id: str, number: int, case_id: int) -> None:
    if life.rows("select answered_at from cases where id = ?", case_id) == [(None,)]:
        life.wrong(f"case {case_id} was answered by {message_id} and does not say so")
    without = life.rows(
        "select id from suggestion where case_id = ? and message_id < ? and outcome = ''", case_id, number
    )
    if without:
        life.wrong(f"suggestions {without} have no outcome after {message_id}")
