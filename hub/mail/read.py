"""One mail's bytes to one Message: the only door in.

Pure and deterministic, so that it runs again years later on the stored bytes. Header fields that
strangers could use to steer the hub (X-Hub-*, X-Tresse-*) are not looked at, anywhere.

`Message.at` is the Date header; where it is missing, junk, or more than a day after `received`, it
is `facts["received"]` (ISO 8601, set by the transport), then the newest Received field, then 1970.
`Message.facts` are the given facts and ``to``, ``cc``, ``reply_to``: addresses joined by ", ".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from hub.mail import addresses, bodies, bounce, content, structure
from hub.mail.addresses import Address
from hub.mail.bodies import Bodies
from hub.mail.dates import parse_date
from hub.mail.headers import Headers, Unreadable
from hub.mail.proof import Verdict, prove
from hub.mail.references import message_id, references
from hub.rules import autoreply, quoting
from hub.rules.autoreply import Judgement
from hub.sdk import Attachment, Direction, Identity, Message, Proof

__all__ = ["Unreadable", "attachment", "read_mail"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)


def read_mail(
    data: bytes,
    *,
    trusted_authservs: Sequence[str] = (),
    own_domains: Sequence[str] = (),
    own_addresses: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
) -> Message:
    """Read a mail. Raises Unreadable where a cap is exceeded, and nothing else, whatever the bytes.

    `trusted_authservs` are the names our own servers use in Authentication-Results;
    `own_domains` the domains of our own Message-IDs; `own_addresses` the addresses we send from.
    """
    parts = structure.cut(data)
    headers = parts[0].headers
    body = bodies.collect(parts)
    senders = _senders(headers)
    sender = Identity("email", senders[0].email, senders[0].name) if senders else Identity("email", "")
    verdict = prove(headers.plains("authentication-results"), senders, trusted_authservs)
    judgement = _judge(headers, own_domains, own_addresses)
    unanswerable = _answerable(headers, sender, verdict, judgement)
    split = quoting.split(body.text)
    key = _content_key(data, headers, body)
    bounced = bounce.failed_recipients(parts, body.text, bounce=bool(judgement.automatic))
    named = references(headers.plain("references"), headers.plain("in-reply-to"))
    problems: list[str] = []
    return Message(
        direction=Direction.IN,
        sender=sender,
        customer=sender,
        at=_at(headers, (facts or {}).get("received", ""), problems),
        subject=headers.text("subject"),
        text=body.text,
        html=body.html,
        reply=split.reply,
        signature=split.signature,
        proof=verdict.proof,
        proof_reason=verdict.reason,
        automatic=judgement.automatic,
        may_acknowledge=not unanswerable,
        acknowledge_reason=unanswerable,
        message_id=message_id(headers.plain("message-id")) or f"<{key[:40]}@message-id.invalid>",
        references=tuple(dict.fromkeys([*named, *bounce.returned_ids(parts)])) if bounced else named,
        content_key=key,
        attachments=tuple(body.attachments),
        bounced=bounced,
        facts=_facts(headers, facts),
        problems=tuple(problems),
    )


def attachment(data: bytes, part: int) -> tuple[Attachment, bytes]:
    """Cut attachment `part` (its number from `read_mail`) out of a mail.

    Raises KeyError where the mail has no such part, and Unreadable as `read_mail` does.
    """
    parts = structure.cut(data)
    if not 0 <= part < len(parts) or parts[part].multipart:
        raise KeyError(part)
    contents = content.decoded(parts[part])
    return bodies.as_attachment(parts[part], contents), contents


def _senders(headers: Headers) -> list[Address]:
    """Everybody who claims to be the author; a mail without From is its sender's."""
    found = [a for value in headers.plains("from") for a in addresses.parse(value)]
    if found:
        # An address stands for its person; a lone name beside it adds nobody.
        return [a for a in found if a.email] or found[:1]
    for name in ("sender", "return-path", "reply-to"):
        if found := [a for a in addresses.parse(headers.plain(name)) if a.email]:
            return found[:1]
    return []


def _judge(headers: Headers, own_domains: Sequence[str], own_addresses: Sequence[str]) -> Judgement:
    names = headers.names()
    wanted = {n: headers.plains(n) for n in autoreply.HEADERS & names}
    wanted.update((n, headers.plains(n)) for n in names if n[:5] == "list-")
    if "=?" in headers.plain("subject"):
        wanted["subject"] = [headers.text("subject")]
    return autoreply.judge(wanted, own_domains=own_domains, own_addresses=own_addresses)


def _answerable(headers: Headers, sender: Identity, verdict: Verdict, judgement: Judgement) -> str:
    """Why the mail must not be acknowledged; empty where it may.

    A forged From must never send somebody's case number to a stranger, so the envelope sender
    (Return-Path, which the last server writes, RFC 5321, section 4.4) and From have to agree,
    unless the sender is proven.
    """
    if judgement.reason:
        return judgement.reason
    if "@" not in sender.value:
        return "From: -"
    paths = {a.email.lower() for value in headers.plains("return-path") for a in addresses.parse(value)}
    if verdict.proof is Proof.VERIFIED or paths == {sender.value.lower()}:
        return ""
    return f"Return-Path: {', '.join(sorted(paths)) or '-'}; From: {sender.value}"


def _at(headers: Headers, received: str, problems: list[str]) -> datetime:
    arrived = parse_date(received)
    written = parse_date(headers.plain("date"))
    if written and (arrived is None or written <= arrived + _AHEAD):
        return written
    problems.append(f"Date: {headers.plain('date')[:60] or '-'}")
    return arrived or parse_date(headers.plain("received").rpartition(";")[2]) or _EPOCH


def _content_key(data: bytes, headers: Headers, body: Bodies) -> str:
    """The same for one mail in two mailboxes, another for another body under the same Message-ID."""
    fields = [headers.plain("message-id"), headers.plain("from"), headers.plain("date")]
    if not fields[0] and not fields[2]:
        fields.append(sha256(data).hexdigest())  # nothing names this mail but its bytes
    return sha256("\n".join([*fields, body.digest]).encode()).hexdigest()


def _facts(headers: Headers, facts: Mapping[str, str] | None) -> dict[str, str]:
    found = dict(facts or {})
    for name in ("to", "cc", "reply-to"):
        emails = [a.email for value in headers.plains(name) for a in addresses.parse(value) if a.email]
        if emails:
            found[name.replace("-", "_")] = ", ".join(emails)
    return found
