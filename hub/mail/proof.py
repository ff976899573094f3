"""Who really sent it: `Authentication-Results` of the servers we trust (RFC 8601).

A From line is a claim. A stranger can write an `Authentication-Results` header too, so only the
topmost one of each trusted server counts: what a mail brings along stands below what our own
server put on top (and RFC 8601, section 5, has that server remove forgeries of its name).
Reasons quote the headers, so they read the same in every language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from hub.mail.addresses import Address
from hub.sdk import Proof

_COMMENT = re.compile(r"\([^()]*+\)")
_QUOTED = re.compile(r"\"([^\"]*+)\"")
_METHOD = re.compile(r"\s*([a-z][a-z0-9-]*)\s*(?:/\s*\d+\s*)?=\s*([a-z]+)", re.IGNORECASE)
_PROPERTY = re.compile(r"\b([a-z]+\.[a-z0-9-]+)\s*=\s*(\S+)", re.IGNORECASE)
_LIMIT = 8192
"""Characters of one header looked at."""


class Verdict(NamedTuple):
    """Proof of the sender and the header that says so."""

    proof: Proof
    reason: str


def prove(results: Sequence[str], senders: Sequence[Address], trusted: Sequence[str]) -> Verdict:
    """`results` are the unfolded Authentication-Results values, topmost first; `senders` all of From."""
    if len(senders) != 1 or "@" not in senders[0].email:
        # With several authors a server may have checked one while people see the other.
        return Verdict(Proof.CLAIMED if senders else Proof.NONE, "From: " + ", ".join(s.email for s in senders[:3]))
    if not trusted:
        return Verdict(Proof.CLAIMED, "Authentication-Results: -")
    domain = _domain(senders[0].email)
    said: list[str] = []
    unheard = {t.lower() for t in trusted}
    for value in results:
        server, methods = _split(value[:_LIMIT])
        if server not in unheard:
            continue
        unheard.discard(server)
        for method in methods:
            evidence = _evidence(method, domain)
            if evidence:
                return Verdict(Proof.VERIFIED, f"{evidence} ({server})")
            if found := _METHOD.match(method):
                said.append(f"{found[1].lower()}={found[2].lower()}")
    servers = ", ".join(t.lower() for t in trusted)
    return Verdict(Proof.CLAIMED, f"Authentication-Results: {', '.join(said[:6]) or '-'} ({servers})")


def _split(value: str) -> tuple[str, list[str]]:
    for _ in range(5):  # comments nest; no server nests them deeper
        if "(" not in value:
            break
        value = _COMMENT.sub(" ", value)
    server, *methods = _QUOTED.sub(r"\1", value).split(";")
    # A version number may follow the server's name (RFC 8601, section 2.2).
    return (server.split() or [""])[0].lower(), methods


def _evidence(method: str, domain: str) -> str:
    """What proves the From domain, in the header's own words; empty where nothing does."""
    found = _METHOD.match(method)
    if not found or found[2].lower() != "pass":
        return ""
    name = found[1].lower()
    properties = {k.lower(): v for k, v in _PROPERTY.findall(method)}
    if name == "dmarc":
        checked = properties.get("header.from", domain)
        return f"dmarc=pass header.from={domain}" if _domain(checked) == domain else ""
    for key in {"dkim": ("header.d", "header.i"), "spf": ("smtp.mailfrom", "smtp.mail")}.get(name, ()):
        signer = _domain(properties.get(key, ""))
        if _aligned(signer, domain):
            return f"{name}=pass {key}={signer}"
    return ""


def _aligned(signer: str, domain: str) -> bool:
    """Equal, or a parent signs for its subdomain. The other way round would need the public suffix list."""
    return "." in signer and (signer == domain or domain.endswith("." + signer))


def _domain(address: str) -> str:
    return address.strip("<>.,").rpartition("@")[2].lower()
