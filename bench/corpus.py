"""Customers' mails for the bench: any number, always the same for one seed, French, English and Spanish.

Threads with references, quotations, five charsets, attachments, automatic replies and bounces, about
in the shares a customer-service mailbox has. Nothing here is fitted to the hub's own rules.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

SHOP = "support@shop.example"
CHARSETS = ("utf-8", "utf-8", "utf-8", "iso-8859-1", "cp1252", "iso-8859-15")
FIRST = ("Élodie", "Jean-Luc", "Zoë", "Marta", "Íñigo", "Hugh", "Fatou", "Björn", "Anaïs", "Rosa", "Declan", "Ève")
LAST = ("Lefèvre", "O'Neill", "Peña", "Martin", "Sørensen", "Dubois", "Gómez", "Hughes", "Traoré", "Faure")

TEXTS = {
    "fr": (
        ("Colis non reçu", "Facture manquante", "Produit abîmé", "Question sur un retour"),
        (
            "Bonjour,",
            "Je vous écris au sujet de mon achat de la semaine dernière.",
            "Le suivi n'a pas bougé depuis plusieurs jours et je commence à m'inquiéter.",
            "L'emballage était ouvert à l'arrivée ; je peux vous envoyer une photo.",
            "Pourriez-vous me dire sous quel délai vous remboursez ?",
            "Je reste à votre disposition pour tout complément.",
            "Cordialement,",
        ),
        "Le {date}, {name} <{address}> a écrit :",
    ),
    "en": (
        ("Parcel not here yet", "Invoice missing", "Damaged item", "Question about a return"),
        (
            "Hello,",
            "I am writing about what I bought from you last week.",
            "Tracking has not moved for several days and I am starting to worry.",
            "The box was open when it came; I can send you a picture.",
            "Could you tell me how long a refund takes?",
            "Do ask if you need anything else from me.",
            "Kind regards,",
        ),
        "On {date}, {name} <{address}> wrote:",
    ),
    "es": (
        ("Paquete no recibido", "Falta la factura", "Producto dañado", "Duda sobre una devolución"),
        (
            "Hola:",
            "Les escribo por mi compra de la semana pasada.",
            "El seguimiento lleva varios días sin cambiar y empiezo a preocuparme.",
            "La caja llegó abierta; puedo enviarles una foto.",
            "¿Podrían decirme cuánto tarda un reembolso?",
            "Quedo a su disposición para lo que necesiten.",
            "Un saludo,",
        ),
        "El {date}, {name} <{address}> escribió:",
    ),
}


@dataclass
class Thread:
    """A conversation that later mails may continue."""

    person: Address
    language: str
    subject: str
    ids: list[str] = field(default_factory=list)
    last: str = ""


def mails(count: int, seed: int = 7) -> Iterator[bytes]:
    """`count` mails. The same arguments give the same bytes."""
    rnd = random.Random(seed)
    people = [_person(rnd, n) for n in range(max(10, count // 5))]
    threads: list[Thread] = []
    at = datetime(2026, 1, 5, 8, tzinfo=UTC)
    for n in range(count):
        at += timedelta(seconds=rnd.randrange(20, 900))
        draw = rnd.random()
        if draw < 0.02:
            yield _bounce(rnd, n, at)
        elif draw < 0.22 and threads:
            yield _mail(rnd, n, at, rnd.choice(threads[-400:]), automatic=rnd.random() < 0.1)
        else:
            # A few people write a lot: the square pulls the choice towards the first.
            language = rnd.choices(("fr", "en", "es"), (47, 40, 13))[0]
            person = people[int(rnd.random() ** 2 * len(people))]
            threads.append(Thread(person, language, rnd.choice(TEXTS[language][0])))
            yield _mail(rnd, n, at, threads[-1])


def _person(rnd: random.Random, n: int) -> Address:
    name = f"{rnd.choice(FIRST)} {rnd.choice(LAST)}"
    return Address(name, addr_spec=f"customer{n}@{rnd.choice(('post', 'mail', 'box'))}.example")


def _mail(rnd: random.Random, n: int, at: datetime, thread: Thread, *, automatic: bool = False) -> bytes:
    mail = EmailMessage(policy=policy.SMTP)
    mail["Return-Path"] = f"<{thread.person.addr_spec}>"
    mail["Received"] = f"from mx{n % 9}.example by mx.shop.example with ESMTPS id {n:08X}; {format_datetime(at)}"
    mail["From"] = thread.person
    mail["To"] = SHOP
    mail["Subject"] = ("Re: " if thread.ids else "") + thread.subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{n}.{rnd.getrandbits(48):x}@{thread.person.domain}>"
    if thread.ids:
        mail["In-Reply-To"] = thread.ids[-1]
        mail["References"] = " ".join(thread.ids[-6:])
    if automatic:
        mail["Auto-Submitted"] = "auto-replied"
    words = _words(rnd, thread)
    _body(rnd, mail, thread, words, at)
    thread.ids.append(str(mail["Message-ID"]))
    thread.last = words
    return mail.as_bytes()


def _words(rnd: random.Random, thread: Thread) -> str:
    hello, *sentences, bye = TEXTS[thread.language][1]
    chosen = rnd.sample(sentences, rnd.randrange(2, len(sentences) + 1))
    if rnd.random() < 0.28:
        chosen.append(f"CMD-2026-{rnd.randrange(10000):04}")
    return "\n\n".join([hello, " ".join(chosen), f"{bye}\n{thread.person.display_name}"])


def _body(rnd: random.Random, mail: EmailMessage, thread: Thread, words: str, at: datetime) -> None:
    text = words
    if thread.last:
        intro = TEXTS[thread.language][2].format(date=f"{at:%d/%m/%Y}", name="Shop", address=SHOP)
        text += f"\n\n{intro}\n\n" + "\n".join(f"> {line}" for line in thread.last.split("\n")) + "\n"
    charset, cte = rnd.choice(CHARSETS), rnd.choice(("quoted-printable", "base64"))
    # What Outlook and web mailers put around a few sentences.
    style = "".join(f"p.x{i}{{margin:0cm;font-size:{9 + i % 4}pt;font-family:Calibri}}\n" for i in range(20))
    page = f"<html><head><style>{style}</style></head><body>" + "".join(
        f'<p class="x{i}">{line}</p>' for i, line in enumerate(text.split("\n"))
    )
    kind = rnd.random()
    if kind < 0.15:
        mail.set_content(page + "</body></html>", subtype="html", charset=charset, cte=cte)
    else:
        mail.set_content(text, charset=charset, cte=cte)
    if kind > 0.55:
        mail.add_alternative(page + "</body></html>", subtype="html", charset=charset, cte=cte)
    if rnd.random() < 0.1:
        data = rnd.randbytes(rnd.choice((3_000, 8_000, 20_000, 45_000)))
        mail.add_attachment(data, "image", "jpeg", filename=rnd.choice(("photo.jpg", "reçu n°1.jpg")))
    for i, part in enumerate(p for p in mail.walk() if p.is_multipart()):
        part.set_boundary(f"=-{rnd.getrandbits(64):x}-{i}")


def _bounce(rnd: random.Random, n: int, at: datetime) -> bytes:
    gone = f"gone{rnd.randrange(10_000)}@nowhere.example"
    return (
        f"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.shop.example\r\nTo: {SHOP}\r\n"
        f"Subject: Undelivered Mail Returned to Sender\r\nDate: {format_datetime(at)}\r\n"
        f"Message-ID: <{n}.{rnd.getrandbits(48):x}@mx.shop.example>\r\nAuto-Submitted: auto-replied\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="=-b"\r\n\r\n'
        f"--=-b\r\nContent-Type: text/plain\r\n\r\n<{gone}>: 550 5.1.1 user unknown\r\n"
        "--=-b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.shop.example\r\n\r\n"
        f"Final-Recipient: rfc822; {gone}\r\nAction: failed\r\nStatus: 5.1.1\r\n--=-b--\r\n"
    ).encode()
