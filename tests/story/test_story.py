"""The story: from a real mailbox to a suggestion in a real helpdesk, and back to the customer.

Each step looks at the far side: Alice's mailbox, the desk. The hub's own words are read last.
"""

from __future__ import annotations

import json
import re
import time

import pytest
import requests

from tests.story.shop import ALICE, ANSWERS, CONTACT, CTI_TOKEN, Shop, eventually, words

pytestmark = pytest.mark.story

ANSWER = "Votre commande a été remise au transporteur."


@pytest.fixture
def shop(tmp_path, story_servers):
    shop = Shop(tmp_path, *story_servers)
    yield shop
    shop.stop()


def test_the_story(shop):
    settings_are_proven(shop)
    shop.start()
    number, ticket = a_mail_becomes_an_enriched_ticket(shop)
    alice_answers_the_acknowledgement(shop, number, ticket)
    a_form_is_a_claim(shop)
    an_agent_answers_in_the_desk(shop, number, ticket)
    alice_phones(shop)
    the_timeline_shows_the_braid(shop, number)
    alice_has_one_acknowledgement_and_one_answer(shop, number)
    nothing_secret_is_told(shop)
    seconds = shop.stop()
    assert seconds < 5
    nothing_private_is_in_the_log(shop)


def settings_are_proven(shop: Shop) -> None:
    """Step 1: `check` proves every setting, and names each mistake with its path."""
    shop.tell("check", "--live")
    good = shop.config.read_text("utf-8")
    shop.config.write_text(
        good.replace('interval = "1s"\n', 'intervall = "1s"\n').replace("order_state =", "oder_state ="), "utf-8"
    )
    said = shop.tell("check", "--json", check=False)
    problems = {p["path"]: p for r in json.loads(said)["results"] for p in r["problems"]}
    assert "interval" in problems["crm.rt.intervall"]["hint"]
    assert "order_state" in problems["crm.rt.fields.oder_state"]["hint"]
    shop.config.write_text(good.replace('segment = "Segment"', 'segment = "Segmnt"'), "utf-8")
    said = json.dumps(json.loads(shop.tell("check", "--live", "--json", check=False)), ensure_ascii=False)
    assert "Segmnt" in said
    assert "Segment" in said
    shop.config.write_text(good, "utf-8")


def a_mail_becomes_an_enriched_ticket(shop: Shop) -> tuple[str, str]:
    """Step 2: acknowledged once in her language; in the desk as hers, enriched, with three answers."""
    began = time.monotonic()
    shop.write(
        "Bonjour,\n\nJe n'ai toujours pas reçu ma commande CMD-2026-0042. Où est mon colis ?\n\nCordialement,\nAlice Martin",
        "Ma commande CMD-2026-0042",
    )
    ticket = eventually(shop.tickets, 30, "a ticket in the desk")[0]
    assert ticket["requestors"] == [ALICE]
    assert ticket["Subject"] == "Ma commande CMD-2026-0042"
    fields = ticket["fields"]
    number = fields["Case"]
    assert re.fullmatch(r"TR-\d{4}-000001", number)
    assert fields["Order"] == "CMD-2026-0042"
    assert "expédiée" in fields["Order State"]
    assert fields["Language"] == "fr"
    assert fields["Customer"] == "Alice Martin"
    assert fields["Segment"] == "fidèle"
    assert fields["Earlier Cases"] == "0"
    assert fields["Timeline"] == f"{shop.url}/cases/{number}"
    first_words = shop.rt.texts(ticket["id"], "Create")
    assert "toujours pas reçu ma commande" in first_words[0]
    answers = eventually(lambda: shop.tickets(number)[0]["fields"]["Answers"], 15, "answers in the ticket's field")
    assert ANSWER in answers
    (comment,) = eventually(lambda: shop.rt.texts(ticket["id"], "Comment"), 15, "the internal comment")
    assert ANSWER in comment
    assert comment.count(" %") >= 3 or comment.count("%") >= 3
    (acknowledgement,) = eventually(shop.acknowledgements, 15, "the acknowledgement")
    assert number in acknowledgement["Subject"]
    assert "Bonjour" in words(acknowledgement)
    assert number in words(acknowledgement)
    assert time.monotonic() - began < 30
    return number, str(ticket["id"])


