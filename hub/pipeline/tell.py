"""Telling somebody outside that an alert opened, and that it closed: by a signed webhook, by mail, or both.

Not a step of a message: it reads the alerts and the rows of what was told, and calls. Each way has
its own row, so that one that fails does not repeat the other. A try is claimed before the call
leaves, and an id that stays over all tries lets the receiver drop a repeated one. Nothing of a
customer is told: an alert names causes, and addresses in a server's words are masked.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
import sqlalchemy as sa

from hub.http import GuardedSession
from hub.instances import Bug, Instance
from hub.locale import text
from hub.locale.sentences import sentence
from hub.log import logger, masked
from hub.pipeline.parts import Parts
from hub.rules.signing import DELAYS, signed_headers
from hub.sdk import ConfigError, Effect, Identity, Outgoing, Sends, TresseError, Unavailable
from hub.store import telling

_LATER = (429, 502, 503, 504)
_A_DAY = 86_400.0


class _Gone(Exception):
    """The receiver wants no more of these (410)."""


def tell_due(parts: Parts) -> int:
    """Tell what is due; returns how many were told. Costs two small questions where nothing is."""
    targets = parts.config.alerts.targets
    if not targets:
        return 0
    now = parts.now()
    opened_before = now - timedelta(seconds=parts.config.alerts.after)
    with parts.store.read() as connection:
        owed = telling.owed(connection, targets, opened_before)
    if owed:
        with parts.store.write() as connection:
            telling.owe(connection, owed, now)
    with parts.store.read() as connection:
        rows = telling.due(connection, targets, now)
    return sum(_tell(parts, row) for row in rows)


def _tell(parts: Parts, row: sa.Row[Any]) -> bool:
    with parts.store.write() as connection:
        if not telling.claim(connection, row, parts.now()):
            return False
    try:
        (_post if row.target == "webhook" else _mail)(parts, row)
    except (TresseError, Bug, _Gone) as error:
        _again(parts, row, error)
        return False
    with parts.store.write() as connection:
        telling.told(connection, row.id, parts.now())
    return True


def _again(parts: Parts, row: sa.Row[Any], error: Exception) -> None:
    """Later, after the schedule; after its end, or where the receiver is gone, never."""
    due: datetime | None = None
    if row.attempts < len(DELAYS) and not isinstance(error, _Gone):
        wait = DELAYS[row.attempts] * parts.random.uniform(0.9, 1.1)
        asked = getattr(error, "retry_after", None) or 0.0
        due = parts.now() + timedelta(seconds=max(wait, min(asked, _A_DAY)))
    with parts.store.write() as connection:
        telling.not_told(connection, row.id, masked(str(error)), due)
    if row.attempts == 0 or due is None:
        reason = str(error) if isinstance(error, TresseError | _Gone) else type(error).__name__
        logger().warning("alert not told", by=row.target, reason=reason, again=due is not None)


# -- a webhook ------------------------------------------------------------------------------------


def _post(parts: Parts, row: sa.Row[Any]) -> None:
    settings, now = parts.config.alerts, parts.now()
    body = json.dumps(_payload(parts, row, now), ensure_ascii=False).encode()
    headers = signed_headers(settings.secret.get_secret_value(), _name(parts, row), int(now.timestamp()), body)
    headers |= {"content-type": "application/json", "user-agent": "Tresse"}
    with GuardedSession({urlsplit(settings.webhook).hostname or ""}) as session:
        try:
            answer = session.post(settings.webhook, data=body, headers=headers, stream=True)  # its body is not read
        except requests.RequestException as error:
            raise Unavailable(f"the webhook does not answer ({type(error).__name__})", maybe_done=True) from error
        with answer:
            _judge(answer)


def _judge(answer: requests.Response) -> None:
    """2xx is success and nothing else is: a redirect is not followed."""
    if answer.status_code == 410:
        raise _Gone("the webhook is gone (410)")
    if not 200 <= answer.status_code < 300:
        wait = answer.headers.get("retry-after", "") if answer.status_code in _LATER else ""
        seconds = float(wait) if wait.isdecimal() else None
        raise Unavailable(f"the webhook answered {answer.status_code}", retry_after=seconds)


def _payload(parts: Parts, row: sa.Row[Any], now: datetime) -> dict[str, Any]:
    return {
        "type": f"alert.{row.what}",
        "timestamp": now.isoformat(),
        "data": {
            "key": row.key,
            "instance": row.instance,
            "text": _words(parts, row),
            "opened_at": row.opened_at.isoformat(),
            "closed_at": row.closed_at.isoformat() if row.closed_at else None,
            "hub": parts.config.hub.name,
            "link": parts.config.hub.address,
        },
    }


# -- a mail ---------------------------------------------------------------------------------------


def _mail(parts: Parts, row: sa.Row[Any]) -> None:
    settings, language = parts.config.alerts, parts.config.alerts.language
    channel = _sender(parts, row.instance)
    assert isinstance(channel.component, Sends)
    about = row.instance or parts.config.hub.name
    subject = text(language, f"alerts.{row.what}", about=about, hub=parts.config.hub.name)
    link = text(language, "alerts.link", address=parts.config.hub.address)
    outgoing = Outgoing(
        kind="alert",
        to=Identity("email", settings.mail),
        subject=subject,
        text=f"{_words(parts, row)}\n\n{link}\n",
        language=language,
    )
    effect = Effect(_name(parts, row), "", {})
    # Not judged: what an alert runs into says nothing about the customers' mail.
    channel.call(channel.component.send, outgoing, effect, timeout=30.0, judged=False)


def _sender(parts: Parts, sick: str) -> Instance:
    """The channel that sends: the named one, else one that is well, else any."""
    able = parts.having("Sends", "channels")
    named = [one for one in able if one.id == parts.config.alerts.via]
    well = [one for one in able if one.id != sick and not one.waits()]
    for one in (*named, *well, *able):
        return one
    raise ConfigError("no channel that runs can send a mail")


# -- both -----------------------------------------------------------------------------------------


def _words(parts: Parts, row: sa.Row[Any]) -> str:
    return masked(sentence(parts.config.alerts.language, row.text))


def _name(parts: Parts, row: sa.Row[Any]) -> str:
    """The same over all tries, and another one after a restore has counted anew."""
    told = f"{parts.config.hub.address}\0{row.key}\0{row.opened_at.isoformat()}\0{row.what}"
    return f"alert_{hashlib.sha256(told.encode()).hexdigest()[:24]}"
