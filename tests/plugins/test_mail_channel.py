"""A mailbox is read: against a real Dovecot. Names M01... are those of the scenarios in the issue."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from hub.sdk import AuthError, ConfigError, Raw, Rejected, Unavailable
from hub.testing import closed_port
from plugins.channels.mail import imap
from tests.plugins.mailroom import Inbox, channel, mail, subjects
from tests.servers.dovecot import Dovecot


@pytest.fixture
def user(dovecot: Dovecot) -> str:
    return dovecot.new_mailbox()


def test_m01_six_mails_in_one_poll_all_arrive_in_order(dovecot: Dovecot, user: str) -> None:
    dovecot.append(user, *(mail(f"mail {n}") for n in range(6)))
    box = Inbox()
    fresh = box.take(channel(dovecot, user, imap={"after": "move:Trash"}).poll(box.cursor))
    assert subjects(fresh) == [f"mail {n}" for n in range(6)]
    assert dovecot.messages(user) == []
    assert len(dovecot.messages(user, "Trash")) == 6
    assert box.take(channel(dovecot, user, imap={"after": "move:Trash"}).poll(box.cursor)) == []


def test_m02_a_mail_another_client_has_seen_still_arrives(dovecot: Dovecot, user: str) -> None:
    dovecot.append(user, mail("read elsewhere"), flags="(\\Seen)")
    box = Inbox()
    assert subjects(box.take(channel(dovecot, user).poll({}))) == ["read elsewhere"]


def test_reading_leaves_the_mailbox_as_it_is(dovecot: Dovecot, user: str) -> None:
    dovecot.append(user, mail("untouched"))
    before = dovecot.flags(user)
    Inbox().take(channel(dovecot, user).poll({}))
    assert dovecot.flags(user) == before
    assert not any("Seen" in flags for flags in before)


def test_m03_new_uidvalidity_loses_and_doubles_nothing(dovecot: Dovecot, user: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(imap, "PAGE_MAILS", 2)
    dovecot.append(user, *(mail(f"mail {n}") for n in range(5)))
    box = Inbox()
    box.take(channel(dovecot, user).poll({}))
    dovecot.doveadm("mailbox", "update", "--uid-validity", "4242", "-u", user, "INBOX")
    dovecot.append(user, mail("after the change"))
    # The hub dies after the first page of the re-scan: it must go on as one.
    with closing(channel(dovecot, user).poll(box.cursor)) as pages:
        page = next(pages)
        assert page.rescan
        assert page.cursor["INBOX"]["uidvalidity"] == 4242
        assert box.take(iter([page])) == []
    assert subjects(box.take(channel(dovecot, user).poll(box.cursor))) == ["after the change"]
    assert len(box.raws) == 6


def test_a_mailbox_restored_from_a_backup_gives_numbers_again(dovecot: Dovecot, user: str) -> None:
    dovecot.append(user, mail("had before"))
    box = Inbox()
    box.take(channel(dovecot, user).poll({}))
    # As if nine more had come, and the server then lost them: the next one gets an old number.
    box.cursor = {"INBOX": {**box.cursor["INBOX"], "uid": 10}}
    dovecot.append(user, mail("new under an old number"))
    (had,) = box.raws.values()
    taken = had.key.removesuffix("1") + "2"
    box.raws[taken] = replace(had, key=taken, data=b"lost there, kept here")
    assert subjects(box.take(channel(dovecot, user).poll(box.cursor))) == ["new under an old number"]
    dovecot.append(user, mail("the next"))
    assert subjects(box.take(channel(dovecot, user).poll(box.cursor))) == ["the next"]


def test_a_mail_beyond_the_caps_is_rejected_by_read(dovecot: Dovecot, user: str) -> None:
    bomb = b"Subject: bomb\r\n" + b"X-A: " + b"a" * 500_000 + b"\r\n\r\nhello\r\n"
    with pytest.raises(Rejected):
        channel(dovecot, user).read(Raw("INBOX/1/1", bomb, {}))


def test_m04_no_message_id_is_no_reason_to_drop(dovecot: Dovecot, user: str) -> None:
    dovecot.append(user, mail("one"), mail("two", Message_ID=None), mail("three", Message_ID=""), mail("four"))
    made = channel(dovecot, user)
    box = Inbox()
    assert subjects(box.take(made.poll({}))) == ["one", "two", "three", "four"]
    for raw in box.raws.values():
        assert made.read(raw) == made.read(raw)


def test_m05_two_mails_with_one_message_id_both_arrive(dovecot: Dovecot, user: str) -> None:
    dovecot.append(user, mail("first parcel", Message_ID="<dhl@dhl.example>"))
    dovecot.append(user, mail("second parcel", Message_ID="<dhl@dhl.example>"))
    assert subjects(Inbox().take(channel(dovecot, user).poll({}))) == ["first parcel", "second parcel"]


def test_m08_what_was_not_stored_comes_again(dovecot: Dovecot, user: str) -> None:
    dovecot.append(user, *(mail(f"mail {n}") for n in range(3)))
    made = channel(dovecot, user, imap={"after": "seen"})
    with closing(made.poll({})) as pages:
        lost = next(pages)
    assert not any("Seen" in flags for flags in dovecot.flags(user)), "told before it was stored"
    again = next(made.poll({}))
    assert again.raws == lost.raws
    assert len(again.raws) == 3


def test_m08_killed_between_store_and_flag(dovecot: Dovecot, user: str) -> None:
    dovecot.append(user, mail("stored, then killed"))
    box = Inbox()
    with closing(channel(dovecot, user, imap={"after": "seen"}).poll({})) as pages:
        box.take(iter([next(pages)]))
    assert box.take(channel(dovecot, user, imap={"after": "seen"}).poll(box.cursor)) == []
    assert "\\Seen" in dovecot.flags(user)[0], "the mail stays unread for ever"


def test_seen_is_set_once_and_stays_the_agents_matter(dovecot: Dovecot, user: str) -> None:
    dovecot.append(user, mail("mark me"))
    box = Inbox()
    box.take(channel(dovecot, user, imap={"after": "seen"}).poll(box.cursor))
    client = dovecot.connect(user)
    client.select("INBOX")
    client.store("1", "-FLAGS", "(\\Seen)")
    client.logout()
    box.take(channel(dovecot, user, imap={"after": "seen"}).poll(box.cursor))
    assert "Seen" not in dovecot.flags(user)[0]


def test_old_mail_stays_where_it_is_when_moving_is_switched_on(dovecot: Dovecot, user: str) -> None:
    dovecot.append(user, mail("old"))
    box = Inbox()
    box.take(channel(dovecot, user).poll({}))
    dovecot.append(user, mail("new"))
    box.take(channel(dovecot, user, imap={"after": "move:Trash"}).poll(box.cursor))
    assert len(dovecot.messages(user)) == 1
    assert len(dovecot.messages(user, "Trash")) == 1


def test_m09_a_large_mail_is_recorded_by_its_headers(dovecot: Dovecot, user: str) -> None:
    large = mail("large") + b"x" * 200_000 + b"\r\n"
    dovecot.append(user, mail("before"), large, mail("after"))
    made = channel(dovecot, user, max_size=150_000)
    fresh = Inbox().take(made.poll({}))
    assert subjects(fresh) == ["before", "large", "after"]
    assert fresh[1].facts["oversized"] == "150000"
    assert len(fresh[1].data) < 2000
    assert "larger than max_size" in " ".join(made.read(fresh[1])[0].problems)
    assert not made.read(fresh[0])[0].problems


def test_pages_end_by_number_and_by_weight(dovecot: Dovecot, user: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(imap, "PAGE_MAILS", 3)
    monkeypatch.setattr(imap, "PAGE_BYTES", 1_000_000)
    heavy = mail("heavy") + b"x" * 400_000 + b"\r\n"
    dovecot.append(user, *(mail(f"mail {n}") for n in range(4)), heavy, heavy, heavy)
    pages = list(channel(dovecot, user).poll({}))
    assert [len(p.raws) for p in pages] == [3, 3, 1]
    assert len({r.key for p in pages for r in p.raws}) == 7


def test_a_wide_mailbox_is_searched_in_windows(dovecot: Dovecot, user: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(imap, "WINDOW", 2)
    dovecot.append(user, *(mail(f"mail {n}") for n in range(7)))
    assert len(Inbox().take(channel(dovecot, user).poll({}))) == 7


def test_facts_say_where_and_when(dovecot: Dovecot, user: str) -> None:
    dovecot.append(user, mail("facts"))
    raw = Inbox().take(channel(dovecot, user).poll({}))[0]
    assert raw.facts["mailbox"] == user
    assert raw.facts["folder"] == "INBOX"
    assert raw.facts["received"].startswith("20")
    assert raw.key.startswith("INBOX/")


def test_another_folder_has_its_own_mark(dovecot: Dovecot, user: str) -> None:
    dovecot.append(user, mail("inbox"))
    dovecot.append(user, mail("junk"), folder="Junk")
    box = Inbox()
    box.take(channel(dovecot, user).poll({}))
    assert subjects(box.take(channel(dovecot, user, imap={"folder": "Junk"}).poll(box.cursor))) == ["junk"]
    assert set(box.cursor) == {"INBOX", "Junk"}


# -- errors --------------------------------------------------------------------------------


def test_a_wrong_password_is_an_auth_error(dovecot: Dovecot, user: str) -> None:
    with pytest.raises(AuthError) as caught:
        next(channel(dovecot, user, password="not-the-password").poll({}), None)
    assert "not-the-password" not in str(caught.value)
    assert caught.value.path == "imap.password"


def test_passwords_beyond_ascii_reach_the_server(dovecot: Dovecot) -> None:
    user = dovecot.add_user("accents@shop.example", "sécret")
    made = channel(dovecot, user, password="sécret")
    assert made.check() is not None
    with pytest.raises(AuthError):
        channel(dovecot, user, password="sècret").check()


def test_a_missing_folder_names_the_nearest(dovecot: Dovecot, user: str) -> None:
    with pytest.raises(ConfigError, match='did you mean "Junk"') as caught:
        next(channel(dovecot, user, imap={"folder": "Junck"}).poll({}), None)
    assert caught.value.path == "imap.folder"


def test_a_missing_folder_to_move_to_is_found_by_check(dovecot: Dovecot, user: str) -> None:
    with pytest.raises(ConfigError, match='did you mean "Trash"') as caught:
        channel(dovecot, user, imap={"after": "move:Trahs"}).check()
    assert caught.value.path == "imap.after"


def test_an_outage_is_unavailable_and_passes(dovecot: Dovecot, user: str) -> None:
    made = channel(dovecot, user)
    with dovecot.outage(), pytest.raises(Unavailable):
        next(made.poll({}), None)
    dovecot.append(user, mail("after the outage"))
    assert subjects(Inbox().take(made.poll({}))) == ["after the outage"]


def test_a_server_that_dies_in_the_middle_is_unavailable(dovecot: Dovecot, user: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(imap, "PAGE_MAILS", 1)
    dovecot.append(user, mail("one"), mail("two"))
    pages = channel(dovecot, user).poll({})
    assert next(pages).raws
    with dovecot.outage(), pytest.raises(Unavailable):
        next(pages)


def test_nobody_listening_is_unavailable(dovecot: Dovecot, user: str) -> None:
    with pytest.raises(Unavailable):
        channel(dovecot, user, imap={"port": closed_port()}).check()


# -- TLS -----------------------------------------------------------------------------------


def test_tls_and_starttls_check_the_certificate(dovecot: Dovecot, user: str) -> None:
    dovecot.append(user, mail("over tls"))
    ca = {"ca_file": str(dovecot.certificate)}
    for table in (
        {"security": "tls", "port": dovecot.imaps},
        {"security": "starttls", "port": dovecot.imap},
    ):
        assert Inbox().take(channel(dovecot, user, imap={**table, **ca}).poll({}))
        with pytest.raises(ConfigError, match="certificate") as caught:
            next(channel(dovecot, user, imap=table).poll({}), None)
        assert caught.value.path == "imap.ca_file"


def test_tls_where_there_is_none_says_so(dovecot: Dovecot, user: str) -> None:
    with pytest.raises(ConfigError, match="does not speak TLS") as caught:
        next(channel(dovecot, user, imap={"security": "tls", "port": dovecot.imap}).poll({}), None)
    assert caught.value.path == "imap.security"


def test_a_missing_ca_file_is_named(dovecot: Dovecot, user: str) -> None:
    made = channel(dovecot, user, imap={"security": "tls", "port": dovecot.imaps, "ca_file": "/nowhere.pem"})
    with pytest.raises(ConfigError, match="cannot read /nowhere") as caught:
        next(made.poll({}), None)
    assert caught.value.path == "imap.ca_file"
