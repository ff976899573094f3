"""The one form of each address of a customer, so that two spellings are one identity.

E-mail: case-folded, the domain in ASCII (IDNA, UTS 46). RFC 5321, section 2.4, lets a local part
be case-sensitive; no provider a customer uses is, and one customer split in two costs more.
The plus-tag stays: `alice+shop@` and `alice@` are two identities until evidence joins them.

Phone: E.164 by libphonenumber with the channel's country. A full name is never a key.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

import idna
import phonenumbers

from hub.sdk import Identity

NAME_LENGTH = 200
"""Characters kept of a display name; the column's width."""

_EMAIL_LENGTH = 320
_PLAIN_EMAIL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f.:]+\]")
_LITERAL = re.compile(r"\[(?:ipv6:)?([0-9a-f.:]+)\]")

_ROLE_NAMES = """
    abuse accounting accueil achats admin administracion administrateur administrator
    aide atencion ayuda bestellung billing boutique bureau buchhaltung careers clients clientes
    commande commandes commercial compras compta comptabilite contact contacto contactus
    customercare customerservice direction direccion enquiries facturacion facturation finance
    gerencia hello help helpdesk hello hola hostmaster hr info informacion information invoices
    jobs kontakt kundenservice legal livraison mail mailer-daemon marketing news newsletter
    noc noreply no-reply nepasrepondre ne-pas-repondre donotreply office oficina orders pedidos
    post postmaster presse press privacy purchasing reception recepcion reclamation reclamations
    recrutement rh root sales sav secretariat secretaria security service serviceclient
    service-client shop soporte support team tienda vente ventes ventas webmaster
"""
_ROLES = frozenset(_ROLE_NAMES.split())


def canonical(identity: Identity, country: str) -> Identity | None:
    """The canonical form of `identity`, or None when it cannot serve as an address.

    `country` (two letters) reads phone numbers written without a country code.
    """
    value = _CANONICAL.get(identity.kind, _other)(identity.value, country)
    return Identity(identity.kind, value, clean_name(identity.name)) if value else None


@lru_cache(maxsize=4096)
def email(value: str, _country: str = "") -> str:
    """The canonical e-mail address, or an empty string."""
    value = value.strip().lower()
    if _PLAIN_EMAIL.fullmatch(value):
        return value.rstrip(".") if len(value) <= _EMAIL_LENGTH and ".." not in value.rpartition("@")[2] else ""
    value = unicodedata.normalize("NFC", value.removeprefix("mailto:").strip("<>").casefold())
    local, _, domain = value.rpartition("@")
    domain = _ascii_domain(domain)
    if not local or not domain or len(local) + len(domain) >= _EMAIL_LENGTH or _has_junk(local):
        return ""
    return f"{local}@{domain}"


def _ascii_domain(domain: str) -> str:
    domain = domain.rstrip(".")
    literal = _LITERAL.fullmatch(domain)
    if literal:
        return f"[{literal[1]}]"
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            return ""
    return domain if _DOMAIN.fullmatch(domain) and ".." not in domain else ""


def _has_junk(local: str) -> bool:
    """White space and control characters only stand in a quoted local part, which nobody has."""
    return any(c.isspace() or unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in local) or local.count("@") > 0


@lru_cache(maxsize=4096)
def phone(value: str, country: str = "") -> str:
    """E.164 (``+33612345678``), or an empty string for short, hidden and impossible numbers."""
    value = value.strip().removeprefix("tel:")
    number = _parse(value, country)
    if number is None and value.startswith("00"):  # dialled abroad, where `country` dials otherwise
        number = _parse("+" + value[2:], country)
    return phonenumbers.format_number(_mobile(number), phonenumbers.PhoneNumberFormat.E164) if number else ""


def _parse(value: str, country: str) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(value, country.upper() or None)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_possible_number(number) else None


def _mobile(number: phonenumbers.PhoneNumber) -> phonenumbers.PhoneNumber:
    """Brazil put a 9 before its mobile numbers; WhatsApp and old address books still leave it out.

    https://en.wikipedia.org/wiki/Telephone_numbers_in_Brazil (the ninth digit, 2012 to 2016).
    """
    digits = str(number.national_number)
    if number.country_code != 55 or len(digits) != 10 or (digits[2] < "6" and phonenumbers.is_valid_number(number)):
        return number
    longer = phonenumbers.PhoneNumber(country_code=55, national_number=int(f"{digits[:2]}9{digits[2:]}"))
    return longer if phonenumbers.is_valid_number(longer) else number


def _handle(value: str, _country: str) -> str:
    handle = unicodedata.normalize("NFKC", value).strip().removeprefix("@").casefold()
    return handle if len(handle) <= _EMAIL_LENGTH and not _has_space(handle) else ""


def _other(value: str, _country: str) -> str:
    """A CRM's id means what the CRM says, capitals included."""
    value = value.strip()
    return value if len(value) <= _EMAIL_LENGTH else ""


def _has_space(value: str) -> bool:
    return any(c.isspace() or not c.isprintable() for c in value)


_CANONICAL: dict[str, Callable[[str, str], str]] = {"email": email, "phone": phone, "handle": _handle}


def clean_name(name: str) -> str:
    """A display name on one line, without control and direction marks, at most `NAME_LENGTH` characters."""
    if not name:
        return ""
    if not name.isprintable():
        name = "".join(c if c.isprintable() else " " for c in name)
    return " ".join(name.split())[:NAME_LENGTH]


def is_role(email: str) -> bool:
    """True for addresses several people share by their name (info@, support@): they never join customers."""
    local = email.partition("@")[0].partition("+")[0].lower()
    return local in _ROLES or local.replace(".", "-").replace("_", "-") in _ROLES
