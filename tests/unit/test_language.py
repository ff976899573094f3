"""Which language a text is in (hub/rules/language.py)."""

import builtins
from typing import Any

import pytest

from hub.rules import language
from hub.rules.language import detect

OURS = ("fr", "en", "es")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bonjour, je n'ai pas reçu ma commande CMD-2026-0042. Pouvez-vous m'aider ?", "fr"),
        ("Hello, my parcel has not arrived yet. Can you help me?", "en"),
        ("Hola, todavía no he recibido mi pedido. ¿Pueden ayudarme?", "es"),
        ("Where is my order?", "en"),
        ("Remboursement", "fr"),
        ("", ""),
        ("12345 !!", ""),
        ("谢谢你的帮助", ""),
    ],
)
def test_detected(text: str, expected: str) -> None:
    assert detect(text, OURS) == expected


def test_below_three_words_the_hint_decides() -> None:
    assert detect("OK merci", OURS, "en") == "en"
    assert detect("???", OURS, "es") == "es"
    assert detect("Merci beaucoup pour votre réponse rapide", OURS, "en") == "fr"


def test_a_hint_is_a_language_of_the_company_or_nothing() -> None:
    assert detect("12", OURS, "fr-CA") == "fr"
    assert detect("12", OURS, "ES") == "es"
    assert detect("12", OURS, "de") == ""


def test_one_language_needs_no_detector() -> None:
    assert detect("Hello my dear friends over there", ("fr",)) == "fr"


def test_languages_nobody_can_detect_are_left_out() -> None:
    assert detect("Bonjour, je voudrais un remboursement", ("fr", "xx", "en")) == "fr"
    assert detect("Bonjour, je voudrais un remboursement", ("xx", "yy"), "yy") == "yy"


def test_links_addresses_and_numbers_are_no_words() -> None:
    assert detect("https://example.org/where-is-my-order alice@example.org CMD-2026-0042 merci", OURS, "es") == "es"


def test_sets_of_languages_do_not_disturb_each_other() -> None:
    words = "Ich habe meine Bestellung noch nicht erhalten"
    assert detect(words, ("de", "en")) == "de"
    assert detect(words, ("fr", "en")) in ("fr", "en", "")
    assert detect(words, ("de", "en")) == "de"


def test_py3langid_stands_in_where_eldc_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_eldc(name: str, *rest: Any, **more: Any) -> Any:
        if name == "eldc":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_eldc)
    language._detector.cache_clear()
    try:
        assert detect("Bonjour, je n'ai pas reçu ma commande, pouvez-vous m'aider", OURS) == "fr"
        assert detect("Hello, my parcel has not arrived yet, can you help me", OURS) == "en"
        assert detect("Hello, my parcel has not arrived yet", ("xx", "yy")) == ""
    finally:
        language._detector.cache_clear()
