"""Customers who write, a shop that pushes, agents who answer, an editor. They know nothing of the hub."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from hub.knowledge.answers import approved, change_wording, retire_answer
from hub.sdk import Identity, Profile, Rejected, Request
from tests.sim.life import Life
from tests.sim.threads import START

PERSONS = {
    "alice": ("alice@customer.example", "alice.b@elsewhere.example"),
    "bruno": ("bruno@customer.example",),
    "chloe": ("chloe@customer.example", "chloe@work.example"),
    "denis": ("denis@customer.example",),
    **{f"last-{box}": (f"{box}@last.example",) for box in ("support", "contact", "box")},
}
LAST = tuple(name for name in PERSONS if name.startswith("last"))
"""They write when everything is over: whoever was red is called once more."""
SAME_ID = "<1@broken.example>"
"""What a broken mail program calls each of its mails, whoever writes them."""
ASKED = ("Bonjour, où est ma commande ?", "Comment retourner un article ?", "Merci beaucoup", "Je n'ai rien reçu")


@dataclass
class Mail:
    """One thing a customer said, by its mark, which stands in its text and nowhere else."""

    mark: str
    person: str
    text: str
    message_id: str = ""
    refs: tuple[str, ...] = ()
    thread: int | None = None
    """What belongs together; None where the mail does not say enough."""
    boxes: tuple[str, ...] = ()
    automatic: bool = False
    broken: bool = False
    hard: bool = False
    old: bool = False


@dataclass
class AgentReply:
    """What an agent wrote into a ticket."""

    desk: str
    ticket: str
    case: str
    message_id: str
    text: str


@dataclass
class Push:
    """What the shop's server wants to be rid of; it tries until somebody says 2xx."""

    key: str
    body: bytes
    mark: str
    kept: bool = False


