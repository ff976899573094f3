"""The components of the simulation: two mailboxes that send blindly, one that can be searched, a door
for pushes, two desks, customers' files and a matcher. What they are asked, `far.py` decides."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar

from hub.sdk import (
    CRM,
    Accepted,
    Answer,
    Channel,
    Direction,
    Event,
    Identity,
    Matcher,
    Message,
    Page,
    Profile,
    Proof,
    Raw,
    Rejected,
    Reply,
    Request,
    Scored,
    Settings,
)
from tests.sim.far import SETTLE, Far


class Here:
    """The world these components live in: one simulation at a time."""

    far: Far


class Nothing(Settings):
    """No settings."""


def message_of(said: dict[str, Any]) -> Message:
    """What a mail or a push says."""
    who = Identity("email", said["from"], said.get("name", ""))
    return Message(
        direction=Direction.IN,
        sender=who,
        customer=who,
        at=datetime.fromisoformat(said["at"]),
        subject=said.get("subject", ""),
        text=said["text"],
        reply=said["text"],
        proof=Proof(said.get("proof", "verified")),
        may_acknowledge=not said.get("automatic"),
        acknowledge_reason="Auto-Submitted: auto-replied" if said.get("automatic") else "",
        automatic=said.get("automatic", ""),
        message_id=said.get("id", ""),
        references=tuple(said.get("refs", ())),
        content_key=hashlib.sha256(f"{said.get('id', '')}{said['from']}{said['text']}".encode()).hexdigest(),
        opens_case=said.get("opens_case", False),
    )


class Post(Channel[Nothing]):
    """A mailbox. Blind when it sends, as SMTP is."""

    name = "post"
    settings_model = Nothing
    interval = 1.0
    blind: ClassVar[bool] = True

    def check(self) -> None: ...

    def poll(self, cursor: Any) -> Iterator[Page]:
        far = Here.far
        box, side = far.boxes[self.context.id], self.context.id
        far.call(side, "poll", "", lambda: None)
        renumbered = bool(cursor) and cursor["v"] != box.validity
        place = box.first if renumbered or not cursor else cursor["n"]
        again = len(box.mails) if renumbered else cursor.get("again", 0)  # up to there everything may be known
        while place < len(box.mails):
            end = min(len(box.mails), place + far.dice.randint(1, 3))
            mails = range(max(place, box.first), end)
            raws = tuple(Raw(box.key(n), box.mails[n].data, box.mails[n].facts) for n in mails)
            yield Page(raws, {"v": box.validity, "n": end, "again": again}, rescan=place < again)
            if box.removes:  # asked for the next page, so the last one is stored
                box.first = end
            far.points.here(f"after a page of {side} was stored")
            far.call(side, "poll", "", lambda: None)
            place = end

    def read(self, raw: Raw) -> list[Message | Event]:
        said = json.loads(raw.data.partition(b"\n")[2])
        if said.get("broken") or (said.get("hard") and not Here.far.mended):
            raise ValueError("words of a customer")
        return [message_of(said)]

    def send(self, outgoing: Any, effect: Any) -> str:
        far, side = Here.far, self.context.id

        def take() -> str:
            far.take(side, "send", effect.key, outgoing.case_number, outgoing.to.value)
            return f"<{effect.key}@hub.example>"

        return str(far.call(side, "send", effect.key, take, garbage=lambda: 7 / 1 if far.dice.random() < 0.5 else ""))


class Box(Post):
    """A mailbox that is polled as well, keeps drafts, and can be searched for what was sent."""

    name = "box"
    blind: ClassVar[bool] = False
    settle: ClassVar[float] = SETTLE["box"]

    def draft(self, case: Any, message: Any, suggestions: Any, effect: Any) -> str:
        far, side = Here.far, self.context.id
        return str(far.call(side, "draft", effect.key, lambda: far.take(side, "draft", effect.key, case.number), "x"))

    def find(self, ability: str, effect: Any) -> str | None:
        far, side = Here.far, self.context.id
        found = far.call(side, "find", "", lambda: far.effect(side, effect.key))
        return f"<{effect.key}@hub.example>" if found and ability == "send" else found


class Door(Channel[Nothing]):
    """Takes what a shop's form pushes; a push without the right word is refused."""

    name = "door"
    settings_model = Nothing

    def check(self) -> None: ...

    def accept(self, request: Request) -> Accepted:
        if request.headers.get("word") != "right":
            raise Rejected("wrong word")
        Here.far.call("door", "accept", "", lambda: None)
        raw = Raw(request.headers["key"], b"From: x\n" + request.body)
        return Accepted((raw,), Reply(202, b"kept\n"))

    def read(self, raw: Raw) -> list[Message | Event]:
        return [message_of(json.loads(raw.data.partition(b"\n")[2]))]


