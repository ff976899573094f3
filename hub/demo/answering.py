"""The two invented agents at their mail client: they open a draft, keep the best answer, and send.

"Send" means that the client files a copy in the Sent folder; no mail leaves. The hub finds out
what became of its suggestions there, as it would with real agents.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hub.demo.post import Letter, agents
from hub.demo.shop import put
from hub.store import Store
from hub.store.cases import case, suggestion
from hub.store.intake import message

_HELLO = {"fr": "Bonjour,", "en": "Hello,", "es": "Hola:"}
_EDITED = 3
"""Every third answer is shortened before it is sent, as people do."""


class Agents:
    """Léa and Hugo in turn, each call one answer."""

    def __init__(self, store: Store, home: Path) -> None:
        self._store, self._home = store, home
        self._turn = itertools.cycle(agents().values())
        self._count = itertools.count(1)

    def answer_one(self) -> None:
        """Answer the case whose suggestion is surest, the oldest of these first; where none is, have a coffee."""
        waiting = self._waiting()
        if waiting is None:
            return
        agent, count = next(self._turn), next(self._count)
        text = waiting.text
        if count % _EDITED == 0:
            text = text.rpartition(". ")[0] + "."
        mail = self._mail(waiting, agent, text)
        put(self._home, Letter(f"answer-{waiting.number}", sent=True, at=datetime.now(UTC), data=mail))
        self._tidy(waiting.message_id)

    def _waiting(self) -> sa.Row[Any] | None:
        query: sa.Select[Any] = (
            sa.select(
                message.c.id.label("number"),
                message.c.message_id,
                message.c.sender,
                message.c.subject,
                message.c.language,
                suggestion.c.text,
            )
            .join(suggestion, suggestion.c.message_id == message.c.id)
            .join(case, case.c.id == message.c.case_id)
            .where(
                case.c.answered_at.is_(None),
                message.c.direction == "in",
                message.c.message_id != "",
                suggestion.c.rank == 1,
                suggestion.c.outcome == "",
                suggestion.c.band != "perhaps",
            )
            .order_by(sa.desc(suggestion.c.band == "sure"), message.c.at)
            .limit(1)
        )
        with self._store.read() as connection:
            return connection.execute(query).first()

    def _mail(self, waiting: sa.Row[Any], agent: dict[str, str], text: str) -> bytes:
        mail = EmailMessage(policy=policy.SMTP)
        mail["From"] = Address(agent["name"], addr_spec=agent["email"])
        mail["To"] = waiting.sender
        mail["Subject"] = waiting.subject if waiting.subject.lower().startswith("re:") else f"Re: {waiting.subject}"
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<answer.{waiting.number}@maison-lavande.example>"
        mail["In-Reply-To"] = mail["References"] = waiting.message_id
        first = agent["name"].split()[0]
        mail.set_content(f"{_HELLO.get(waiting.language, 'Hello,')}\n\n{text}\n\n{first}, Maison Lavande\n")
        return mail.as_bytes()

    def _tidy(self, message_id: str) -> None:
        """The draft has served; a mail client removes it when it sends."""
        for path in (self._home / "Maildir" / ".Drafts" / "cur").glob("*"):
            if message_from_bytes(path.read_bytes()).get("In-Reply-To", "").strip() == message_id:
                path.unlink(missing_ok=True)