@dataclass
class People:
    """Everybody outside, and what they said so far."""

    life: Life
    mails: dict[str, Mail] = field(default_factory=dict)
    replies: list[AgentReply] = field(default_factory=list)
    pushes: list[Push] = field(default_factory=list)
    threads: int = 0

    def __post_init__(self) -> None:
        if self.life.dice.random() < 0.6:
            for name, addresses in PERSONS.items():
                known = tuple(Identity("email", one) for one in addresses)
                self.life.far.profiles.append(Profile(f"crm-{name}", name.title(), identities=known))

    # -- customers -------------------------------------------------------------------------

    def write(self) -> None:
        """A customer writes something new, or answers something."""
        chance = self.life.dice.random()
        if chance < 0.45 or not self.mails:
            self._new()
        elif chance < 0.80:
            self._answer()
        elif chance < 0.86:
            self._answer_the_hub()
        elif chance < 0.93:
            self._name_a_number()
        else:
            self._with_the_same_id()

    def _mail(self, person: str, **more: Any) -> Mail:
        dice = self.life.dice
        mark = f"q{len(self.mails):03}"
        boxes = ("support", "contact") if dice.random() < 0.15 else (dice.choice(("support", "contact", "box")),)
        facts: dict[str, Any] = {"message_id": f"<{mark}@customer.example>", "boxes": boxes, **more}
        made = Mail(mark, person, f"{dice.choice(ASKED)} {mark}", **facts)
        self.mails[mark] = made
        return made

    def _person(self) -> str:
        return self.life.dice.choice([name for name in PERSONS if name not in LAST])

    def _new(self) -> None:
        dice, odd = self.life.dice, self.life.dice.random()
        self.threads += 1
        mail = self._mail(self._person(), thread=self.threads)
        mail.broken, mail.hard = odd < 0.05, 0.05 <= odd < 0.10
        mail.old = 0.10 <= odd < 0.14
        if 0.14 <= odd < 0.20:
            mail.message_id, mail.thread = "", None
        if dice.random() < 0.1:
            mail.automatic = True
        self._post(mail)

    def last_words(self) -> None:
        """Plain mails of strangers: whoever is not well as far as the hub knows is called once more."""
        ill = {name for name, one in self.life.hub.instances.items() if one.health.state != "green"}
        boxes = {name.partition("-")[2] for name in LAST} & ill or ({"support"} if ill else set())
        for box in sorted(boxes):
            self.post_plain(f"last-{box}", (box,))

    def post_plain(
        self, person: str, boxes: tuple[str, ...], *, answers: Mail | None = None, broken: bool = False
    ) -> Mail:
        """A mail as told, with nothing left to chance but its words."""
        if answers is None:
            self.threads += 1
        refs = (*answers.refs, answers.message_id) if answers is not None else ()
        thread = answers.thread if answers is not None else self.threads
        mail = self._mail(person, boxes=boxes, refs=refs, thread=thread, broken=broken)
        self._post(mail)
        return mail

    def _answer(self) -> None:
        dice = self.life.dice
        known = [one for one in self.mails.values() if one.thread is not None]
        if not known:
            return
        earlier = dice.choice(known[-3:] if dice.random() < 0.7 else known)
        for _ in range(dice.choice((1, 1, 2, 3))):  # some write three mails where one would do
            mail = self._mail(earlier.person, thread=earlier.thread, refs=(*earlier.refs, earlier.message_id))
            mail.automatic, mail.hard = dice.random() < 0.1, dice.random() < 0.05
            self._post(mail)

    def _answer_the_hub(self) -> None:
        """An acknowledgement came; somebody answers that, with a mail program that names nothing else."""
        sent = [one for one in self.life.far.effects if one.ability == "send"]
        if sent:
            one = self.life.dice.choice(sent)
            person = next(name for name, addresses in PERSONS.items() if one.words in addresses)
            self._post(self._mail(person, refs=(f"<{one.key}@hub.example>",)))

    def _name_a_number(self) -> None:
        """A case's number in the subject, by whoever: it travels in forwarded mails."""
        numbers = [t["case"] for t in self.life.far.tickets["desk"].values()]
        if numbers:
            self._post(self._mail(self._person()), subject=f"Re: [{self.life.dice.choice(numbers)}]")

    def _with_the_same_id(self) -> None:
        self._post(self._mail(self._person(), message_id=SAME_ID))

    def _post(self, mail: Mail, subject: str = "Question") -> None:
        life = self.life
        life.tell(f"{mail.person} writes {mail.mark} to {'+'.join(mail.boxes)}")
        now = START + timedelta(seconds=life.clock.true)
        received = now - timedelta(days=3) if mail.old else now
        said = {
            "from": life.dice.choice(PERSONS[mail.person]),
            "id": mail.message_id,
            "refs": list(mail.refs),
            "text": mail.text,
            "subject": subject,
            "at": now.isoformat(),
            "automatic": "Auto-Submitted" if mail.automatic else "",
            "broken": mail.broken,
            "hard": mail.hard,
        }
        for box in mail.boxes:
            life.far.mail(box, said, received.isoformat())

    # -- the shop's server -----------------------------------------------------------------

    def fill_form(self) -> None:
        """Somebody fills the shop's form; its server pushes it."""
        person = self._person()
        mail = self._mail(person, message_id="", boxes=())
        said = {"from": PERSONS[person][0], "text": mail.text, "at": START.isoformat(), "opens_case": True}
        self.life.tell(f"{person} fills the form: {mail.mark}")
        self.pushes.append(Push(f"p{len(self.pushes)}", json.dumps(said).encode(), mail.mark))
        self.push()

    def push(self) -> None:
        """The server tries what nobody took yet."""
        for one in [p for p in self.pushes if not p.kept]:
            headers = {"word": "right", "key": one.key}
            reply = self.life.push(Request("POST", "", headers, {}, one.body, "203.0.113.5"))
            if reply is not None and reply.status < 300:
                one.kept = True
                if not self.life.rows("select 1 from raw where instance = 'door' and source_key = ?", one.key):
                    self.life.wrong(f"push {one.key} heard {reply.status} and is not on the disk")

    def knock(self) -> None:
        """A stranger pushes without the right word."""
        headers = {"word": "wrong", "key": "stranger"}
        reply = self.life.push(Request("POST", "", headers, {}, b"{}", "203.0.113.9"))
        if reply is not None and reply.status < 400:
            self.life.wrong(f"a stranger heard {reply.status}")

    # -- agents and editors ------------------------------------------------------------------

    def agent_answers(self) -> None:
        """An agent answers in a ticket, with a suggested answer or with words of her own."""
        life = self.life
        desk = life.dice.choice(("desk", "helpdesk"))
        tickets = life.far.tickets[desk]
        if not tickets:
            return
        number = life.dice.choice(list(tickets))
        case = tickets[number]["case"]
        words = life.dice.choice(
            ("Votre commande est en route, elle arrive sous trois jours ouvrés.", "Bonjour, voyons.")
        )
        message_id = f"<a{len(self.replies)}@desk.example>"
        self.replies.append(AgentReply(desk, number, case, message_id, words))
        to = life.rows("select i.value from cases c join identity i on i.id = c.identity_id where c.number = ?", case)
        life.tell(f"an agent answers in {desk} {number}: {message_id}")
        at = life.clock.now().isoformat()
        life.far.reply(desk, {"ticket": number, "text": words, "to": to[0][0], "id": message_id, "at": at})

    def edit_answers(self) -> None:
        """An editor changes a wording, or takes an answer out of use."""
        life = self.life
        life.tell("an editor changes the answers")
        with life.ill(), life.hub.store.write() as connection:
            answers = approved(connection)
            if not answers:
                return
            one = life.dice.choice(answers)
            number = int(one.id.partition(":")[0])
            try:
                if life.dice.random() < 0.2 and len(answers) > 1:
                    retire_answer(connection, life.clock.now(), number)
                else:
                    text = f"{one.text} Bien à vous."
                    change_wording(
                        connection, life.clock.now(), number, language=one.language, title=one.title, text=text
                    )
            except (Rejected, sa.exc.IntegrityError) as error:
                life.wrong(f"an editor was refused: {type(error).__name__}")
