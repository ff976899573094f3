"""Other projects' test mails, where they are: no crash, and the share of their assertions that hold.

Their expectations are partly recorded output of one library: a disagreement is a question, not a
proof of error. So the test asks for a share, and prints it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hub.mail.read import Unreadable, attachment, read_mail
from hub.mail.visible import visible_text
from hub.sdk import Message
from tests.cheap import cheap

SHARED = Path(os.environ.get("TRESSE_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "mails"
SLOW = 2.0  # CPU seconds for any mail


def words(text: str) -> str:
    return " ".join(text.split())


def emails(mail: Message, name: str) -> list[str]:
    return [a for a in mail.facts.get(name, "").lower().split(", ") if a]


def bodies(mail: Message) -> tuple[str, str]:
    return words(mail.text), words(visible_text(mail.html))


def same_time(wanted: str, mail: Message) -> bool:
    at = datetime.fromisoformat(wanted)
    return mail.at == at if at.tzinfo else mail.at.replace(tzinfo=None) == at


def contents(data: bytes, mail: Message) -> list[str]:
    return sorted(hashlib.md5(attachment(data, a.part)[1], usedforsecurity=False).hexdigest() for a in mail.attachments)


CHECKS: dict[str, Callable[[Any, Message, bytes], bool]] = {
    "from_email": lambda w, m, d: m.sender.value.lower() == w.lower(),
    "from_name": lambda w, m, d: words(m.sender.name) == words(w),
    "to_emails": lambda w, m, d: emails(m, "to") == [a.lower() for a in w],
    "cc_emails": lambda w, m, d: emails(m, "cc") == [a.lower() for a in w],
    "subject": lambda w, m, d: words(m.subject) == words(w),
    "message_id": lambda w, m, d: m.message_id.strip("<>") == w.strip("<>"),
    "date": lambda w, m, d: same_time(w, m),
    "body_norm": lambda w, m, d: words(w) in bodies(m),
    "body_nospace": lambda w, m, d: "".join(w.split()) in ["".join(b.split()) for b in bodies(m)],
    "body_contains": lambda w, m, d: all(
        words(x) in words(m.text + m.html) for x in ([w] if isinstance(w, str) else w)
    ),
    "body_endswith": lambda w, m, d: any(b.endswith(words(w)) for b in bodies(m)),
    "html_present": lambda w, m, d: bool(m.html) == w,
    "attachment_count": lambda w, m, d: len(m.attachments) == w,
    "attachment_names": lambda w, m, d: sorted(a.name for a in m.attachments) == sorted(w),
    "attachment_md5": lambda w, m, d: contents(d, m) == sorted(w),
    "attachment_sizes": lambda w, m, d: sorted(a.size for a in m.attachments) == sorted(w),
    "is_bounce": lambda w, m, d: bool(m.automatic) == w,
    "is_auto_reply": lambda w, m, d: bool(m.automatic) == w,
    "bounce_recipients": lambda w, m, d: sorted(a.lower() for a in m.bounced) == sorted(a.lower() for a in w),
}


@pytest.mark.parametrize(
    ("source", "share"),
    [("imap_tools", 0.95), ("php_mime_mail_parser", 0.97), ("webklex_php_imap", 0.97), ("flufl_bounce", 0.75)],
)
def test_other_projects_mails(source: str, share: float) -> None:
    manifest = SHARED / source / "manifest.json"
    if not manifest.exists():
        pytest.skip("other projects' mails are not here (TRESSE_SHARED)")
    asked: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for case in json.loads(manifest.read_text("utf-8"))["cases_list"]:
        data = (manifest.parent / case["file"]).read_bytes()
        with cheap(SLOW, case["file"]):
            mail = read_mail(data)
        for name in CHECKS.keys() & case["expect"].keys():
            asked[name] += 1
            held[name] += CHECKS[name](case["expect"][name], mail, data)
    print(
        f"{source}: {held.total()} of {asked.total()} assertions hold;",
        {k: f"{held[k]}/{asked[k]}" for k in sorted(asked)},
    )
    assert held.total() >= share * asked.total()


def test_every_file_is_read_without_a_crash() -> None:
    files = [f for f in SHARED.rglob("*") if f.is_file() and f.suffix != ".json"]
    if not files:
        pytest.skip("other projects' mails are not here (TRESSE_SHARED)")
    for file in files:
        data = file.read_bytes()
        # Cut short and with Unix or DOS line ends they are as many mails again.
        for variant in (data, data[: len(data) // 2], data.replace(b"\r\n", b"\n"), data.replace(b"\n", b"\r\n")):
            with contextlib.suppress(Unreadable):
                read_mail(variant)
