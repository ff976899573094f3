"""A Maildir is read without losing anything, and given drafts that are never repeated."""

from __future__ import annotations

import email
import email.policy
import os
import time
from contextlib import closing
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest

from hub.sdk import ConfigError, Direction, Identity, Message, Rejected
from hub.testing import fake_context, values
from plugins.channels.mail import maildir
from plugins.channels.mail.maildir import MaildirChannel
from plugins.channels.mail.settings import MaildirSettings
from tests.plugins.mailroom import Inbox, mail, subjects


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for part in ("cur", "new", "tmp"):
        (tmp_path / part).mkdir()
    return tmp_path


def channel(root: Path, **changes: Any) -> MaildirChannel:
    made = MaildirSettings.model_validate({"path": root, "address": "support@shop.example", **changes})
    return MaildirChannel(made, fake_context(root))


def deliver(root: Path, name: str, data: bytes | None = None) -> Path:
    """As a deliverer does it: written under tmp, moved to new."""
    temporary = root / "tmp" / name
    temporary.write_bytes(data or mail(name))
    return temporary.rename(root / "new" / name)


def test_mail_arrives_in_the_order_it_came_whatever_its_name(root: Path) -> None:
    box, made = Inbox(), channel(root)
    for name in ("9.host", "1.host", "5.host"):
        deliver(root, name)
        time.sleep(0.015)  # past a tick of the file system's clock
    assert subjects(box.take(made.poll({}))) == ["9.host", "1.host", "5.host"]
    deliver(root, "0.host")
    assert subjects(box.take(channel(root).poll(box.cursor))) == ["0.host"]


def test_what_was_not_stored_comes_again(root: Path) -> None:
    deliver(root, "1.host")
    made = channel(root)
    with closing(made.poll({})) as pages:
        first = next(pages)
    assert next(made.poll({})).raws == first.raws


def test_marking_a_mail_as_read_does_not_bring_it_again(root: Path) -> None:
    deliver(root, "1.host")
    box, made = Inbox(), channel(root)
    box.take(made.poll({}))
    (root / "new" / "1.host").rename(root / "cur" / "1.host:2,S")
    assert [r.key for p in made.poll(box.cursor) for r in p.raws] == []
    assert set(box.raws) == {"1.host"}


def test_a_mail_renamed_while_it_is_read_is_not_lost(root: Path, monkeypatch: Any) -> None:
    deliver(root, "1.host")
    made, box = channel(root), Inbox()
    listing = made._files

    def racing() -> Any:
        found = listing()
        (root / "new" / "1.host").rename(root / "cur" / "1.host:2,S")
        monkeypatch.setattr(made, "_files", listing)
        return found

    state = made._state
    monkeypatch.setattr(made, "_state", lambda: "1/1")
    monkeypatch.setattr(made, "_files", racing)
    assert box.take(made.poll({})) == []
    monkeypatch.setattr(made, "_state", state)
    assert subjects(box.take(made.poll(box.cursor))) == ["1.host"]


