"""The words mail programs put around quoted text and signatures, by language, for `quoting`.

Ours, from what Gmail, Outlook, Apple Mail, Thunderbird, Yahoo and web mailers write in French,
English, Spanish, German, Italian, Dutch, Portuguese and Polish, with the Nordic, Japanese and
Chinese ones that cost a word each. Every pattern runs on lines of bounded length.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _any(*groups: str) -> str:
    return "(?:" + "|".join(groups) + ")"


WROTE = re.compile(
    r"\b"
    + _any(
        r"wrote|writes",
        r"a [eé]crit|[eé]crit",
        r"schrieb(?:en)?|hat(?: [^:]{0,80}?)? geschrieben",
        r"escribi[oó]|escribe",
        r"ha(?:nno)? scritto|scrive",
        r"schreef|heeft(?: [^:]{0,80}?)? geschreven",
        r"escreveu|escreve",
        r"napisa(?:ł\(a\)|łam|łem|ła|ł|l)|pisze",
        r"skrev|skriver|kirjoitti",
    )
    + r"(?!\w)|写道|寫道|のメール",
    re.IGNORECASE,
)
"""The verb of an attribution: "On Monday, Anna wrote:"."""

BEGINS = re.compile(
    r"\W{0,3}(?:(?:on|le|el|il|am|op|em|w dniu|dnia|den|på|kl|da|von|de)\b|[^\W\d_]{2,9}[.,]? \d|\d)", re.IGNORECASE
)
"""How the first line of an attribution begins: a preposition, a weekday, a number."""

SENDER = (
    "from|de|von|da|van|od|från|fra|expéditeur|absender|remitente|mittente|afzender|remetente|nadawca|发件人|差出人"
)
SENT = (
    "sent|envoyé(?: le)?|gesendet|enviad[oa](?: el| em)?|inviato|verzonden|wysłan[oey]|skickat|sendt|发送时间|送信日時"
)
DATE = "date|datum|fecha|data|dato"
SUBJECT = "subject|objet|betreff|asunto|oggetto|onderwerp|assunto|temat|ämne|emne|主题|件名"
OTHERS = (
    "to|à|a|an|para|aan|do|till|til|cc|bcc|cci|copie|copia|kopie|kopia|dw|reply-to|répondre à|destinataire"
    "|importance|priorité|attachments|pièces jointes|anlagen|收件人|宛先"
)
FIELD = re.compile(
    rf"[\s*_]{{0,4}}(?:(?P<sender>{SENDER})|(?P<sent>{SENT})|(?P<date>{DATE})|(?P<subject>{SUBJECT})|(?P<other>{OTHERS}))"
    r"[\s*_]{0,3}[:：](?!//)",
    re.IGNORECASE,
)
"""A line of the header block that Outlook and its kin put above a quoted mail."""

_ORNAMENT = r"[-_=*~\s]*"
ORIGINAL = re.compile(
    _ORNAMENT
    + _any(
        r"original (?:message|appointment)",
        r"message d['’]origine|message original",
        r"ursprüngliche nachricht|original-?nachricht",
        r"mensaje original",
        r"messaggio originale",
        r"oorspronkelijk bericht|origineel bericht",
        r"mensagem original",
        r"wiadomość oryginalna|oryginalna wiadomość",
        r"original-?meddelande|ursprungligt meddelande|oprindelig meddelelse|opprinnelig melding|alkuperäinen viesti",
    )
    + r"[-_=*~\s:]*",
    re.IGNORECASE,
)
FORWARDED = re.compile(
    _ORNAMENT
    + _any(
        r"(?:begin )?forwarded message",
        r"(?:début du )?message (?:transféré|réexpédié)",
        r"(?:anfang der )?weitergeleiteten? nachricht",
        r"(?:inicio del )?mensaje reenviado",
        r"(?:inizio )?messaggio inoltrato",
        r"(?:begin )?doorgestuurd bericht",
        r"(?:início da )?mensagem (?:re)?encaminhada",
        r"(?:początek )?przekazan(?:ej|a) wiadomoś(?:ci|ć)",
        r"vidarebefordrat (?:brev|meddelande)|videresendt meddelelse",
    )
    + r"[-_=*~\s:]*",
    re.IGNORECASE,
)

DEVICE = re.compile(
    _any(
        r"(?:sent|written) (?:from|via|using|with)",
        r"envoy(?:é|e|ez) (?:de|depuis|à partir de|avec|via)",
        r"von mein\w+|gesendet (?:von|mit|aus|über)|diese nachricht wurde von",
        r"enviado (?:desde|con|do|da|a partir d[eo]|de|pelo|via)",
        r"inviato (?:da|dal|dalla|con|tramite)",
        r"(?:verstuurd|verzonden) (?:vanaf|met|via|vanuit)",
        r"wysłan[eoay] (?:z|ze|przy)",
        r"skickat från|sendt fra|lähetetty",
        r"(?:get|download|télécharge[rz]|obten(?:ez|er)|descargar|holen sie sich|scarica|obter|pobierz) outlook",
        r"outlook (?:for|pour|para|für|per|voor|dla) (?:ios|android)",
    )
    + r"\b",
    re.IGNORECASE,
)
"""A telephone signs in one line that begins so, and names itself:"""
GADGET = re.compile(
    r"\b(?:my|mon|ma|mi|mein\w*|mijn|meu|minha|mio|min|mojego|iphone\w*|ipad\w*|android|samsung|galaxy|huawei|xiaomi|redmi"
    r"|nokia|blackberry|smartphone\w*|mobile|téléphone|telefon\w*|tablet\w*|phone|handy|outlook|e?-?mail|courriel|yahoo"
    r"|gmail|proton\w*|orange|windows|appli(?:cation)?|app)\b",
    re.IGNORECASE,
)

CLOSING_WORDS = _words(
    """regards wishes best sincerely yours cheers faithfully truly
    cordialement amicalement sincèrement salutations respectueusement cdlt cdt bàv
    grüße grüßen gruß grüsse grüssen gruss mfg lg vg hochachtungsvoll
    saludos saludo atentamente atte cordialmente abrazo
    saluti saluto
    groet groeten groetjes mvg hoogachtend
    cumprimentos atenciosamente saudações abraço abraços att
    pozdrawiam pozdrowieniami poważaniem powazaniem szacunkiem pozdrowienia
    hälsning hälsningar hilsen hilsner mvh kh vh dbh"""
)
"""One of these makes a short line a closing formula,"""
CLOSING_COMPANY = _words(
    """with best kind kindest warm warmest many very thanks thank you and & the all
    bien très trés mes nos avec meilleures sincères cordiales distinguées respectueuses à vous toi merci et
    mit freundlichen freundlichem freundlicher freundliche besten beste bester herzlichen herzliche herzlichem lieben
    liebe viele vielen schöne schönen aus dank
    un una cordial cordiales afectuoso afectuosos muchos muy gracias y
    cordiali distinti cari tanti un grazie e
    met vriendelijke hartelijke beste vriendelijk bedankt en
    com os melhores obrigado obrigada atenciosos
    serdecznie z wyrazami dziękuję i
    med bästa vänliga vänlig venlig venlige vennlig mange de bedste"""
)
"""where every other word is one of these. Thanks alone are no formula: they may be news."""

LIST_FOOTER = re.compile(
    r"mailing[- ]?list|listinfo|unsubscribe|désabonne|désinscri|abbestellen|abmelden|darse de baja|cancellati|afmelden"
    r"|google groups|mailinglist",
    re.IGNORECASE,
)
AFTERTHOUGHT = re.compile(r"(?:p\.?\s?-?s\b|n\.?b\b|edit\b|post[- ]?scriptum)", re.IGNORECASE)
PARTICLES = _words("de van der den von zu di da del della do dos la le du af")