def alice_answers_the_acknowledgement(shop: Shop, number: str, ticket: str) -> None:
    """Step 3: the same case and ticket, written there as Alice; the form beside it is a claim."""
    acknowledgement = shop.acknowledgements()[0]
    shop.write(
        "Et pouvez-vous me dire qui est le transporteur ?",
        f"Re: {acknowledgement['Subject']}",
        answer_to=acknowledgement,
    )
    said = eventually(lambda: shop.rt.history(ticket, "Correspond"), 30, "her words on the same ticket")
    assert said[0]["Creator"]["EmailAddress"] == ALICE
    assert "qui est le transporteur" in shop.rt.texts(ticket, "Correspond")[0]
    eventually(lambda: len(shop.rt.history(ticket, "Comment")) == 2, 20, "a comment for her second message")
    assert len(shop.tickets()) == 1


def a_form_is_a_claim(shop: Shop) -> None:
    """Step 3, the form: its own case and ticket, marked as claimed, not acknowledged by mail."""
    answer = shop.fill_form(
        name="Alice Martin",
        email=ALICE,
        subject="Ma facture",
        message="Bonjour, où puis-je trouver la facture de ma commande ?",
        order="CMD-2026-0042",
    )
    assert answer.status_code == 202, answer.text
    tickets = eventually(lambda: len(shop.tickets()) == 2 and shop.tickets(), 30, "a second ticket")
    form = next(t for t in tickets if t["Subject"] == "Ma facture")
    assert form["requestors"] == [ALICE]
    assert form["fields"]["Case"].endswith("000002")
    assert form["fields"]["Earlier Cases"] == "1"
    assert re.search("revendiqu|déclar|non vérifi", form["fields"]["Sender"], re.IGNORECASE), form["fields"]["Sender"]
    assert len(shop.acknowledgements()) == 1


def an_agent_answers_in_the_desk(shop: Shop, number: str, ticket: str) -> None:
    """Step 4: RT sends it; the timeline shows it under the agent, and suggestions get their outcome."""
    text = ANSWERS.split('"')[1]
    shop.rt.reply("agent1", ticket, f"Bonjour Alice,\n\n{text}\n\nMarie")
    (answer,) = eventually(
        lambda: [m for m in shop.inbox() if ANSWER in words(m)], 30, "the agent's answer in Alice's mailbox"
    )

    def on_the_timeline():
        entries = shop.api("timeline", key=number)["entries"]
        return next((e for e in entries if e["direction"] == "out" and ANSWER in e["text"]), None)

    entry = eventually(on_the_timeline, 30, "the answer on the timeline")
    assert entry["agent"]
    shown = [s for e in shop.api("timeline", key=number)["entries"] for s in e.get("suggestions", ())]
    outcomes = {s["outcome"] for s in shown}
    assert "used" in outcomes
    assert outcomes <= {"used", "edited", "other", "ignored"}
    shop.write("Merci, bonne journée !", f"Re: {answer['Subject']}", answer_to=answer)
    eventually(lambda: len(shop.rt.history(ticket, "Correspond")) == 3, 30, "her thanks on the same ticket")
    assert len(shop.tickets()) == 2


def alice_phones(shop: Shop) -> None:
    """Step 5: the call lands on her timeline by her number from the CSV."""
    assert shop.call("newCall").status_code == 200
    assert shop.call("answer", user="Marie").status_code == 200
    assert shop.call("hangup", cause="normalClearing").status_code == 200
    assert shop.call("hangup", cause="normalClearing").status_code == 200

    def call_there():
        calls = [e for e in shop.api("timeline", key=ALICE)["entries"] if e["kind"] == "event"]
        return calls if calls and calls[0]["data"].get("cause") else None

    (call,) = eventually(call_there, 20, "the call on Alice's timeline")
    assert call["event"] == "call"


