"""What became of suggestions (hub/rules/outcome.py)."""

from hypothesis import given
from hypothesis import strategies as st

from hub.rules.outcome import judge
from hub.sdk import Outcome

DELAY = (
    "Nous préparons chaque commande en 24 à 48 heures, puis comptez deux à trois jours ouvrés à domicile. "
    "Le lien de suivi figure dans le message d'expédition."
)
RETURN = "Vous avez trente jours pour renvoyer un article. L'étiquette de retour se trouve dans votre compte."
VOUCHER = "Le bon d'achat arrive par courriel dans la journée et reste valable un an."
FRAMED = "Bonjour Alice,\n\n{}\n\nBelle journée,\nNadia\nAtelier Ronce"


def outcomes(reply: str, *suggested: str) -> list[Outcome]:
    return [outcome for outcome, _ in judge(reply, suggested)]


def test_pasted_with_greeting_and_signature_is_used() -> None:
    judged = judge(FRAMED.format(DELAY), [RETURN, DELAY, VOUCHER])
    assert [o for o, _ in judged] == [Outcome.IGNORED, Outcome.USED, Outcome.IGNORED]
    assert judged[1][1] == 1.0


def test_what_mail_programs_change_does_not_matter() -> None:
    wrapped = DELAY.upper().replace("É", "E").replace(" ", "\n  ")
    assert outcomes(wrapped, DELAY) == [Outcome.USED]


def test_adapted_is_edited() -> None:
    reply = FRAMED.format(DELAY.replace("deux à trois jours ouvrés à domicile", "demain, promis"))
    judged = judge(reply, [DELAY, RETURN])
    assert [o for o, _ in judged] == [Outcome.EDITED, Outcome.IGNORED]
    assert 0.6 <= judged[0][1] < 0.95


def test_something_else_makes_all_other() -> None:
    reply = FRAMED.format("Je viens d'appeler le transporteur : il repasse jeudi matin avec votre colis.")
    assert outcomes(reply, DELAY, RETURN, VOUCHER) == [Outcome.OTHER] * 3


def test_words_met_by_chance_are_no_copy() -> None:
    scattered = "de la en un des jours dans le compte pour votre retour article se trouve vous avez à renvoyer trente"
    assert outcomes(scattered, RETURN) == [Outcome.OTHER]


def test_a_short_reply_inside_a_suggestion_is_not_the_suggestion() -> None:
    assert outcomes("Le lien de suivi figure dans le message.", DELAY) == [Outcome.OTHER]


def test_the_longer_of_two_that_are_both_contained_was_pasted() -> None:
    assert outcomes(FRAMED.format(DELAY), "Le lien de suivi figure", DELAY) == [Outcome.IGNORED, Outcome.USED]


def test_short_answers_count_whole() -> None:
    assert outcomes("Bonjour,\nOui, bien sûr.\nNadia", "Oui, bien sûr.") == [Outcome.USED]


def test_nothing_said_nothing_suggested() -> None:
    assert judge("", []) == []
    assert judge("Bonjour", []) == []
    assert outcomes("", DELAY) == [Outcome.OTHER]
    assert outcomes("Bonjour", "", "…") == [Outcome.OTHER, Outcome.OTHER]


@given(st.text(max_size=300), st.lists(st.text(max_size=200), max_size=4))
def test_always_one_verdict_each_and_at_most_one_winner(reply: str, suggested: list[str]) -> None:
    judged = judge(reply, suggested)
    assert len(judged) == len(suggested)
    assert all(0.0 <= share <= 1.0 for _, share in judged)
    winners = [o for o, _ in judged if o in (Outcome.USED, Outcome.EDITED)]
    assert len(winners) <= 1
    assert bool(winners) == any(o is Outcome.IGNORED for o, _ in judged) or len(judged) == 1
