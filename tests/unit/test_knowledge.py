"""Answers: their files, their rows, and what agents are offered (hub/knowledge)."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.knowledge.answers import (
    add_answer,
    approved,
    change_wording,
    import_answers,
    read_answers,
    restore_answer,
    retire_answer,
    revision,
)
from hub.knowledge.files import AnswerFileError
from hub.knowledge.suggest import choose, measure
from hub.sdk import Answer, ConfigError, Rejected, Scored
from hub.store import Store
from hub.store.tables import metadata
from tests.databases import database_url

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)

CSV = """ref,title,language,text,phrasings
delay,Where is my order?,en,"Parcels take two days,
or three.",When does it arrive?|Where is my parcel?
delay,Où est ma commande ?,fr,Comptez deux jours.,Quand arrive mon colis ?
return,How do I return an item?,en,You have thirty days.,
"""

TOML = """
[[answer]]
ref = "delay"
[answer.en]
title = "Where is my order?"
text = "Parcels take two days."
phrasings = ["When does it arrive?", "Where is my parcel?"]
[answer.fr]
title = "Où est ma commande ?"
text = "Comptez deux jours."
phrasings = ["Quand arrive mon colis ?"]

[[answer]]
ref = "return"
language = "en-GB"
title = "How do I return an item?"
text = "You have thirty days."
"""


def write(folder: Path, text: str, name: str = "answers.csv") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def texts(store: Store) -> list[Answer]:
    with store.read() as connection:
        return approved(connection)


def now_at(store: Store) -> str:
    with store.read() as connection:
        return revision(connection)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (CSV, "answers.csv"),
        (CSV.replace(",", ";").replace("days;", "days,"), "excel.csv"),
        ("\ufeff" + CSV, "bom.csv"),
        (TOML, "answers.toml"),
        (json.dumps([{"ref": "delay", "en": {"title": "Where is my order?", "text": "Two days."}}]), "answers.json"),
    ],
)
def test_files_of_every_kind(tmp_path: Path, text: str, name: str) -> None:
    wordings = read_answers(write(tmp_path, text, name))
    assert (wordings[0].ref, wordings[0].language, wordings[0].title) == ("delay", "en", "Where is my order?")
    if len(wordings) > 1:
        assert [w.language for w in wordings] == ["en", "fr", "en"]
        assert wordings[0].phrasings == ("When does it arrive?", "Where is my parcel?")
        assert wordings[2].phrasings == ()


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("ref,title,text\n", "a.csv", ["line 1", "no column language"]),
        ("ref,title,language,text,colour\n", "a.csv", ["line 1", "unknown column colour"]),
        (CSV + "x,,fr,,\n", "a.csv", ["line 6, title: is empty", "line 6, text: is empty"]),
        (CSV + "x,T,french,words,\n", "a.csv", ["line 6, language", "french"]),
        (CSV + "x,T,fr,words,,,\n", "a.csv", ["line 6", "7 cells under 5 titles"]),
        (CSV + 'x,T,fr,"words\n', "a.csv", ["line 6"]),
        ("[[answer]\n", "a.toml", ["line 1"]),
        ("title = 1\n", "a.toml", ["[[answer]]"]),
        (TOML + "size = 3\n", "a.toml", ["answer 2 (return): unknown name size"]),
        ('[{"ref": 3}]', "a.json", ["answer 1, ref: must be a text"]),
        ('{"answer": [3]}', "a.json", ["answer 1: not a table"]),
        ('[{"ref": "a", "phrasings": 3}]', "a.json", ["answer 1 (a), phrasings: must be a list"]),
        ("{", "a.json", ["line 1, column 2"]),
        ("", "a.txt", [".csv, .toml, .json"]),
        ("", "a.csv", ["line 1", "no column"]),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, text: str, name: str, said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_answers(write(tmp_path, text, name))
    assert all(words in str(caught.value) for words in [name, *said])


def test_all_mistakes_at_once_and_nothing_imported(tmp_path: Path, store: Store) -> None:
    path = write(tmp_path, CSV + "x,,fr,,\ny,T,,t,\n")
    with pytest.raises(AnswerFileError) as caught:
        import_answers(store, path, NOW)
    assert len(caught.value.problems) == 3
    assert texts(store) == []
    assert now_at(store) == "0"


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CSV.encode("utf-8") + "x,Été,fr,t,\n".encode("latin-1"))
    with pytest.raises(AnswerFileError, match="line 6: not UTF-8"):
        read_answers(path)
    with pytest.raises(AnswerFileError, match="cannot be read"):
        read_answers(tmp_path / "nowhere.csv")


def test_imported_answers_are_approved_one_per_language(tmp_path: Path, store: Store) -> None:
    imported = import_answers(store, write(tmp_path, CSV), NOW)
    assert (imported.count, imported.skipped, imported.already) == (3, (), False)
    first, second, third = texts(store)
    assert first == Answer(
        first.id,
        "en",
        "Where is my order?",
        "Parcels take two days,\nor three.",
        ("When does it arrive?", "Where is my parcel?"),
    )
    assert first.id.partition(":")[0] == second.id.partition(":")[0]
    assert (first.id.partition(":")[2], second.id.partition(":")[2]) == ("en", "fr")
    assert third.title == "How do I return an item?"


def test_a_file_is_imported_once_and_editors_have_the_last_word(tmp_path: Path, store: Store) -> None:
    path = write(tmp_path, CSV)
    import_answers(store, path, NOW)
    with store.write() as connection:
        retire_answer(connection, NOW, 1)
    again = import_answers(store, path, LATER)
    assert (again.count, again.already) == (0, True)
    assert [a.title for a in texts(store)] == ["How do I return an item?"]


def test_what_is_there_already_is_skipped_and_named(tmp_path: Path, store: Store) -> None:
    import_answers(store, write(tmp_path, CSV), NOW)
    more = CSV + "return,¿Cómo devuelvo?,es,Tiene treinta días.,\nlost,ou est  MA commande,fr,Nous cherchons.,\n"
    imported = import_answers(store, write(tmp_path, more), LATER)
    assert imported.count == 1
    assert len(imported.skipped) == 4
    assert '"lost" has the same title as "delay"' in imported.skipped[3]
    assert "line 7" in imported.skipped[3]
    assert [a.language for a in texts(store)] == ["en", "fr", "en", "es"]


def test_the_same_phrasing_in_two_languages_is_one(tmp_path: Path, store: Store) -> None:
    import_answers(store, write(tmp_path, "ref,title,language,text,phrasings\na,A,en,t,OK?\na,B,fr,t,OK?|OK?\n"), NOW)
    assert sorted(len(a.phrasings) for a in texts(store)) == [0, 1]


def test_every_change_moves_the_revision(tmp_path: Path, store: Store) -> None:
    seen = [now_at(store)]
    import_answers(store, write(tmp_path, CSV), NOW)
    seen.append(now_at(store))
    with store.write() as connection:
        number = add_answer(
            connection, NOW, ref="gift", language="en", title="Gift wrap?", text="Yes.", phrasings=["wrap"]
        )
    seen.append(now_at(store))
    with store.write() as connection:
        change_wording(connection, LATER, number, language="en", title="Gift wrap?", text="Yes, free.")
    seen.append(now_at(store))
    with store.write() as connection:
        change_wording(connection, LATER, number, language="fr", title="Papier cadeau ?", text="Oui.")
    seen.append(now_at(store))
    with store.write() as connection:
        retire_answer(connection, LATER, number)
    seen.append(now_at(store))
    with store.write() as connection:
        restore_answer(connection, LATER, number)
    seen.append(now_at(store))
    assert len(set(seen)) == len(seen)
    gift = [a for a in texts(store) if a.id.startswith(f"{number}:")]
    assert [(a.language, a.text, a.phrasings) for a in gift] == [("en", "Yes, free.", ()), ("fr", "Oui.", ())]


def test_a_restored_backup_does_not_count_into_an_old_index(store: Store, tmp_path: Path) -> None:
    other = Store(database_url(tmp_path, "other.db"))
    with other.write() as connection:
        metadata.create_all(connection)
    revisions = []
    for one, at in ((store, NOW), (other, LATER)):
        with one.write() as connection:
            add_answer(connection, at, ref="a", language="en", title="A?", text="a")
            revisions.append(revision(connection))
    other.close()
    assert revisions[0] != revisions[1]


def test_twins_and_strangers_are_refused_with_a_sentence(tmp_path: Path, store: Store) -> None:
    import_answers(store, write(tmp_path, CSV), NOW)
    with store.write() as connection:
        with pytest.raises(Rejected, match='"delay" already'):
            add_answer(connection, NOW, ref="delay", language="en", title="Something else", text="t")
        with pytest.raises(Rejected, match='"delay" has this title'):
            add_answer(connection, NOW, ref="new", language="en", title="where is my ORDER", text="t")
        with pytest.raises(Rejected, match='"delay" has this title'):
            change_wording(connection, NOW, 2, language="en", title="Where is my order?", text="t")
        with pytest.raises(Rejected, match="no answer 99"):
            change_wording(connection, NOW, 99, language="en", title="x", text="t")
        with pytest.raises(Rejected, match="no answer 99"):
            retire_answer(connection, NOW, 99)
        retire_answer(connection, NOW, 1)
        add_answer(connection, NOW, ref="new", language="en", title="Where is my order?", text="t")
        with pytest.raises(Rejected, match='"new" has this title'):
            restore_answer(connection, NOW, 1)


BASE = {
    a.id: a
    for a in (
        Answer("1:fr", "fr", "Où est ma commande ?", "Deux jours."),
        Answer("1:en", "en", "Where is my order?", "Two days."),
        Answer("2:en", "en", "How do I return an item?", "Thirty days."),
        Answer("3:fr", "fr", "Ma théière fuit", "Le joint."),
    )
}


def test_one_suggestion_per_answer_in_the_customers_language() -> None:
    found = {"words": [Scored("1:en", 12.0), Scored("1:fr", 9.0), Scored("2:en", 6.0)]}
    first, second = choose(found, BASE, "fr", 3)
    assert (first.answer, first.language, first.text, first.rank, first.band) == ("1", "fr", "Deux jours.", 1, "sure")
    assert (second.answer, second.language, second.rank, second.band) == ("2", "en", 2, "likely")
    assert 0 < second.score < first.score < 1


def test_the_best_matched_wording_where_the_language_is_missing() -> None:
    found = {"words": [Scored("1:fr", 4.0), Scored("1:en", 12.0)]}
    assert choose(found, BASE, "es", 3)[0].language == "en"


def test_the_hopeless_and_the_unknown_are_left_out() -> None:
    assert choose({"words": [Scored("9:fr", 50.0), Scored("3:fr", 0.5)]}, BASE, "fr", 3) == []
    assert choose({}, BASE, "fr", 3) == choose({"words": []}, BASE, "fr", 3) == []


def test_where_the_best_one_fits_the_next_ones_are_shown_too() -> None:
    found = {"words": [Scored("1:fr", 20.0), Scored("3:fr", 0.5)]}
    assert [(s.answer, s.band) for s in choose(found, BASE, "fr", 3)] == [("1", "sure"), ("3", "perhaps")]


def test_no_more_than_asked_for() -> None:
    found = {"words": [Scored(i, 20.0) for i in BASE]}
    assert len(choose(found, BASE, "fr", 2)) == 2


def test_yardsticks_make_matchers_comparable() -> None:
    found = {"words": [Scored("2:en", 20.0), Scored("1:en", 10.0)], "meaning": [Scored("1:en", 0.9)]}
    assert choose(found, BASE, "en", 3, {"words": {"en": 20.0}, "meaning": {"en": 0.9}})[0].answer == "1"


def test_yardsticks_make_languages_comparable() -> None:
    found = {"words": [Scored("2:en", 9.0), Scored("3:fr", 6.0)]}
    assert choose(found, BASE, "fr", 3, {"words": {"en": 12.0, "fr": 5.0}})[0].answer == "3"


def test_measuring_a_matcher_asks_it_for_its_own_titles() -> None:
    asked: list[tuple[str, str]] = []

    def ask(question: str, language: str, limit: int) -> list[Scored]:
        asked.append((question, language))
        return [Scored("1:en", 7.0), Scored("2:en", 6.0)]

    # what the right answers got; where none was found, the yardstick nobody measured
    assert measure(ask, list(BASE.values())) == {"en": 6.5, "fr": 10.0}
    assert ("Ma théière fuit", "fr") in asked
    many = [Answer(f"{n}:en", "en", "t", "t") for n in range(1000)]
    asked.clear()
    measure(ask, many)
    assert len(asked) == 50