def test_the_cursor_stays_small_and_loses_nothing(root: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(maildir, "NAMES", 5)
    monkeypatch.setattr(maildir, "PAGE_MAILS", 4)
    box = Inbox()
    for n in range(12):
        deliver(root, f"{n}.host")
    box.take(channel(root).poll({}))
    assert len(box.raws) == 12
    assert len(box.cursor["names"]) == 5
    deliver(root, "late.host")
    box.take(channel(root).poll(box.cursor))
    assert len(box.raws) == 13


def test_a_torn_listing_is_not_believed(root: Path, monkeypatch: Any) -> None:
    """A directory read while mail comes in may show the later ones and not the first (readdir(3))."""
    monkeypatch.setattr(maildir, "NAMES", 1)
    made, box = channel(root), Inbox()
    listing = made._files

    def torn() -> Any:
        monkeypatch.setattr(made, "_files", listing)
        for name in ("first.host", "second.host", "third.host"):
            deliver(root, name)
            time.sleep(0.015)
        return [f for f in listing() if f.key != "first.host"]

    monkeypatch.setattr(made, "_files", torn)
    box.take(made.poll({}))
    box.take(made.poll(box.cursor))
    assert set(box.raws) == {"first.host", "second.host", "third.host"}


def test_a_maildir_that_never_stands_still_is_read_all_the_same(root: Path, monkeypatch: Any) -> None:
    old = deliver(root, "old.host")
    made, box = channel(root), Inbox()
    listing = made._files
    monkeypatch.setattr(made, "_files", lambda: [replace(f, changed=f.changed - 5 * 10**9) for f in listing()])
    states = iter(range(100))
    monkeypatch.setattr(made, "_state", lambda: f"{next(states)}/1")
    assert [r.key for r in box.take(made.poll({}))] == [old.name]


def test_a_clock_set_back_loses_nothing(root: Path) -> None:
    deliver(root, "1.host")
    box = Inbox()
    box.take(channel(root).poll({}))
    ahead = time.time_ns() + 10**12
    box.cursor = {"since": ahead, "names": {"1.host": ahead}}
    deliver(root, "2.host")
    assert subjects(box.take(channel(root).poll(box.cursor))) == ["2.host"]


def test_an_idle_maildir_is_not_listed_again(root: Path, monkeypatch: Any) -> None:
    deliver(root, "1.host")
    made, box = channel(root), Inbox()
    time.sleep(0.05)
    box.take(made.poll({}))
    box.take(made.poll(box.cursor))
    monkeypatch.setattr(made, "_files", lambda: pytest.fail("listed although nothing changed"))
    assert list(made.poll(box.cursor)) == []
    monkeypatch.undo()
    deliver(root, "2.host")
    assert subjects(box.take(made.poll(box.cursor))) == ["2.host"]


def test_a_large_mail_is_recorded_by_its_headers(root: Path) -> None:
    deliver(root, "1.host", mail("large") + b"x" * 20_000)
    made = channel(root, max_size=10_000)
    (raw,) = Inbox().take(made.poll({}))
    assert raw.facts["oversized"] == "10000"
    assert raw.data.endswith(b"\r\n\r\n")
    assert b"Bonjour" not in raw.data
    assert made.read(raw)[0].problems


def test_facts_say_where_and_when(root: Path) -> None:
    path = deliver(root, "1.host")
    os.utime(path, (1_772_443_800, 1_772_443_800))
    (raw,) = Inbox().take(channel(root).poll({}))
    assert raw.facts == {
        "mailbox": "support@shop.example",
        "folder": "INBOX",
        "received": "2026-03-02T09:30:00+00:00",
        "sender": "alice@customer.example",
    }


def test_a_sent_folder_gives_what_agents_answered(root: Path) -> None:
    for part in ("cur", "new", "tmp"):
        (root / ".Sent" / part).mkdir(parents=True)
    answer = mail("Re: parcel", From="Nadia <support@shop.example>", To="Alice <alice@customer.example>, x@y.example")
    deliver(root / ".Sent", "1.host", answer)
    made = channel(root, folder="Sent", sent=True)
    (raw,) = Inbox().take(made.poll({}))
    (message,) = made.read(raw)
    assert isinstance(message, Message)
    assert message.direction is Direction.OUT
    assert message.customer.value == "alice@customer.example"
    assert message.account == "support@shop.example"
    assert not message.may_acknowledge
    assert made.read(replace(raw, data=mail("to nobody", To=None))) == []


def test_no_maildir_is_a_config_error(tmp_path: Path) -> None:
    for call in (lambda: channel(tmp_path).check(), lambda: next(channel(tmp_path).poll({}), None)):
        with pytest.raises(ConfigError) as caught:
            call()
        assert caught.value.path == "path"


# -- drafts --------------------------------------------------------------------------------


def drafts(root: Path) -> list[Path]:
    return sorted((root / ".Drafts" / "cur").glob("*"))


def parsed(path: Path) -> EmailMessage:
    return cast("EmailMessage", email.message_from_bytes(path.read_bytes(), policy=email.policy.default))


def test_a_draft_threads_and_holds_the_answers(root: Path) -> None:
    made = channel(root)
    key = made.draft(values.case(), values.message(), values.suggestions(), values.effect())
    (path,) = drafts(root)
    assert path.name.endswith(":2,DS")
    draft = parsed(path)
    assert draft["To"].addresses[0].addr_spec == "alice@customer.example"
    assert draft["From"].addresses[0].addr_spec == "support@shop.example"
    assert draft["Subject"] == "Re: Où est ma commande ?"
    assert draft["In-Reply-To"] == "<first@customer.example>"
    assert "<first@customer.example>" in draft["References"]
    assert draft["X-Tresse-Suggestion"] == key
    assert draft["Auto-Submitted"] is None, "a person will send it"
    body = draft.get_content()
    for suggestion in values.suggestions():
        assert suggestion.text in body
    assert "TR-2026-000123" in body
    assert (root / ".Drafts" / "maildirfolder").exists()


def test_a_draft_is_found_and_never_repeated(root: Path) -> None:
    assert channel(root).find("Drafts", values.effect()) is None
    key = channel(root).draft(values.case(), values.message(), values.suggestions(), values.effect())
    assert channel(root).find("Drafts", values.effect()) == key
    before = [(p.name, p.read_bytes()) for p in drafts(root)]
    assert channel(root).draft(values.case(), values.message(), values.suggestions(), values.effect()) == key
    assert [(p.name, p.read_bytes()) for p in drafts(root)] == before
    assert channel(root).draft(values.case(), values.message(), values.suggestions(), values.effect("two")) != key
    assert len(drafts(root)) == 2


def test_a_draft_follows_better_suggestions(root: Path) -> None:
    made = channel(root)
    made.draft(values.case(), values.message(), values.suggestions(1), values.effect())
    made.draft(values.case(), values.message(), values.suggestions(3), values.effect())
    (path,) = drafts(root)
    assert "trente jours" in parsed(path).get_content()
    made.draft(values.case(), values.message(), [], values.effect())
    assert drafts(root) == []


def test_an_agents_words_are_never_overwritten(root: Path) -> None:
    made = channel(root)
    made.draft(values.case(), values.message(), values.suggestions(1), values.effect())
    (path,) = drafts(root)
    path.write_bytes(path.read_bytes() + "Chère Madame,\r\n".encode())
    made.draft(values.case(), values.message(), values.suggestions(3), values.effect())
    assert "Chère Madame" in path.read_bytes().decode()
    assert len(drafts(root)) == 1


def test_a_draft_copied_by_a_mail_client_is_left_alone(root: Path) -> None:
    made = channel(root)
    key = made.draft(values.case(), values.message(), values.suggestions(1), values.effect())
    (path,) = drafts(root)
    path.rename(root / ".Drafts" / "cur" / "1772443800.M1P2.client:2,D")
    assert made.find("Drafts", values.effect()) == key
    made.draft(values.case(), values.message(), values.suggestions(3), values.effect())
    assert len(drafts(root)) == 1


def test_a_draft_needs_an_address(root: Path) -> None:
    caller = replace(values.message(), customer=Identity("phone", "+33199000000"))
    with pytest.raises(Rejected):
        channel(root).draft(values.case(), caller, values.suggestions(), values.effect())
