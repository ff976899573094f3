"""A small world for the pipeline's tests: far sides in memory, a clock that is told, no threads.

The far sides (`Far`) are separate from the hub's database: what a test counts, it counts there.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import sqlalchemy as sa

from hub.app import Hub, open_hub
from hub.config import load
from hub.reading import InProcess
from hub.registry import Registry
from hub.sdk import (
    CRM,
    Answer,
    Channel,
    Direction,
    Event,
    Identity,
    Matcher,
    Message,
    OrderFacts,
    Page,
    Profile,
    Proof,
    Raw,
    Scored,
    Settings,
)
from tests import databases
from tests.lanes import Lanes

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class ToldClock:
    """Stands still until told."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def wait(self, event: Any, seconds: float | None) -> bool:
        self.at += timedelta(seconds=seconds or 0)
        return event.is_set()


class Inline:
    """An executor that does the work at once."""

    size = 1

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:  # noqa: BLE001 - as a future does
            future.set_exception(error)
        return future

    def close(self) -> None: ...


@dataclass
class Far:
    """The world outside: mailboxes, a desk, a CRM; and what goes wrong there."""

    mails: list[Raw] = field(default_factory=list)
    sent: list[Any] = field(default_factory=list)
    tickets: dict[str, dict[str, Any]] = field(default_factory=dict)
    comments: list[tuple[str, str]] = field(default_factory=list)
    words: list[tuple[str, str]] = field(default_factory=list)
    replies: list[Raw] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    orders: dict[str, OrderFacts] = field(default_factory=dict)
    effects: dict[str, str] = field(default_factory=dict)
    voice: str | None = ""
    calls: list[str] = field(default_factory=list)
    trouble: Callable[[str], None] = lambda _what: None

    def call(self, what: str) -> None:
        self.calls.append(what)
        self.trouble(what)


FAR = Far()


class Nothing(Settings):
    """No settings."""


class Post(Channel[Nothing]):
    """A mailbox in memory. Blind when it sends, as SMTP is."""

    name = "post"
    settings_model = Nothing
    interval = 1.0
    blind: ClassVar[bool] = True

    def check(self) -> None: ...

    def poll(self, cursor: Any) -> Iterator[Page]:
        seen = cursor.get("n", 0)
        if seen < len(FAR.mails):
            yield Page(tuple(FAR.mails[seen:]), {"n": len(FAR.mails)})

    def read(self, raw: Raw) -> list[Message | Event]:
        said = json.loads(raw.data)
        if said.get("broken"):
            raise ValueError("words of a customer")
        who = Identity("email", said["from"], said.get("name", ""))
        return [
            Message(
                direction=Direction.IN,
                sender=who,
                customer=who,
                at=datetime.fromisoformat(said.get("at", START.isoformat())),
                subject=said.get("subject", ""),
                text=said.get("text", ""),
                reply=said.get("text", ""),
                proof=Proof(said.get("proof", "claimed")),
                may_acknowledge=said.get("may", True),
                acknowledge_reason="" if said.get("may", True) else "Auto-Submitted: auto-replied",
                automatic=said.get("automatic", ""),
                message_id=said.get("id", ""),
                references=tuple(said.get("refs", ())),
                content_key=said.get("content_key", f"{said.get('id')}{said['from']}{said.get('text')}"),
                opens_case=said.get("opens_case", False),
            )
        ]

    def send(self, outgoing: Any, effect: Any) -> str:
        FAR.call("send")
        FAR.sent.append((outgoing, effect.key))
        return f"<{effect.key}@hub.example>"


