"""Stored English sentences in the reader's language: how they are found, and that none was forgotten."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from string import Formatter

import pytest

from hub.locale import catalogue
from hub.locale.sentences import Template, find, sentence, template, templates
from tests.cheap import cheap
from tests.unit.spoken import BLANK, Spoken, spoken

ROOT = Path(__file__).resolve().parents[2]
SPOKEN = spoken(ROOT)

DEVELOPERS = {
    "hub/cli/": "read in a terminal, by whoever typed the command",
    "hub/daemon.py": "ends the start: there is no page yet",
    "hub/engine/lock.py": "ends the start: there is no page yet",
    "hub/store/migrate.py": "ends the start: there is no page yet",
    "hub/store/backup.py": "answers `tresse backup` and `tresse restore`",
    "hub/store/session.py": "ends the start: there is no page yet",
    "hub/store/access.py": "answers `tresse login` and `tresse token`",
    "hub/store/agents.py": "answers `tresse agents`",
    "hub/rules/numbers.py": "ends the start: there is no page yet",
    "hub/config/load.py": "ends the start: there is no page yet",
    "hub/config/fix.py": "answers `tresse check --fix`",
    "hub/testing/": "read by whoever writes a plugin, in pytest's output",
    "hub/pipeline/tell.py": "answers `tresse alerts test`, and stands in the log",
    "hub/check/": "answers `tresse check`",
    "hub/demo/": "the demo speaks in its terminal",
}
"""Where sentences never reach a page, and why."""

ELSEWHERE = {
    "sentences.mail.refused_mail": "its middle is the argument of a call",
}
"""Wordings whose sentence the collector cannot put together, and why. The system's own are not ours at all."""


def for_pages() -> list[Spoken]:
    return [s for s in SPOKEN if not s.place.startswith(tuple(DEVELOPERS))]


def test_every_sentence_a_page_may_show_has_a_french_wording() -> None:
    english = [f"{s.place}: {s.text}" for s in for_pages() if sentence("fr", s.text) == s.text]
    assert english == []


def test_the_collector_finds_what_everybody_knows_to_be_there() -> None:
    texts = {s.text for s in SPOKEN}
    assert len(texts) > 150
    assert {
        "this channel cannot send",
        "an open form is a claim; its signature had expired",
        f"{BLANK} says that this address is gone ({BLANK})",
        f"more than {BLANK} parts",
        "A mailbox: IMAP in (woken by IDLE), SMTP out.",
    } <= texts


def test_no_wording_outlives_its_sentence() -> None:
    used: set[str] = set()
    for said in SPOKEN:
        _mark(said.text, used)
    ours = {k: w["en"] for k, w in catalogue().items() if k.startswith("sentences.") and ".system." not in k}
    assert {key for key, english in ours.items() if english not in used} - set(ELSEWHERE) == set()


def _mark(english: str, used: set[str]) -> None:
    fits = find(english)
    if fits:
        used.add(fits[0].wordings["en"])
        for name, takes in fits[0].blanks:
            if takes == "s":
                _mark(fits[1][name], used)


def test_every_reason_for_leaving_a_file_out_still_has_a_file() -> None:
    assert [place for place in DEVELOPERS if not (ROOT / place).exists()] == []


