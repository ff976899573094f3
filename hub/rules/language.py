"""Which language is it? Asked of every mail, so it must cost microseconds.

Restricting the detector to the company's languages is worth 5 to 25 points on short texts, and
below about three words what we know of the thread and the customer is better than any detector.
eldc takes about one microsecond, but is young and a C extension: where it cannot be imported,
py3langid (pure Python and numpy, 20 microseconds, 96 MB) stands in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

_LENGTH = 400
_FEW = 3
_NO_WORD = re.compile(r"[\d@_]|://|www\.")
_LETTERS = re.compile(r"[^\W\d_]{2}")

Detector = Callable[[str], str]


def detect(text: str, languages: Sequence[str], hint: str = "") -> str:
    """The language of `text` among `languages` (two-letter codes), or an empty string.

    `hint` is what the thread or the customer's profile says (``fr`` or ``fr-CA``): it decides where
    there are fewer than three words, and where the detector cannot tell.
    """
    hint = hint[:2].lower()
    hint = hint if hint in languages else ""
    words = [word for word in text[:_LENGTH].split() if word.isalpha() or not _NO_WORD.search(word)]
    spoken = sum(1 for word in words[: 3 * _FEW] if _LETTERS.search(word))
    if not spoken or (hint and spoken < _FEW):
        return hint
    if len(languages) == 1:
        return languages[0]
    return _detector(tuple(languages))(" ".join(words)) or hint


@cache
def _detector(languages: tuple[str, ...]) -> Detector:
    """One isolated detector per set of languages, made once: eldc's module-level state is global."""
    try:
        return _eldc(languages)
    except ImportError:
        return _py3langid(languages)


def _eldc(languages: tuple[str, ...]) -> Detector:
    import eldc

    eldc.init()
    detector = eldc.instance()
    known = [code for code in languages if code in eldc.LANGUAGES]
    if not known:  # an empty list would mean "all of them"
        return lambda _text: ""
    detector.set_languages(known)

    def ask(text: str) -> str:
        # `detect` keeps the interpreter's lock: for a microsecond that is cheaper than to let it go.
        found = str(detector.detect(text))
        return "" if found == "und" else found

    return ask


def _py3langid(languages: tuple[str, ...]) -> Detector:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    known = [code for code in languages if code in identifier.labels]
    if not known:
        return lambda _text: ""
    identifier.set_languages(known)
    return lambda text: str(identifier.classify(text)[0])
