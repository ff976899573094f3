"""How letters begin and end in French, English and Spanish: patterns only, for `question`.

Every pattern is anchored, and one that may match anything stands last and once: inside a
repetition it would try every way to cut a hostile sentence.
"""

import re

_NAMES = r"(?:[ ,]+(?:{titles}))*(?:[ ,]+[^\W\d_][\w.'’-]*){{0,3}}"


def _greetings(words: str, titles: str) -> str:
    return rf"(?:{words}){_NAMES.format(titles=titles)}"


GREETING = re.compile(
    "^(?:"
    + "|".join(
        (
            _greetings(
                r"bonjour|bonsoir|salut|coucou|madame|monsieur|mesdames|messieurs|cher|chère|chers",
                r"à (?:tous|toutes|vous)|tout le monde|madame|monsieur|mesdames|messieurs|m\.|mme|mlle|et|ou|"
                r"l['’]équipe",
            ),
            _greetings(
                r"hello|hi|hey|dear|good (?:morning|afternoon|evening|day)|greetings|to whom it may concern",
                r"there|all|everyone|team|sir|madam|sirs|mr\.?|mrs\.?|ms\.?|or|and|customer (?:service|support)",
            ),
            _greetings(
                r"hola|buenos d[ií]as|buenas(?: tardes| noches)?|estimad[oa]s?|querid[oa]s?|saludos",
                r"a todos|todos|señora?s?|sra?\.?|sres\.?|equipo|y|o|amig[oa]s?",
            ),
        )
    )
    + r")\s*(?:[,!.:;\n]+|$)\s*",
    re.IGNORECASE,
)

# Said to be polite, whole sentences of it. Compared without punctuation.
POLITE = re.compile(
    r"^(?:"
    # fr
    r"(?:je vous (?:en )?|avec |en vous )?(?:remerci\w*|merci)"
    r"(?: (?:bien|beaucoup|infiniment|vivement|d['’ ]?avance|par avance|à vous|vous))*"
    r"(?: (?:pour (?:votre|vos|tout)|de votre (?:aide|réponse|retour|compréhension|attention))\b[^.?!]{0,60})?"
    r"|dans l['’ ]attente de [^.?!]{0,80}"
    r"|(?:en|dans) (?:vous )?(?:espérant|souhaitant) [^.?!]{0,80}"
    r"|j['’ ]?espère que vous allez bien\b.{0,30}"
    r"|(?:je vous prie|veuillez|nous vous prions|je vous serais)[^.?!]{0,40}(?:agréer|croire|recevoir)[^.?!]{0,120}"
    r"|(?:bonne|belle|excellente) (?:journée|soirée|semaine|fin de \w+|réception)(?: à (?:vous|tous))?"
    r"|(?:je reste|restant|nous restons) à votre (?:entière )?disposition[^.?!]{0,80}"
    r"|s['’ ]il vous pla[iî]t|svp|à bientôt|au revoir|au plaisir de vous lire"
    # en
    r"|(?:many |a lot of )?(?:thanks|thank you|thx|cheers)"
    r"(?: (?:so much|very much|a lot|again|and|in advance|in anticipation|you))*"
    r"(?: for (?:your|any|the|all)\b[^.?!]{0,60})?"
    r"|(?:i |we )?(?:am |are )?look(?:ing)? forward to [^.?!]{0,80}"
    r"|(?:i )?hope (?:you(?:['’]re| are)|this (?:mail|email|message) finds you|all is|everything is) [^.?!]{0,40}"
    r"|have a (?:nice|good|great|lovely) (?:day|evening|weekend|week)[^.?!]{0,20}"
    r"|please (?:do )?(?:not hesitate|feel free)[^.?!]{0,80}|please advise|please"
    # es
    r"|(?:muchas |mil )?gracias(?: (?:de antemano|por adelantado|y|un saludo))*"
    r"(?: por (?:su|vuestra|tu|la|todo)\b[^.?!]{0,60})?"
    r"|(?:le|les|os|te) agradezco (?:de antemano|su (?:ayuda|atención|respuesta))[^.?!]{0,60}"
    r"|(?:quedo|quedamos) a la espera[^.?!]{0,80}|(?:espero|esperamos) (?:su|vuestra|tu) respuesta[^.?!]{0,40}"
    r"|espero que (?:todo|esté|estés)[^.?!]{0,40}|por favor|que (?:tenga|tengan|tengas) (?:un )?buen[^.?!]{0,30}"
    r"|buen d[ií]a|hasta pronto"
    r")$",
    re.IGNORECASE,
)

# A line that closes a letter: what follows, if short, is a signature.
CLOSING = re.compile(
    r"^(?:(?:bien |très |trés )?cordialement|cdlt|cdt|bien à vous|sincèrement|respectueusement|amicalement|"
    r"(?:mes |nos )?(?:sincères |meilleures |cordiales |respectueuses )?salutations(?: \w+)*|"
    r"(?:kind|best|warm|many) regards|(?:kindest|warmest) regards|regards|best(?: wishes)?|sincerely(?: yours)?|"
    r"yours (?:sincerely|faithfully|truly)|cheers|all the best|"
    r"(?:un |muchos )?(?:cordial(?:es)? )?saludos?(?: cordial(?:es)?)?|atentamente|atte|cordialmente|un abrazo)"
    r"(?:[ ,]+[^\W\d_][\w.'’-]*){0,3}$",
    re.IGNORECASE,
)

THANKS_LINE = re.compile(
    r"^(?:merci|thanks|thank you|gracias)(?: (?:d['’ ]?avance|in advance|beaucoup|muchas))?$", re.IGNORECASE
)

# From here on it is a machine or a lawyer who speaks.
END = re.compile(
    r"^(?:-- ?$|_{5,}|-{5,}|envoyé (?:de|depuis) (?:mon|ma|outlook|yahoo|l['’]app)|télécharge[rz] outlook|"
    r"sent (?:from|with|via) (?:my|outlook|yahoo|mail|the|a)|get outlook|enviado (?:desde|con) (?:mi|outlook|yahoo|el)|"
    r"(?:ce|cet) (?:message|e-?mail|courriel|courrier)[^.]{0,80}(?:confidentiel|destiné|strictement)|"
    r"(?:this|the) (?:message|e-?mail|information)[^.]{0,100}(?:confidential|intended|privileged)|"
    r"este (?:mensaje|correo)[^.]{0,80}(?:confidencial|dirigid|destinad)|"
    r"(?:avant d['’]imprimer|pensez à l['’]environnement|please consider the environment|antes de imprimir))",
    re.IGNORECASE,
)

HELLO = re.compile(r"^(?:bonjour|bonsoir|hello|hi|hey|hola)\b[ ,]*", re.IGNORECASE)
