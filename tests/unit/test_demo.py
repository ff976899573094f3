"""The invented shop is whole: its post can be read, its books and answers fit together."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from hub.config import load
from hub.demo.post import agents, letters, rows, sender, table
from hub.demo.run import _waves
from hub.demo.shop import put, set_up

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ORDER = re.compile(r"\bML-\d{5}\b")


def test_the_post_is_the_same_for_the_same_moment() -> None:
    assert letters(NOON) == letters(NOON)


def test_about_sixty_mails_most_of_them_there_when_the_shop_opens() -> None:
    post = letters(NOON)
    assert 55 <= len(post) <= 65
    early = [letter for letter in post if letter.at is not None]
    assert 45 <= len(early) < len(post)
    assert [x.at for x in early] == sorted(x.at for x in early if x.at)
    assert all(x.at < NOON for x in early if x.at)


def test_every_mail_parses_and_names_its_sender() -> None:
    for letter in letters(NOON):
        mail = message_from_bytes(letter.data, policy=policy.default)
        assert "@" in mail["From"], letter.id
        assert mail["Message-ID"], letter.id


def test_an_answer_comes_before_its_answer() -> None:
    """A reply names a mail that stands before it in the file and was written earlier."""
    at = {letter.id: letter.at or NOON for letter in letters(NOON)}
    for entry in table("mails.toml")["mail"]:
        if "re" in entry:
            assert at[entry["re"]] <= at[entry["id"]], entry["id"]


def test_three_languages_and_the_odd_ones() -> None:
    entries = table("mails.toml")["mail"]
    assert sum("bounce" in e for e in entries) == 1
    assert sum(e.get("broken") == "parts" for e in entries) == 1
    assert sum("attach" in e for e in entries) >= 1
    assert {e.get("auth", "pass") for e in entries} == {"pass", "none", "fail"}
    words = " ".join(e["text"] for e in entries)
    assert all(hello in words for hello in ("Bonjour", "Dear", "Hola"))


def test_orders_belong_to_customers_and_mails_name_existing_orders() -> None:
    addresses = {a for row in rows("customers.csv") for a in row["email"].split()}
    orders = {row["number"] for row in rows("orders.csv")}
    assert all(row["email"] in addresses for row in rows("orders.csv"))
    assert len(orders) == len(rows("orders.csv"))
    other = table("other.toml")
    texts = [f"{e['subject']} {e['text']}" for e in table("mails.toml")["mail"]] + [e["order"] for e in other["form"]]
    named = {number for text in texts for number in ORDER.findall(text)}
    assert named <= orders
    assert len(named) >= 20


def test_sixty_answers_all_in_french_many_in_english() -> None:
    answers = table("answers.toml")["answer"]
    assert len(answers) == 60
    assert len({a["ref"] for a in answers}) == 60
    assert all({"title", "text", "phrasings"} <= a["fr"].keys() for a in answers)
    assert sum("en" in a for a in answers) >= 40
    assert sum("es" in a for a in answers) >= 20


def test_nobody_real_is_written_to() -> None:
    """Only reserved names (RFC 2606) stand in the post."""
    for entry in table("mails.toml")["mail"]:
        written = " ".join(str(v) for v in entry.values())
        assert all(d.rstrip(".").endswith(".example") for d in re.findall(r"[\w.-]+@[\w.-]+", written)), entry["id"]


def test_agents_write_from_their_own_address() -> None:
    answers = [e for e in table("mails.toml")["mail"] if "agent" in e]
    assert {sender(e).addr_spec for e in answers} == {a["email"] for a in agents().values()}


def test_waves_keep_an_answer_between_what_it_answers_and_what_follows() -> None:
    waves = _waves([x for x in letters(NOON) if x.at])
    assert [wave[0].sent for wave in waves] == [bool(n % 2) for n in range(len(waves))]
    assert sum(map(len, waves)) == len([x for x in letters(NOON) if x.at])


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    set_up(tmp_path, 8123, NOON)
    return tmp_path


def test_the_shop_is_configured(shop: Path) -> None:
    config = load(shop / "hub.toml", {})
    assert config.web.port == 8123
    assert config.acknowledge.by == "nobody"
    assert {s.use for s in config.sections} == {"maildir", "form", "csv", "push", "whoosh"}
    assert (shop / "standard-token").stat().st_mode & 0o077 == 0


def test_a_letter_is_put_once(shop: Path) -> None:
    letter = next(x for x in letters(NOON) if not x.sent)
    put(shop, letter)
    put(shop, letter)
    assert len(list((shop / "Maildir" / "new").iterdir())) == 1
    assert not list((shop / "Maildir" / "tmp").iterdir())


def test_orders_have_a_day_and_never_grow_old(shop: Path) -> None:
    first, last = ((shop / "orders.csv").read_text("utf-8").splitlines()[i].split(",")[3] for i in (1, -1))
    assert all(datetime.fromisoformat(day).replace(tzinfo=UTC) < NOON for day in (first, last))
    assert first != last
