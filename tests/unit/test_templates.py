"""The acknowledgement, and how a case's number is written (hub/rules/templates.py, numbers.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.locale import catalogue
from hub.rules.numbers import check_pattern, format_number
from hub.rules.templates import acknowledgement, bare_subject
from hub.sdk import ConfigError

NUMBER = "TR-2026-000123"


def written(
    language: str = "fr", subject: str = "Ma commande", name: str = "Alice Martin", **more: str
) -> tuple[str, str]:
    return acknowledgement(language, number=NUMBER, subject=subject, name=name, brand="Atelier Ronce", **more)


@pytest.mark.parametrize(
    ("language", "greeting"),
    [("fr", "Bonjour Alice Martin,"), ("en", "Hello Alice Martin,"), ("es", "Hola, Alice Martin:")],
)
def test_in_the_customers_language(language: str, greeting: str) -> None:
    subject, text = written(language)
    assert subject == f"Re: Ma commande [{NUMBER}]"
    assert text.startswith(greeting)
    assert NUMBER in text
    assert "Atelier Ronce" in text
    assert "{" not in text + subject


def test_other_languages_get_english() -> None:
    assert written("de") == written("en")
    assert written("") == written("en")


def test_every_text_exists_in_three_languages() -> None:
    texts = {key: wordings for key, wordings in catalogue().items() if key.startswith("customers.")}
    assert texts
    assert all(set(wordings) == {"fr", "en", "es"} for wordings in texts.values())


def test_the_company_signs_and_promises_itself() -> None:
    _, text = written(signature="L'équipe de l'atelier\n01 23 45 67 89", promise="Réponse sous 24 heures.")
    assert "L'équipe de l'atelier\n01 23 45 67 89" in text
    assert "Réponse sous 24 heures." in text
    assert "Atelier Ronce" not in text


@pytest.mark.parametrize(
    ("subject", "repeated"),
    [
        ("Re: RE: Fwd: Ma commande", "Ma commande"),
        ("TR : Ma commande", "Ma commande"),
        ("RE[2]: Ma commande", "Ma commande"),
        (f"Re: Ma commande [{NUMBER}]", "Ma commande"),
        ("Ma\r\nBcc: all@x.org commande", "votre message"),
        ("Cheap pills http://spam.example/x", "votre message"),
        ("visit spam.shop now", "votre message"),
        ("", "votre message"),
        ("Ma \u202ecommande\x00", "Ma commande"),
        ("x" * 500, "x" * 119 + "…"),
        ("{number.__class__}", "{number.__class__}"),
    ],
)
def test_what_is_repeated_of_a_subject(subject: str, repeated: str) -> None:
    assert written(subject=subject)[0] == f"Re: {repeated} [{NUMBER}]"


@pytest.mark.parametrize(
    "name", ["", "a@b.org", "Win $1000", "www.spam.example", "x" * 61, "<script>", "Call 0800 123", "See spam.shop"]
)
def test_a_name_that_is_no_name_is_not_repeated(name: str) -> None:
    assert written(name=name)[1].startswith("Bonjour,\n")


@given(st.text(max_size=300), st.text(max_size=200))
def test_customers_words_never_break_a_line(subject: str, name: str) -> None:
    headline, text = written(subject=subject, name=name)
    assert headline.isprintable()
    assert len(headline) < 200
    assert len(text.splitlines()) == len(written()[1].splitlines())


def test_bare_subject_is_linear() -> None:
    assert len(bare_subject("re:" * 100_000)) < 1_000


def test_numbers() -> None:
    assert format_number("TR-{year}-{n:06}", 2026, 123) == "TR-2026-000123"
    assert format_number("{year}/{n}", 2026, 7) == "2026/7"
    assert format_number("C{n:04d}.{year}", 2026, 12345) == "C12345.2026"


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "TR", "TR-{n}", "TR-{year}", "{year}-{n", "{year}-{m}", "{year}-{n!r}", "{year}-{n.real}", "{year} {n}"),
        *("[{year}-{n}]", "{year}-{n:.3f}", "{year}-{n:99}", "{year}-{n:x}", "{}{}", "x" * 60 + "{year}{n}"),
    ],
)
def test_a_pattern_that_would_not_do_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_pattern(pattern)
    assert caught.value.path == "case_number"
    assert "TR-{year}-{n:06}" in str(caught.value)