def the_timeline_shows_the_braid(shop: Shop, number: str) -> None:
    """Step 6: by address, case and order; newest first, paged, in text and JSON."""
    for key in (ALICE, number, "CMD-2026-0042"):
        told = shop.tell("timeline", key)
        assert "Ma commande CMD-2026-0042" in told
        entries = json.loads(shop.tell("timeline", key, "--json"))["entries"]
        assert entries == shop.api("timeline", key=key)["entries"]
        times = [e["at"] for e in entries]
        assert times == sorted(times, reverse=True)
    first = shop.api("timeline", key=ALICE, limit="2")
    second = shop.api("timeline", key=ALICE, limit="2", before=first["next"])
    whole = shop.api("timeline", key=ALICE)["entries"]
    assert [*first["entries"], *second["entries"]] == whole[:4]
    form = next(e for e in whole if e["subject"] == "Ma facture")
    assert form["proof"] == "claimed"
    no_token = requests.get(f"{shop.url}/api/v1/timeline", params={"key": ALICE}, timeout=5)
    assert no_token.status_code == 401


def alice_has_one_acknowledgement_and_one_answer(shop: Shop, number: str) -> None:
    """Step 7: counted in her real mailbox and in the desk."""
    mails = shop.inbox()
    assert len([m for m in mails if m.get("Auto-Submitted") == "auto-replied"]) == 1
    assert len([m for m in mails if ANSWER in words(m)]) == 1
    assert len(mails) == 2
    (ticket,) = shop.tickets(number)
    assert len(shop.rt.history(ticket["id"], "Comment")) == 3
    assert len(shop.tickets()) == 2


def nothing_private_is_in_the_log(shop: Shop) -> None:
    """Customers' words and secrets stay out of the log; secrets also out of the database."""
    log = shop.log()
    secrets = (shop.rt.token, CTI_TOKEN)
    for private in ("toujours pas reçu", "Merci, bonne journée", ALICE, *secrets):
        assert private not in log
    lines = [json.loads(line) for line in log.splitlines()]
    assert all("event" in line for line in lines)
    kept = b"".join(file.read_bytes() for file in (shop.folder / "var").rglob("*") if file.is_file())
    for secret in secrets:
        assert secret.encode() not in kept


def nothing_secret_is_told(shop: Shop) -> None:
    """The API tells settings and health, and no secret."""
    for path in ("instances", "plugins", "alerts", "figures"):
        told = json.dumps(shop.api(path))
        assert shop.rt.token not in told
        assert CTI_TOKEN not in told


def test_two_mailboxes_one_message(shop):
    """The same mail To one mailbox and Cc the other is one message, one ticket, one acknowledgement."""
    shop.start()
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["From"], mail["To"], mail["Cc"] = ALICE, "support@shop.example", CONTACT
    mail["Subject"], mail["Message-ID"] = "Une question", "<both@customer.example>"
    mail.set_content("Bonjour, comment retourner un article s'il vous plaît ?")
    before = len(shop.tickets())
    shop.postfix.send(mail.as_bytes(), to=["support@shop.example", CONTACT])
    eventually(lambda: len(shop.tickets()) > before, 30, "a ticket")

    def copies():
        entries = shop.api("timeline", key=ALICE)["entries"]
        (told,) = [e for e in entries if e["subject"] == "Une question"]
        return told["copies"]

    eventually(copies, 15, "both mailboxes recorded on the one message")
    assert len(shop.tickets()) == before + 1
    eventually(shop.acknowledgements, 15, "the acknowledgement")
    assert len(shop.acknowledgements()) == 1
