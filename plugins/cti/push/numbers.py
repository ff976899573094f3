"""Phone numbers as phone systems push them: mostly E.164 that lost its "+", sometimes as dialled."""

from __future__ import annotations

import phonenumbers

from hub.rules.identities import canonical
from hub.sdk import Identity

_WITHHELD = frozenset(
    ("anonymous", "blocked", "hidden", "none", "null", "private", "restricted", "unavailable", "unknown", "withheld")
)

_NO_EXTENSION = 10
"""From so many digits on a number is no extension inside a phone system."""


def is_withheld(written: str) -> bool:
    """Whether the caller hides the number (CLIR), or the network did not pass it on."""
    return not any(c.isalnum() for c in written) or _user_part(written).lower() in _WITHHELD


def _user_part(written: str) -> str:
    """``0612345678`` out of ``sip:0612345678@pbx.example``."""
    return written.strip().removeprefix("sip:").removeprefix("tel:").partition("@")[0]


def e164(written: str, number_format: str, country: str) -> str:
    """The number with "+", or an empty string for an extension or anything else that is no number.

    A "+" or a leading zero says by itself how to read the rest: no country code begins with 0.
    """
    user = _user_part(written)
    if any(c.isalpha() for c in user):
        return ""
    number = "".join(c for c in user if c in "+0123456789")
    if number.startswith("+"):
        return _usable(number, country)
    if number.startswith("00"):
        return _usable("+" + number[2:], country) or _usable(number, country)
    if number.startswith("0") or number_format == "national":
        return _usable(number, country)
    if number_format == "international":
        return _usable("+" + number, country)
    # Both readings may be possible: one that the number plan knows counts first. It lags behind new
    # ranges and leaves out the numbers set aside for examples, so the only reading counts as well.
    readings = list(dict.fromkeys(r for r in (_usable("+" + number, country), _usable(number, country)) if r))
    known = [r for r in readings if phonenumbers.is_valid_number(phonenumbers.parse(r))]
    only = readings if len(readings) == 1 and len(number) >= _NO_EXTENSION else []
    return next(iter(known + only), "")


def _usable(number: str, country: str) -> str:
    found = canonical(Identity("phone", number), country)
    return found.value if found else ""


def customer_of(written: str, number_format: str, country: str, instance: str, call: str) -> Identity:
    """Whom a call was with.

    Two callers who hide their number are not the same person: each such call is its own identity.
    An extension or a SIP name means something inside its own phone system only.
    """
    if is_withheld(written):
        return Identity("handle", f"withheld:{instance}:{call}")
    number = e164(written, number_format, country)
    if number:
        return Identity("phone", number)
    return canonical(Identity("handle", f"{instance}:{written}"), country) or Identity(
        "handle", f"withheld:{instance}:{call}"
    )
