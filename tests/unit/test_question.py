"""What a mail asks (hub/rules/question.py)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.rules.question import question
from tests.cheap import cheap

FRENCH = """Bonjour Madame, Monsieur,

Je n'ai toujours pas reçu ma commande CMD-2026-0042 passée le 12/03/2026.
Pouvez-vous me dire où elle se trouve ?

Merci d'avance pour votre aide.
Cordialement,

Alice Martin
06 12 34 56 78
alice@customer.example

Envoyé de mon iPhone"""

ENGLISH = """Hi there,

I hope you are well. I returned my shoes two weeks ago but the refund has not
arrived on my card yet. When will I get my money back? My order is #12345678.

Thanks in advance,
Bob"""

SPANISH = """Hola, buenos días: compré unas zapatillas y me quedan pequeñas. ¿Puedo cambiarlas por otra talla?
Muchas gracias por su ayuda.
Un saludo,
María"""


def test_french() -> None:
    assert question("Re: [TR-2026-000123] Colis CMD-2026-0042", FRENCH) == [
        "Colis\nJe n'ai toujours pas reçu ma commande passée le\nPouvez-vous me dire où elle se trouve ?",
        "Pouvez-vous me dire où elle se trouve ?",
        "Colis",
        "Je n'ai toujours pas reçu ma commande passée le",
    ]


def test_english_wrapped_lines_become_sentences() -> None:
    whole, first, *_ = question("", ENGLISH)
    assert first == "When will I get my money back?"
    assert "the refund has not arrived on my card yet" in whole
    assert not any(word in whole for word in ("Hi", "hope", "Thanks", "Bob", "12345678"))


def test_spanish() -> None:
    whole, first, *_ = question("", SPANISH)
    assert first == "¿Puedo cambiarlas por otra talla?"
    assert whole.startswith("compré unas zapatillas")
    assert "gracias" not in whole.lower()


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Bonjour je voudrais savoir comment retourner un article", "je voudrais savoir comment retourner un article"),
        (
            "Cher Monsieur Dupont,\nBonjour,\nEst-ce que je peux payer en 3 fois ?\nBien à vous\nJ.",
            "Est-ce que je peux payer en 3 fois ?",
        ),
        ("Dear Sir or Madam,\n\nI get error 404\nKind regards\nBob\nCEO, Acme Ltd", "I get error 404"),
        ("Merci\n\nMais comment annuler ?", "Mais comment annuler ?"),
        ("Comment annuler ?\n\nThis e-mail is confidential and intended only for you.", "Comment annuler ?"),
        ("Je vous remercie de me rembourser la commande", "Je vous remercie de me rembourser la commande"),
        ("Comment annuler ? Appelez-moi au 06 12 34 56 78.", "Comment annuler ?\nAppelez-moi au"),
        ("Where is order no. CMD-2026-0042?", "Where is order?"),
    ],
)
def test_the_whole(text: str, asked: str) -> None:
    assert question("", text)[0] == asked


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "Merci",
            "Merci beaucoup !",
            "Thanks!",
            "Thank you very much for your help.",
            "Gracias",
            "Bonne journée à vous",
        ),
        *("Bonjour,\n\nCordialement,\nAlice", "12345678", "https://example.org/x", "Sent from my iPhone", "Hello,"),
    ],
)
def test_nothing_is_asked(text: str) -> None:
    assert question("", text) == []


def test_a_subject_alone_asks_too() -> None:
    assert question("Re: Comment annuler ma commande ?", "Merci") == ["Comment annuler ma commande ?"]


@given(st.text(max_size=500), st.text(max_size=1500))
def test_never_raises_and_says_nothing_twice(subject: str, text: str) -> None:
    found = question(subject, text)
    assert len(found) <= 7
    assert len({one.casefold() for one in found[1:]}) == len(found[1:])


@pytest.mark.parametrize(
    "hostile",
    [
        *("a", " ", "\n", "1-", "x@", "www.", "n° ", "> "),
        *("bonjour ", "bonjour madame, ", "merci ", "merci pour votre ", "thanks for your ", "je vous prie agréer"),
        *("salutations a ", "re: ", "hi there all ", "en espérant "),
    ],
)
def test_hostile_text_costs_little(hostile: str) -> None:
    text = hostile * (100_000 // len(hostile)) + "a.b"
    with cheap(0.25):
        question(text, text)
        question("", "\n".join([text[:75]] * 200))
