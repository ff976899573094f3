"""One state of the index in memory, and how answers are scored in it.

Whoosh's BM25 weighs each term in each field; the sums are ours, because a mail is several sentences
and the same term's postings serve them all. What decides (measured, bench/answers.py):

* one document per answer with all its phrasings; the question counts twice what the text counts;
* pairs of neighbouring words add a little to their words;
* a word the base has never seen stands in part for the stems it resembles: typing errors;
* a score is divided by what its query could be worth at most, square-rooted. So a long sentence
  does not win by being long, the best sentence of a mail stands for the mail, and words the base
  has never seen count against an answer.
"""

from __future__ import annotations

import threading
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from math import log

from rapidfuzz import process
from rapidfuzz.distance import JaroWinkler

from .analysis import pairs, words
from .index import Facts, schema
from .library import BM25F, RamStorage, Searcher, TermNotFound

_BOOSTS = {"question": 2.0, "pairs": 0.5, "text": 1.0}
_WORD_FIELDS = ("question", "text")
_DAMP = 0.5
_SHORTEST = 4
_RESEMBLES = 0.9
_SHARE = 0.6
_CACHED_TERMS = 4_000
_PREFIXES = 20

Postings = tuple["array[int]", "array[float]"]
"""The documents that hold a term, and its weight in each. Arrays: a tenth of the memory of pairs."""


class _Weighting(BM25F):  # type: ignore[misc]  # the library has no types
    """BM25 with an idf that ends at zero, among the answers of the term's own language."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        super().__init__()
        self._counts = counts

    def idf(self, searcher: Searcher, fieldname: str, text: str) -> float:
        language = fieldname.rpartition("_")[0]
        return rarity(self._counts[language], searcher.doc_frequency(fieldname, text))


def rarity(documents: int, holding: int) -> float:
    """The inverse document frequency, never negative."""
    return log(1 + (documents - holding + 0.5) / (holding + 0.5))


class Snapshot:
    """An index that never changes: safe to share between threads."""

    def __init__(self, facts: Facts, storage: RamStorage | None) -> None:
        self.facts = facts
        self.stored: list[Mapping[str, str]] = []
        self._counts: Mapping[str, int] = {}
        self._searcher: Searcher | None = None
        self._reading = threading.Lock()
        self._postings = lru_cache(_CACHED_TERMS)(self._read_postings)
        self._known = lru_cache(_CACHED_TERMS)(self._read_known)
        self._vocabulary: dict[tuple[str, str], list[str]] = {}
        if storage is not None and facts.languages:
            self._open(storage)

    def _open(self, storage: RamStorage) -> None:
        # Our schema instead of the stored one: nothing is unpickled that names a class.
        index = storage.open_index(schema=schema(self.facts.languages))
        with index.reader() as reader:
            self.stored = [reader.stored_fields(number) for number in range(reader.doc_count_all())]
            for language in self.facts.languages:
                terms = {term.decode("utf-8") for f in _WORD_FIELDS for term in reader.lexicon(f"{language}_{f}")}
                for term in sorted(terms):  # a typing error seldom is in the first letter
                    self._vocabulary.setdefault((language, term[0]), []).append(term)
        self._counts = Counter(one["language"] for one in self.stored)
        self._searcher = index.searcher(weighting=_Weighting(self._counts))

    def languages(self, language: str) -> tuple[str, ...]:
        """Where to look: in the customer's language; in all of them where it is unknown or has no answers."""
        return (language,) if language in self.facts.languages else self.facts.languages

    def suggest(self, sentences: Sequence[str], language: str) -> dict[int, float]:
        """Each document's best score over `sentences`."""
        best: dict[int, float] = {}
        for one in self.languages(language):
            for sentence in sentences:
                for document, score in self._scores(one, words(one).terms(sentence)).items():
                    if score > best.get(document, 0.0):
                        best[document] = score
        return best

    def _scores(self, language: str, terms: list[str]) -> dict[int, float]:
        found: defaultdict[int, float] = defaultdict(float)
        known = {known: share for term in set(terms) for known, share in self._known(language, term)}
        asked = {"question": known, "text": known, "pairs": dict.fromkeys(pairs(terms), 1.0)}
        for field, wanted in asked.items():
            for term, share in wanted.items():
                for document, score in self._weights(language, field, term):
                    found[document] += score * share * _BOOSTS[field]
        most = sum(self._rarity(language, term) for term in set(terms)) ** _DAMP
        return {document: score / most for document, score in found.items()} if most > 0 else {}

    def _rarity(self, language: str, term: str) -> float:
        return rarity(self._counts[language], len(self._postings(f"{language}_question", term)[0]))

    def _read_known(self, language: str, term: str) -> tuple[tuple[str, float], ...]:
        """`term` itself where the base knows it; else the known stems nearest to it, for a part."""
        if len(term) < _SHORTEST or any(self._postings(f"{language}_{field}", term)[0] for field in _WORD_FIELDS):
            return ((term, 1.0),)
        near = process.extract(
            term,
            self._vocabulary.get((language, term[0]), ()),
            scorer=JaroWinkler.normalized_similarity,
            score_cutoff=_RESEMBLES,
            limit=3,
        )
        return tuple((known, _SHARE * similarity) for known, similarity, _ in near)

    def _weights(self, language: str, field: str, term: str) -> Iterable[tuple[int, float]]:
        return zip(*self._postings(f"{language}_{field}", term), strict=True)

    def _read_postings(self, field: str, term: str) -> Postings:
        """Read a term's postings once: the library's matchers cost a microsecond a step, and share a file."""
        documents, weights = array("l"), array("d")
        if self._searcher is None:
            return documents, weights
        with self._reading:
            try:
                matcher = self._searcher.postings(field, term)
            except TermNotFound:
                return documents, weights
            while matcher.is_active():
                documents.append(matcher.id())
                weights.append(matcher.score())
                matcher.next()
        return documents, weights

    def search(self, typed: str, language: str) -> dict[int, tuple[float, set[str]]]:
        """For people: documents with their score and the terms that matched; the last word may be a beginning.

        Documents that hold more of the words stand first, whatever their weights.
        """
        found: dict[int, tuple[float, set[str]]] = {}
        for one in self.languages(language):
            terms = list(dict.fromkeys(words(one).terms(typed)))
            groups = [self._expanded(one, term, last=term is terms[-1]) for term in terms]
            for document, (score, held, matched) in self._held(one, groups).items():
                found[document] = (score * held / len(groups), matched)
        return found

    def _held(self, language: str, groups: Iterable[set[str]]) -> dict[int, tuple[float, int, set[str]]]:
        held: dict[int, tuple[float, int, set[str]]] = {}
        for group in groups:
            weights: dict[int, float] = {}
            matched: defaultdict[int, set[str]] = defaultdict(set)
            for term in group:
                for field in _WORD_FIELDS:
                    for document, score in self._weights(language, field, term):
                        weights[document] = max(weights.get(document, 0.0), score * _BOOSTS[field])
                        matched[document].add(term)
            for document, weight in weights.items():
                score, count, terms = held.get(document, (0.0, 0, set()))
                held[document] = (score + weight, count + 1, terms | matched[document])
        return held

    def _expanded(self, language: str, term: str, *, last: bool) -> set[str]:
        """`term`, and for the last word typed those it may still become."""
        if not last or len(term) < 2 or self._searcher is None:
            return {term}
        known = {term}
        with self._reading:
            for field in _WORD_FIELDS:
                longer = self._searcher.reader().expand_prefix(f"{language}_{field}", term)
                known.update(found.decode("utf-8") for found in islice(longer, _PREFIXES))
        return known