class Desk(CRM[Nothing]):
    """A desk that removes no duplicates, but can be searched: by the case's number and by an effect's mark."""

    name = "desk"
    settings_model = Nothing
    interval = 1.0
    settle: ClassVar[float] = SETTLE["desk"]

    def check(self) -> None: ...

    def save_case(self, case: Any, effect: Any) -> str:
        far, side = Here.far, self.context.id
        # What the request will do is decided when it leaves: a late one does not look again.
        number = effect.known.get("case") or far.ticket_of(side, case.number)

        def take() -> str:
            if number is None:
                return far.open_ticket(side, case.number, effect.key, case.first_text)
            return str(number)

        return str(far.call(side, "save_case", effect.key, take, garbage=self._nonsense))

    def _nonsense(self) -> str:
        """An empty answer, or the number of a ticket that the hub knows as another case's."""
        return Here.far.dice.choice(["", *Here.far.known_tickets(self.context.id)])

    def add_message(self, case: Any, message: Any, effect: Any) -> str:
        return self._write("add_message", effect, message.text)

    def show(self, case: Any, suggestions: Any, effect: Any) -> str:
        return self._write("show", effect, case.number)

    def _write(self, ability: str, effect: Any, words: str) -> str:
        far, side, ticket = Here.far, self.context.id, effect.known["case"]
        take = lambda: far.take(side, ability, effect.key, ticket, words)  # noqa: E731
        return str(far.call(side, ability, effect.key, take, garbage=""))

    def find(self, ability: str, effect: Any) -> str | None:
        far, side = Here.far, self.context.id
        if ability == "save_case":
            return far.call(side, "find", "", lambda: far.ticket_of(side, effect.known["number"]))  # type: ignore[no-any-return]
        return far.call(side, "find", "", lambda: far.effect(side, effect.key))  # type: ignore[no-any-return]

    def changes(self, cursor: Any) -> Iterator[Page]:
        far, side = Here.far, self.context.id
        far.call(side, "changes", "", lambda: None)
        seen = cursor.get("n", 0)
        while seen < len(far.replies[side]):
            end = min(len(far.replies[side]), seen + 2)
            yield Page(tuple(far.replies[side][seen:end]), {"n": end})
            seen = end

    def read(self, raw: Raw) -> list[Message | Event]:
        said = json.loads(raw.data)
        return [
            Message(
                direction=Direction.OUT,
                sender=Identity("email", "marie@shop.example", "Marie"),
                customer=Identity("email", said["to"]),
                at=datetime.fromisoformat(said["at"]),
                text=said["text"],
                reply=said["text"],
                message_id=said["id"],
                account="marie",
                account_name="Marie Dupont",
                account_email="marie@shop.example",
                remote_case=said["ticket"],
                proof=Proof.VERIFIED,
            )
        ]


class HelpDesk(Desk):
    """Another desk, slower to settle, which says whether it greets customers itself."""

    name = "helpdesk"
    settle: ClassVar[float] = SETTLE["helpdesk"]

    def speaks(self, remote_case: str) -> str | None:
        return Here.far.call("helpdesk", "speaks", "", lambda: Here.far.voice)  # type: ignore[no-any-return]


class Files(CRM[Nothing]):
    """Customers whose addresses belong together."""

    name = "files"
    settings_model = Nothing

    def check(self) -> None: ...

    def find_customers(self, identity: Identity) -> list[Profile]:
        def take() -> list[Profile]:
            asked = (identity.kind, identity.value)
            return [p for p in Here.far.profiles if any((i.kind, i.value) == asked for i in p.identities)]

        return Here.far.call("files", "find_customers", "", take, garbage=[None])  # type: ignore[no-any-return]


class Words(Matcher[Nothing]):
    """Counts the words a question shares with an answer."""

    name = "words"
    settings_model = Nothing

    def check(self) -> None: ...

    def index(self, answers: list[Answer], revision: str) -> None:
        self.answers, self.revision = answers, revision

    def indexed(self) -> str:
        return getattr(self, "revision", "")

    def suggest(self, question: str, language: str, limit: int) -> list[Scored]:
        def take() -> list[Scored]:
            asked = set(question.lower().split())
            words = [(a.id, set(f"{a.title} {a.text}".lower().split())) for a in self.answers]
            scores = [Scored(number, float(len(asked & mine))) for number, mine in words]
            return sorted((s for s in scores if s.score), key=lambda s: -s.score)[:limit]

        return Here.far.call("words", "suggest", "", take, garbage=[None])  # type: ignore[no-any-return]


CLASSES: dict[tuple[str, str], Any] = {
    ("channels", "post"): Post,
    ("channels", "box"): Box,
    ("channels", "door"): Door,
    ("crm", "desk"): Desk,
    ("crm", "helpdesk"): HelpDesk,
    ("crm", "files"): Files,
    ("matchers", "words"): Words,
}
