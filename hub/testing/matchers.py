"""Promises of matchers and of the search for people."""

from __future__ import annotations

import re
import threading

from hub.sdk import Answer
from hub.testing import values
from hub.testing.component import Contract


class MatcherContract(Contract):
    """Scores ordered, silence for an empty question, an index that changes all at once."""

    def test_a_question_finds_its_answer(self) -> None:
        made = self.make()
        made.index(values.answers(), "one")
        assert made.suggest("Où est ma commande ?", "fr", 3)[0].answer == "suivi:fr"
        assert made.suggest("How do I return an item?", "en", 3)[0].answer == "retour:en"

    def test_scores_are_ordered_and_limited(self) -> None:
        made = self.make()
        made.index(values.answers(), "one")
        for question in ("où est ma commande ou ma facture", "théière", "un article"):
            for limit in (1, 2, 10):
                found = made.suggest(question, "fr", limit)
                assert len(found) <= limit
                assert [s.score for s in found] == sorted((s.score for s in found), reverse=True)
                assert len({s.answer for s in found}) == len(found)

    def test_a_question_without_words_finds_nothing(self) -> None:
        made = self.make()
        made.index(values.answers(), "one")
        for question in ("", "   \n", "?!", "\N{SNOWMAN}"):
            assert made.suggest(question, "fr", 3) == []

    def test_hostile_questions_are_questions(self) -> None:
        made = self.make()
        made.index(values.answers(), "one")
        for question in ("title:* OR (", '"', "a" * 50_000, "NOT commande", "commande~9999", "[a TO z]", "x\x00y"):
            assert isinstance(made.suggest(question, "fr", 3), list)

    def test_an_empty_base_is_silent(self) -> None:
        made = self.make()
        assert made.indexed() == ""
        assert made.suggest("commande", "fr", 3) == []
        made.index([], "none")
        assert made.indexed() == "none"
        assert made.suggest("commande", "fr", 3) == []

    def test_indexing_replaces_everything(self) -> None:
        made = self.make()
        made.index(values.answers(), "one")
        made.index([Answer("neu:fr", "fr", "Où est ma commande ?", "Ailleurs.")], "two")
        assert made.indexed() == "two"
        assert {s.answer for s in made.suggest("Où est ma commande ?", "fr", 10)} == {"neu:fr"}

    def test_nobody_sees_half_an_index(self) -> None:
        """While one thread replaces the index, another sees the old or the new, never neither."""
        made, halves = self.make(), []
        bases = [[Answer(f"{r}:fr", "fr", "Où est ma commande ?", f"Base {r}.")] for r in ("un", "deux")]
        made.index(bases[0], "un")
        done, asked = threading.Event(), threading.Event()

        def ask() -> None:
            while not done.is_set():
                found = {s.answer for s in made.suggest("Où est ma commande ?", "fr", 10)}
                if found not in ({"un:fr"}, {"deux:fr"}):
                    halves.append(found)
                asked.set()

        asking = threading.Thread(target=ask)
        asking.start()
        for turn in range(6):
            made.index(bases[turn % 2], ("un", "deux")[turn % 2])
            for _ in range(2):  # the second answer surely began after the index was replaced
                asked.clear()
                assert asked.wait(10), "suggest() does not return while another thread indexes"
        done.set()
        asking.join(10)
        assert halves == []

    def test_what_stays_behind_is_known_or_gone(self) -> None:
        """A component made later stands at the revision it can answer from."""
        made = self.make()
        made.index(values.answers(), "one")
        made.close()
        later = self.make()
        assert later.indexed() in ("", "one")
        assert bool(later.suggest("Où est ma commande ?", "fr", 3)) == (later.indexed() == "one")


class SearchesAnswersContract(Contract):
    """Hits for people: ordered, and with no HTML in them but the marks."""

    def test_hits_are_ordered_and_marked(self) -> None:
        made = self.make()
        made.index(values.answers(), "one")
        hits = made.search("commande", "fr", 5)
        assert hits
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
        assert all(h.answer and h.title for h in hits)

    def test_highlights_hold_marks_only(self) -> None:
        made = self.make()
        made.index(values.answers(), "one")
        hits = made.search("factures", "fr", 5) + made.search("avoirs", "fr", 5)
        assert hits
        for hit in hits:
            assert re.sub(r"</?mark>", "", hit.highlight).count("<") == 0

    def test_no_words_no_hits(self) -> None:
        made = self.make()
        made.index(values.answers(), "one")
        assert made.search("", "fr", 5) == []
        assert isinstance(made.search('"title:(', "fr", 5), list)