class Desk(CRM[Nothing]):
    """A desk in memory: keyed by the case's number, searchable by effect."""

    name = "desk"
    settings_model = Nothing
    interval = 1.0
    settle: ClassVar[float] = 5.0

    def check(self) -> None: ...

    def save_case(self, case: Any, effect: Any) -> str:
        FAR.call("save_case")
        number = effect.known.get("case") or next((n for n, t in FAR.tickets.items() if t["case"] == case.number), None)
        if number is None:
            number = str(len(FAR.tickets) + 1)
            FAR.tickets[number] = {}
        FAR.tickets[number] |= {"case": case.number, "value": case}
        FAR.effects[effect.key] = number
        return number

    def add_message(self, case: Any, message: Any, effect: Any) -> str:
        FAR.call("add_message")
        FAR.words.append((effect.known["case"], message.text))
        FAR.effects[effect.key] = f"w{len(FAR.words)}"
        return FAR.effects[effect.key]

    def show(self, case: Any, suggestions: Any, effect: Any) -> str:
        FAR.call("show")
        FAR.comments.append((effect.known["case"], effect.key))
        FAR.effects[effect.key] = f"c{len(FAR.comments)}"
        return FAR.effects[effect.key]

    def find(self, ability: str, effect: Any) -> str | None:
        FAR.call("find")
        return FAR.effects.get(effect.key)

    def speaks(self, remote_case: str) -> str | None:
        return FAR.voice

    def changes(self, cursor: Any) -> Iterator[Page]:
        seen = cursor.get("n", 0)
        if seen < len(FAR.replies):
            yield Page(tuple(FAR.replies[seen:]), {"n": len(FAR.replies)})

    def read(self, raw: Raw) -> list[Message | Event]:
        said = json.loads(raw.data)
        return [
            Message(
                direction=Direction.OUT,
                sender=Identity("email", "marie@shop.example", "Marie"),
                customer=Identity("email", said["to"]),
                at=START + timedelta(hours=1),
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


class Files(CRM[Nothing]):
    """Customers and orders in memory."""

    name = "files"
    settings_model = Nothing

    def check(self) -> None: ...

    def find_customers(self, identity: Identity) -> list[Profile]:
        FAR.call("find_customers")
        return [
            p for p in FAR.profiles if any((i.kind, i.value) == (identity.kind, identity.value) for i in p.identities)
        ]

    def find_order(self, number: str) -> OrderFacts | None:
        FAR.call("find_order")
        return FAR.orders.get(number)


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
        FAR.call("suggest")
        asked = set(question.lower().split())
        scores = [Scored(a.id, float(len(asked & set(f"{a.title} {a.text}".lower().split())))) for a in self.answers]
        return sorted((s for s in scores if s.score), key=lambda s: -s.score)[:limit]


CONFIG = """
[hub]
data = "{data}"
order_patterns = ['CMD-\\d{{4}}-\\d{{4}}']
languages = ["fr", "en", "es"]
[answers]
file = "{answers}"
[channels.support]
use = "post"
[channels.contact]
use = "post"
[crm.desk]
use = "desk"
[crm.files]
use = "files"
[matchers.words]
use = "words"
"""

ANSWERS = """ref,title,language,text,phrasings
retard,Où est ma commande ?,fr,"Votre commande est en route, elle arrive sous trois jours ouvrés.",Je n'ai rien reçu
retour,Comment retourner un article ?,fr,"Renvoyez votre article sous trente jours avec le bon de retour.",
"""


class Killed(KeyboardInterrupt):
    """As `kill -9`: nothing swallows it."""


def rows(world: World, table: sa.Table, *where: Any) -> list[Any]:
    """What stands in a table of that world's hub, in the order of its key."""
    with world.hub.store.read() as connection:
        return list(connection.execute(sa.select(table).where(*where).order_by(*table.primary_key.columns)).all())


class World:
    """A hub in a folder, and the far sides. `restart` forgets everything but the disk."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.folder, self.clock = folder, ToldClock()
        FAR.__init__()  # type: ignore[misc]
        self.far = FAR
        (folder / "answers.csv").write_text(ANSWERS, "utf-8")
        self.file = folder / "hub.toml"
        text = config.format(data=folder / "var", answers=folder / "answers.csv")
        self.file.write_text(text + databases.settings(folder), "utf-8")
        databases.make_ready(folder / "var" / "tresse.db")
        self.hub = self._open()

    def _open(self) -> Hub:
        classes = {
            ("channels", "post"): Post,
            ("crm", "desk"): Desk,
            ("crm", "files"): Files,
            ("matchers", "words"): Words,
        }
        registry = Registry(_components=classes)
        hub = open_hub(
            load(self.file),
            registry=registry,
            clock=self.clock,
            rng=random.Random(1),
            threads=lambda _n, _s: Inline(),
            readers=InProcess,
        )
        if databases.with_lanes():
            hub.engine = Lanes.of(hub)
        return hub

    def restart(self) -> None:
        """As after `kill -9`: nothing is told to the old hub but to let go of the files."""
        self.hub.store.close()
        self.hub._lock.release()
        self.hub = self._open()

    def mail(self, **said: Any) -> None:
        """A mail arrives in the mailbox."""
        said.setdefault("id", f"<{len(self.far.mails)}@customer.example>")
        said.setdefault("from", "alice@customer.example")
        facts = {"received": said.get("at", self.clock.now().isoformat())}
        if sender := said.pop("sender_fact", ""):
            facts["sender"] = sender
        self.far.mails.append(Raw(f"k{len(self.far.mails)}", json.dumps(said).encode(), facts))

    def reply(self, ticket: str, text: str, to: str = "alice@customer.example") -> None:
        """An agent answers in the desk."""
        said = {"ticket": ticket, "text": text, "to": to, "id": f"<rt-{len(self.far.replies)}@desk.example>"}
        self.far.replies.append(Raw(f"r{len(self.far.replies)}", json.dumps(said).encode()))

    def go(self, seconds: float = 3.0, channel: str = "support", step: float = 0.0) -> None:
        """Let the hub poll and work for a while of told time, in steps of a second or a twentieth of it."""
        from hub.engine.sources import sources_of

        end, stride = self.clock.now() + timedelta(seconds=seconds), timedelta(seconds=step or max(1.0, seconds / 20))
        while True:
            for source in sources_of(self.hub.parts, self.hub.engine.wake, self.hub.engine._stop):
                if source.instance.id in (channel, "desk"):
                    source.tick()
            while self.hub.engine.look():
                pass
            if self.clock.now() >= end:
                return
            self.clock.at += min(stride, end - self.clock.now())
