"""An invented shop's day, as rows: what the pages are looked at with."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import sqlalchemy as sa

from hub.store import Store
from hub.store.access import add_login, add_token, hash_password
from hub.store.customers import link, profile
from hub.store.intake import attachment, message_copy, step
from tests.unit.braid import Braid

PASSWORD = "une tresse de trois brins"

LONG = """Bonjour,

Je me permets de revenir vers vous au sujet de ma commande CMD-2026-0042, passée il y a maintenant huit jours. Le suivi indique « en cours d'acheminement » depuis vendredi, sans aucune nouvelle depuis, et j'ai absolument besoin de la lampe avant samedi, car c'est un cadeau d'anniversaire.

J'ai déjà appelé ce matin ; la personne que j'ai eue au téléphone, très aimable, m'a dit que le transporteur avait peut-être confondu deux colis dans son dépôt de Lyon. Pourriez-vous vérifier auprès d'eux et me dire si je dois plutôt l'annuler et en racheter une en magasin ?

Par ailleurs, la facture jointe ne mentionne pas la remise de 10 % qui m'avait été promise lors de mon précédent achat. Je vous joins une capture de votre message de l'époque.

Merci d'avance pour votre aide, et bonne journée à toute l'équipe.

Alice Martin"""

HTML = """<div style="color:#333"><p>Bonjour,</p><p>Je reviens vers vous au sujet de <b>ma commande</b>.</p>
<script>alert(1)</script><img src="https://tracker.example/pixel.gif"><p><a href="https://shop.example/suivi">Suivi</a></p></div>"""


def seed(store: Store, now: datetime | None = None) -> dict[str, str]:
    """Fill an empty database; returns the keys tests look for."""
    now = now or datetime.now(UTC)
    with store.write() as connection:
        rows = Braid(connection, now)
        keys = {"password": PASSWORD, "token": add_token(connection, "tests", ["admin"], now)}
        add_login(connection, "camille", hash_password(PASSWORD), "admin", now)
        add_login(connection, "lecture", hash_password(PASSWORD), "editor", now)
        answers = _answers(rows)
        keys |= _alice(rows, answers)
        _others(rows, answers)
        _crowd(rows)
        _trouble(rows)
    return keys


def _answers(rows: Braid) -> dict[str, int]:
    return {
        "late": rows.answer(
            "colis-en-retard",
            fr=("Mon colis est en retard, que faire ?", "Bonjour,\n\nVotre colis est suivi : dès qu'il bouge, vous le voyez sur la page de suivi. S'il n'a pas bougé depuis trois jours ouvrés, nous ouvrons une enquête auprès du transporteur et vous renvoyons l'article sans frais.\n\nBien à vous,"),
            en=("My parcel is late", "Hello,\n\nYour parcel is tracked. If it has not moved for three working days, we open an enquiry with the carrier and send the item again at no cost.\n\nKind regards,"),
        ),
        "invoice": rows.answer("facture-corrigee", fr=("Ma facture est fausse", "Bonjour,\n\nNous corrigeons votre facture et vous l'envoyons dans la journée.\n\nBien à vous,")),
        "cancel": rows.answer("annuler", fr=("Annuler ma commande", "Bonjour,\n\nTant que la commande n'est pas expédiée, vous pouvez l'annuler depuis votre compte, rubrique « Mes commandes ».\n\nBien à vous,"), en=("Cancel my order", "Hello,\n\nAs long as the order has not been shipped you can cancel it from your account.\n\nKind regards,")),
        "return": rows.answer("retour-30-jours", fr=("Retourner un article", "Bonjour,\n\nVous avez 30 jours pour retourner un article. L'étiquette est gratuite.\n\nBien à vous,"), en=("Return an item", "Hello,\n\nYou have 30 days to return an item; the label is free.\n\nKind regards,")),
        "size": rows.answer("guide-des-tailles", fr=("Quelle taille choisir ?", "Bonjour,\n\nNotre guide des tailles est sur chaque page article.\n\nBien à vous,")),
    }  # fmt: skip


def _alice(rows: Braid, answers: dict[str, int]) -> dict[str, str]:
    mail, phone, crm = rows.customer(
        "Alice Martin",
        ("email", "alice.martin@customer.example"),
        ("phone", "+33199001234"),
        ("crm", "C-1042"),
        segment="Fidèle",
    )
    rows.insert(profile, instance="clients", identity_id=mail, remote_id="C-1042", name="Alice Martin", segment="Fidèle", language="fr", url="https://crm.example/c/1042", facts={"ville": "Lyon", "cliente depuis": "2021"}, fetched_at=rows.ago(20))  # fmt: skip
    for other, evidence in ((phone, "CRM : même fiche C-1042"), (crm, "CRM : même fiche C-1042")):
        rows.insert(
            link,
            identity_id=mail,
            other_id=other,
            kind="join",
            strength="verified",
            evidence=evidence,
            by="clients",
            at=rows.ago(60 * 24 * 8),
        )
    rows.shop_order("CMD-2026-0042", "Expédiée", [("email", "alice.martin@customer.example")], article="Lampe « Aube », laiton", transporteur="Colis Rapide", montant="129,00 €")  # fmt: skip
    nadia = rows.agent("Nadia Belkacem")
    old = rows.case(
        "TR-2026-000087",
        mail,
        rows.ago(60 * 24 * 9),
        subject="Facture de juillet",
        state="closed",
        answered_at=rows.ago(60 * 24 * 9 - 90),
        answered_on="rt",
        answered_by=nadia,
    )
    m = rows.message(
        mail,
        "Bonjour, je n'ai pas reçu la facture de ma commande de juillet. Pouvez-vous me l'envoyer ?\nMerci, Alice",
        rows.ago(60 * 24 * 9),
        case_id=old,
        subject="Facture de juillet",
        sender="alice.martin@customer.example",
        sender_name="Alice Martin",
        proof_reason="DMARC pass (mx.shop.example)",
    )
    rows.suggestion(
        old,
        m,
        answers["invoice"],
        1,
        0.83,
        title="Ma facture est fausse",
        text="Bonjour,\n\nNous corrigeons votre facture…",
        outcome="edited",
        similarity=0.71,
    )
    rows.message(
        mail,
        "Bonjour Alice,\n\nVoici votre facture en pièce jointe. Pour la prochaine commande, une remise de 10 % vous attend.\n\nNadia",
        rows.ago(60 * 24 * 9 - 90),
        direction="out",
        instance="rt",
        case_id=old,
        agent_id=nadia,
        sender_name="Nadia Belkacem",
        state="sent",
        subject="Re: Facture de juillet",
    )

    case = rows.case(
        "TR-2026-000123",
        mail,
        rows.ago(60 * 27),
        subject="Commande CMD-2026-0042 toujours pas livrée",
        acknowledged_at=rows.ago(60 * 27 - 1),
        suggested_at=rows.ago(60 * 27 - 1),
    )
    first = rows.message(
        mail,
        LONG,
        rows.ago(60 * 27),
        case_id=case,
        subject="Commande CMD-2026-0042 toujours pas livrée",
        sender="alice.martin@customer.example",
        sender_name="Alice Martin",
        proof_reason="DKIM aligned, DMARC pass (mx.shop.example)",
        html=HTML,
        raw=_mail_raw(rows),
    )
    rows.order_on(first, "CMD-2026-0042", "verified")
    _attachments(rows, first)
    rows.insert(message_copy, raw_id=rows.raw("ventes"), message_id=first, instance="ventes")
    for rank, (key, score, outcome) in enumerate((("late", 0.91, ""), ("cancel", 0.62, ""), ("invoice", 0.38, "")), 1):
        title, text = _wording(rows, answers[key])
        rows.suggestion(case, first, answers[key], rank, score, title=title, text=text, outcome=outcome)
    ack = rows.message(
        mail,
        "Bonjour Alice Martin,\n\nNous avons bien reçu votre message. Il porte le numéro TR-2026-000123 ; gardez-le dans l'objet si vous nous récrivez.\n\nLa Boutique",
        rows.ago(60 * 27 - 1),
        direction="out",
        case_id=case,
        automatic="acknowledgement",
        state="sent",
        subject="[TR-2026-000123] Commande CMD-2026-0042 toujours pas livrée",
        sender_name="La Boutique",
    )
    rows.event(
        phone,
        "call",
        rows.ago(60 * 26),
        title="",
        direction="in",
        agent_id=nadia,
        data={"from": "+33199001234", "duration": 254, "queue": "Livraisons"},
    )
    rows.insert_ref(case, "rt", "4711")
    for instance, ability, message, state in (
        ("rt", "save_case", first, "done"),
        ("rt", "show", first, "done"),
        ("support", "send", ack, "done"),
    ):
        rows.delivery(
            instance,
            ability,
            state,
            case_id=case,
            message_id=message,
            at=rows.ago(60 * 27 - 1),
            result="4711" if instance == "rt" else "<ack-123@shop.example>",
        )
    second = rows.message(
        mail,
        "Toujours rien ce matin. Le transporteur dit que le colis est « perdu ».",
        rows.ago(190),
        case_id=case,
        subject="Re: [TR-2026-000123] Commande CMD-2026-0042 toujours pas livrée",
        sender="alice.martin@customer.example",
        sender_name="Alice Martin",
        proof_reason="DKIM aligned, DMARC pass (mx.shop.example)",
        text_whole="Toujours rien ce matin. Le transporteur dit que le colis est « perdu ».\n\n> Nous avons bien reçu votre message.",
    )
    title, text = _wording(rows, answers["late"])
    rows.suggestion(case, second, answers["late"], 1, 0.88, title=title, text=text, outcome="used", similarity=0.97)
    title, text = _wording(rows, answers["return"])
    rows.suggestion(case, second, answers["return"], 2, 0.41, title=title, text=text, outcome="ignored")
    rows.delivery("rt", "add_message", "done", case_id=case, message_id=second, at=rows.ago(189), result="txn 90211")
    rows.message(
        mail,
        "Bonjour Alice,\n\nVotre colis est suivi : il n'a pas bougé depuis trois jours ouvrés, nous vous renvoyons donc la lampe sans frais. Elle arrive vendredi.\n\nNadia",
        rows.ago(150),
        direction="out",
        instance="rt",
        case_id=case,
        agent_id=nadia,
        sender_name="Nadia Belkacem",
        state="sent",
        subject="Re: Commande CMD-2026-0042",
    )
    form = rows.case(
        "TR-2026-000129",
        mail,
        rows.ago(64),
        instance="contact",
        subject="Changer l'adresse de livraison",
        proof="claimed",
        acknowledge_reason="an open form is a claim: anybody can type anybody's address into it",
    )
    claim = rows.message(
        mail,
        "Bonjour, pouvez-vous livrer CMD-2026-0042 à mon travail plutôt : 12 rue des Tanneurs, Lyon ?",
        rows.ago(64),
        instance="contact",
        case_id=form,
        subject="Changer l'adresse de livraison",
        sender="alice.martin@customer.example",
        sender_name="Alice Martin",
        proof="claimed",
        proof_reason="an open form is a claim",
        acknowledge_reason="an open form is a claim",
    )
    rows.order_on(claim, "CMD-2026-0042", "claimed")
    title, text = _wording(rows, answers["cancel"])
    rows.suggestion(form, claim, answers["cancel"], 1, 0.57, title=title, text=text)
    rows.delivery(
        "rt",
        "save_case",
        "waiting",
        case_id=form,
        message_id=claim,
        at=rows.ago(63),
        attempts=3,
        due_at=rows.now + timedelta(seconds=40),
        reason="no answer within 30 s",
    )
    return {"case": "TR-2026-000123", "order": "CMD-2026-0042", "email": "alice.martin@customer.example"}


def _wording(rows: Braid, answer_id: int) -> tuple[str, str]:
    from hub.store.answers import variant

    row = rows.connection.execute(
        sa.select(variant.c.title, variant.c.text).where(variant.c.answer_id == answer_id)
    ).first()
    assert row is not None
    return row.title, row.text


PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def _mail_raw(rows: Braid) -> int:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "alice.martin@customer.example", "support@shop.example", "Commande"
    mail.set_content(LONG)
    mail.add_attachment(PICTURE, maintype="image", subtype="png", filename="capture d'écran.png")
    return rows.raw("support", mail.as_bytes(), rows.ago(60 * 27))


def _attachments(rows: Braid, message: int) -> None:
    digest = hashlib.sha256(PICTURE).hexdigest()
    rows.insert(
        attachment,
        message_id=message,
        name="capture d'écran.png",
        content_type="image/png",
        size=len(PICTURE),
        sha256=digest,
        inline=False,
        part=2,
    )
    rows.file(message, "facture-2026-07-114.pdf", "application/pdf", 183_442, 3)


def _others(rows: Braid, answers: dict[str, int]) -> None:
    (john,) = rows.customer(
        "John Whitfield", ("email", "john.whitfield@customer.example"), language="en", segment="Pro"
    )
    case = rows.case("TR-2026-000127", john, rows.ago(95), subject="Cancel my order", language="en")
    m = rows.message(
        john,
        "Hi there,\n\nplease cancel order CMD-2026-0057, I ordered the wrong colour.\n\nThanks,\nJohn",
        rows.ago(95),
        case_id=case,
        subject="Cancel my order",
        sender="john.whitfield@customer.example",
        sender_name="John Whitfield",
        language="en",
        proof_reason="SPF aligned",
    )
    rows.order_on(m, "CMD-2026-0057", "claimed")
    rows.suggestion(
        case,
        m,
        answers["cancel"],
        1,
        0.94,
        title="Cancel my order",
        text="Hello,\n\nAs long as the order has not been shipped you can cancel it from your account.",
        language="en",
    )
    ack = rows.message(
        john,
        "Hello John Whitfield,\n\nthank you for your message. Its number is TR-2026-000127.",
        rows.ago(94),
        direction="out",
        case_id=case,
        automatic="acknowledgement",
        state="unsure",
        subject="[TR-2026-000127] Cancel my order",
        sender_name="La Boutique",
        language="en",
    )
    rows.delivery(
        "support",
        "send",
        "unsure",
        case_id=case,
        message_id=ack,
        at=rows.ago(94),
        reason="the hub ended while it was being sent",
    )
    (maria,) = rows.customer("María José Carmona", ("email", "mj.carmona@customer.example"), language="es")
    case = rows.case("TR-2026-000128", maria, rows.ago(80), subject="¿Dónde está mi pedido?", language="es")
    m = rows.message(
        maria,
        "Buenos días:\n\nMi pedido CMD-2026-0061 no ha llegado. ¿Pueden decirme dónde está?\n\nUn saludo,\nMaría José",
        rows.ago(80),
        case_id=case,
        subject="¿Dónde está mi pedido?",
        sender="mj.carmona@customer.example",
        sender_name="María José Carmona",
        language="es",
    )
    rows.delivery(
        "rt",
        "save_case",
        "rejected",
        case_id=case,
        message_id=m,
        at=rows.ago(79),
        reason="Request Tracker refuses ticket with 422: Invalid value for Queue",
        attempts=1,
    )
    rows.delivery(
        "rt",
        "show",
        "held",
        case_id=case,
        message_id=m,
        at=rows.ago(79),
        reason="waits until the case could be created over there; replay that first",
    )
    rows.message(
        maria,
        "Estoy fuera de la oficina hasta el lunes.",
        rows.ago(40),
        subject="Respuesta automática",
        automatic="Auto-Submitted: auto-replied",
        language="es",
        sender="mj.carmona@customer.example",
        sender_name="María José Carmona",
    )


def _crowd(rows: Braid) -> None:
    names = [
        "Inès Rousseau",
        "Paul Lefèvre",
        "Chloé Bonnet",
        "Marc-Antoine de la Villardière-Saint-Cyr",
        "Olivia Hart",
        "Tomás Herrera",
        "Léa Garnier",
        "Hugo Masson",
        "Emma Leroy",
        "Karim Haddad",
        "Sofía Núñez",
        "George Pell",
    ]
    for n, name in enumerate(names):
        (who,) = rows.customer(
            name,
            (
                "email",
                f"{name.split()[0].lower().replace('é', 'e').replace('è', 'e').replace('í', 'i')}{n}@customer.example",
            ),
        )
        case = rows.case(
            f"TR-2026-{130 + n:06}", who, rows.ago(100 + n * 97), state=("open", "answered", "closed")[n % 3]
        )
        rows.message(
            who,
            "Bonjour, quelle taille dois-je prendre ?",
            rows.ago(100 + n * 97),
            case_id=case,
            subject="Taille",
            sender_name=name,
        )
        if n % 3:
            rows.message(
                who,
                "Bonjour, prenez votre taille habituelle.",
                rows.ago(60 + n * 97),
                case_id=case,
                direction="out",
                state="sent",
                sender_name="Nadia Belkacem",
            )
        if n % 4 == 0:
            rows.event(who, "call", rows.ago(50 + n * 97), data={"duration": 61 + n})
        rows.delivery("rt", "save_case", "done", case_id=case, at=rows.ago(100 + n * 97), result=f"{4712 + n}")


def _trouble(rows: Braid) -> None:
    for bomb, reason in (
        (b"From: x@customer.example\r\nSubject: =?x?q?bomb\r\n\r\n" + bytes(range(200)) * 20, "more than 1000 parts"),
        (b"{broken json", "these bytes are no entry of this form"),
    ):
        raw = rows.raw("support" if bomb.startswith(b"From") else "contact", bomb, rows.ago(33))
        rows.insert(
            step,
            raw_id=raw,
            stage="read",
            state="kept",
            instance="support",
            attempts=1,
            due_at=rows.ago(33),
            reason=reason,
        )
    rows.health("support", "green")
    rows.health("contact", "green")
    rows.health("phones", "green")
    rows.health(
        "rt",
        "amber",
        "no answer within 30 s",
        failures=3,
        since=rows.ago(12),
        retry_at=rows.now + timedelta(seconds=40),
        seen_at=rows.ago(13),
    )
    rows.health("answers", "green")
    rows.health(
        "ventes",
        "red",
        "imap.shop.example:993 refuses the login of ventes: AUTHENTICATIONFAILED",
        since=rows.ago(42),
        seen_at=rows.ago(43),
    )
    rows.alert("instance:ventes", "imap.shop.example:993 refuses the login of ventes: AUTHENTICATIONFAILED", "ventes")
    rows.alert(
        "unsure:support",
        "It is unsure whether some deliveries to support went out; look at them and decide.",
        "support",
    )