def test_wordings_have_the_same_blanks_and_french_typography() -> None:
    for key, wordings in catalogue().items():
        if not key.startswith("sentences."):
            continue
        assert set(wordings) == {"fr", "en"}, key
        french = {name for _, name, _, _ in Formatter().parse(wordings["fr"]) if name is not None}
        blanks = [name for name, _ in template(wordings["en"], wordings).blanks]
        assert len(blanks) == len(set(blanks)), key
        assert french == set(blanks) or key == "sentences.system.errno", key
        assert "'" not in wordings["fr"], f"{key}: a straight apostrophe"


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("more than 1000 parts", "plus de 1000 parties"),
        ("no answer within 0.5 s", "pas de réponse en 0.5 s"),
        ("mx.example:25 refused RCPT TO: 550 who is that?", "mx.example:25 a refusé RCPT TO : 550 who is that?"),
        (
            "mx.example:993 does not answer as it should: [Errno 111] Connection refused",
            "mx.example:993 ne répond pas comme il devrait : connexion refusée",
        ),
        (
            "the desk acknowledges already: an automatic reply we never heard of",
            "le helpdesk envoie déjà un accusé de réception : an automatic reply we never heard of",
        ),
        (
            'channels.support.hots: unknown setting; did you mean "host"?\nchannels.support.imap.port: is missing',
            "channels.support.hots : réglage inconnu ; vouliez-vous dire « host » ?\nchannels.support.imap.port : manque",
        ),
        ("queue {x} has no custom field 'a{0}' that the hub's user may see; it has none",
         "la file {x} n’a pas de champ personnalisé 'a{0}' visible pour l’utilisateur du hub ; il n’y en a pas"),
    ],
)  # fmt: skip
def test_a_sentence_is_said_in_french_with_its_values(english: str, french: str) -> None:
    assert sentence("fr", english) == french
    assert sentence("en", english) == english
    assert sentence("es", english) == english


@pytest.mark.parametrize(
    "english",
    [
        "",
        "a plugin from elsewhere says this",
        "Auto-Submitted: auto-replied",
        "Return-Path: <>",
        "Subject: is missing",
        "Subject: two words answers 5",
        "dmarc=pass header.from=customer.example (mx.shop.example)",
        "more than many parts",
        "more than 1000 parts of it",
    ],
)
def test_what_it_does_not_know_stays_as_it_is(english: str) -> None:
    assert sentence("fr", english) == english


def test_blanks_take_what_they_say() -> None:
    def match(english: str, said: str) -> dict[str, str] | None:
        return template(english, {}).match(said)

    assert match("{a} x {b}", "1 x 2 x 3") == {"a": "1", "b": "2 x 3"}
    assert match("{a}", "anything at all") == {"a": "anything at all"}
    assert match("a {b}", "a ") == {"b": ""}
    assert match("a {b:w}", "a ") is None
    assert match("a {b:w} c", "a b c") == {"b": "b"}
    assert match("a {b:w} c", "a b b c") is None
    assert match("a {b:n}", "a ٣") is None
    assert match("{p:p}: x", "word: x") is None
    assert match("ab{c}ba", "aba") is None, "beginning and end may not share letters"
    with pytest.raises(ValueError, match="where one blank ends"):
        template("{a}{b}", {})


def test_the_most_outspoken_template_is_asked_first() -> None:
    ranked: tuple[Template, ...] = templates()[1]
    weights = [sum(map(len, t.literals)) for t in ranked]
    assert all(a >= b for a, b in pairwise(weights))


def test_a_hostile_text_costs_no_more_than_its_length() -> None:
    hostile = "a: b; refused (" * 60_000
    with cheap(0.5):
        assert sentence("fr", hostile) == hostile


def test_pages_say_stored_sentences_through_the_filter() -> None:
    columns = "reason|proof_reason|acknowledge_reason|automatic|voice|evidence|summary|error"
    stored = re.compile(rf"(?:\b\w+\.(?:{columns})|\balert\.text|\bproblem)\b(?!\|said| ==)")
    handed_on = {"proof(one.proof, one.proof_reason)"}  # to a macro that says it
    bare = []
    for page in (files("hub.web") / "templates").iterdir():
        if page.name.endswith(".html") and page.name not in ("login.html", "answer.html"):
            told = re.sub(r"\"[^\"]*\"|'[^']*'", "", page.read_text("utf-8"))
            shown = re.findall(r"\{\{(.*?)\}\}", told)
            bare += [f"{page.name}: {s.strip()}" for s in shown if stored.search(s) and s.strip() not in handed_on]
    assert bare == []
