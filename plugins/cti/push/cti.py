"""The component `push`: calls come in over HTTP, what agents do goes out as a signed post."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from hub.rules.signing import signed_headers
from hub.sdk import (
    CTI,
    Accepted,
    Agent,
    AuthError,
    ConfigError,
    Context,
    Direction,
    Event,
    Message,
    Notice,
    Presence,
    Raw,
    Rejected,
    Reply,
    Request,
    Unavailable,
)

from .call import BadPush, Call, fields_of, fingerprint, load, understand
from .numbers import customer_of, e164
from .settings import PushSettings

_ENOUGH = 20
"""Characters of a token that nobody guesses."""

_MINUTE = 60.0


class PushCTI(CTI[PushSettings]):
    """Accepts pushes at `<address>/<token>` and posts presence to `presence_url`."""

    name = "push"
    settings_model = PushSettings
    summary = "Calls pushed over HTTP (generic CTI format); what agents do, as a signed webhook."

    def __init__(self, settings: PushSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._country = settings.country or (context.hub or {}).get("country", "")
        self._warned: datetime | None = None

    # -- calls come in ------------------------------------------------------------------------

    def accept(self, request: Request) -> Accepted:
        """One push. The reply `{}` lets the phone system go on as it would anyway."""
        if not self._knows_token(request):
            self._warn_of_token()
            # Not 401: that asks for credentials with a scheme (RFC 9110, section 15.5.2), and this
            # one is a part of the address. Not 404: who sets up a phone system needs the reason,
            # and that there is a phone system here is no secret.
            return _refused(403, "The token at the end of the address (or in X-Token) is not the configured one.")
        if request.method != "POST":
            return _refused(405, "Calls are pushed with POST.", Allow="POST")
        if len(request.body) > self.settings.largest:
            return _refused(413, f"A push has at most {self.settings.largest} bytes.")
        try:
            fields = fields_of(request)
            call = understand(fields)
        except BadPush as error:
            return _refused(400, str(error))
        body = request.body if request.body.strip()[:1] == b"{" else json.dumps(fields).encode()
        key = f"{call.id}/{call.stage}/{fingerprint(fields)}"
        raw = Raw(key, body, {"received": self.context.now().isoformat(), "remote": request.remote})
        return Accepted((raw,), Reply(200, b"{}", "application/json"))

    def _knows_token(self, request: Request) -> bool:
        """In the path, as phone systems can; in a header, where an admin keeps it out of access logs."""
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        given = [request.path.strip("/"), request.headers.get("x-token", ""), bearer]
        token = self.settings.token.get_secret_value().strip().encode()
        return any(hmac.compare_digest(g.strip().encode("utf-8", "replace"), token) for g in given)

    def _warn_of_token(self) -> None:
        now = self.context.now()
        if self._warned is None or abs((now - self._warned).total_seconds()) >= _MINUTE:
            self._warned = now
            self.context.log.warning("push refused: its token is not the configured one")

    def read(self, raw: Raw) -> list[Message | Event]:
        """The stage of a call. Raises Rejected for bytes that `accept` would not have let in."""
        try:
            call = understand(load(raw.data))
            at = datetime.fromisoformat(raw.facts["received"]).astimezone(UTC)
        except (BadPush, KeyError, ValueError) as error:
            raise Rejected(f"not a push of a call: {error}") from None
        settings = self.settings
        customer = customer_of(call.far_number, settings.number_format, self._country, self.context.id, call.id)
        return [
            Event(
                kind="call",
                key=call.id,
                customer=customer,
                at=at,
                direction=call.direction,
                account=_account(call),
                account_name=call.users[0] if len(call.users) == 1 else "",
                data=self._facts(call, at),
            )
        ]

    def _facts(self, call: Call, at: datetime) -> dict[str, Any]:
        """What this stage knows. Empty values are left out: merged, they would hide an earlier stage's."""
        facts = {
            "stage": call.stage,
            f"{call.stage}_at": at.isoformat(),
            "from": self._shown(call.caller),
            "to": self._shown(call.called),
            "users": list(call.users),
            "queue": call.queue,
            "answered_by": call.on_phone,
            "cause": call.cause,
            "duration": call.seconds,
        }
        return {name: value for name, value in facts.items() if value not in ("", [], None)}

    def _shown(self, number: str) -> str:
        return e164(number, self.settings.number_format, self._country) or number

    # -- what agents do goes out --------------------------------------------------------------

    def set_presence(self, agent: Agent, presence: Presence, until: datetime) -> None:
        """Post a lease: the receiver forgets it at `until` by itself, and leaves an agent's own pause alone.

        Raises AuthError, ConfigError, Unavailable or Rejected.
        """
        if not self.settings.presence_url:
            self.context.log.debug("presence told to nobody: presence_url is not set")
            return
        body = {
            "type": "presence.changed",
            "timestamp": self.context.now().astimezone(UTC).isoformat(),
            "data": {
                "agent": agent.name,
                "email": agent.email,
                "account": agent.account,
                "presence": presence.value,
                "until": until.astimezone(UTC).isoformat(),
            },
        }
        lease = json.dumps([self.context.id, body["data"]])  # the same lease, tried again, has the same id
        self._speak("POST", json.dumps(body).encode(), "msg_" + hashlib.sha256(lease.encode()).hexdigest()[:32])

    def _speak(self, method: str, body: bytes, message_id: str) -> None:
        settings, now = self.settings, self.context.now()
        secret = settings.presence_secret.get_secret_value()
        headers = signed_headers(secret, message_id, int(now.timestamp()), body)
        if body:
            headers["content-type"] = "application/json"
        try:
            answer = self.context.http.request(
                method, settings.presence_url, data=body, headers=headers, allow_redirects=False
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
            raise ConfigError("is not an address that can be called", path="presence_url") from None
        except requests.RequestException as error:
            host = urlsplit(settings.presence_url).hostname
            raise Unavailable(f"{host} does not answer ({type(error).__name__})") from None
        if method != "OPTIONS" or answer.status_code not in (404, 405, 501):  # few receivers know OPTIONS
            _judge(answer, now)

    def check(self) -> list[Notice]:
        """Knock at `presence_url` with a signed OPTIONS, which tells nobody anything."""
        notices = []
        if len(self.settings.token.get_secret_value().strip()) < _ENOUGH:
            notices.append(Notice(f"is short: take {_ENOUGH} random characters or more", "token"))
        if self.settings.number_format != "international" and not self._country:
            notices.append(Notice("numbers without + are read as international: no country is set", "country"))
        if self.settings.presence_url:
            self._speak("OPTIONS", b"", "msg_check")
        return notices


def _account(call: Call) -> str:
    """Who of us is on the phone. While a call comes in and rings, nobody is yet."""
    if call.stage == "ringing" and call.direction is Direction.IN:
        return ""
    return call.on_phone or (call.users[0] if len(call.users) == 1 else "")


def _refused(status: int, sentence: str, **headers: str) -> Accepted:
    body = json.dumps({"error": sentence}).encode()
    return Accepted((), Reply(status, body, "application/json", headers))


def _judge(answer: requests.Response, now: datetime) -> None:
    """The four words for a status: only 2xx is success; a redirect is not followed (Standard Webhooks)."""
    status, host = answer.status_code, urlsplit(answer.url or "").hostname or "the receiver"
    if 200 <= status < 300:
        return
    if status in (401, 403):
        raise AuthError(f"{host} refuses the signature ({status}): compare presence_secret", path="presence_secret")
    if 300 <= status < 400 or status == 410:
        what = "is gone" if status == 410 else "has moved; write the new address"
        raise ConfigError(f"{host} says that this address {what} ({status})", path="presence_url")
    if status in (408, 425, 429) or status >= 500:
        raise Unavailable(f"{host} answers {status}", retry_after=_retry_after(answer, now))
    raise Rejected(f"{host} refuses the presence ({status})")


def _retry_after(answer: requests.Response, now: datetime) -> float | None:
    """Seconds from Retry-After, which is a number or a date (RFC 9110, section 10.2.3)."""
    written = answer.headers.get("Retry-After", "").strip()
    if written.isdecimal():
        return float(written[:8])
    try:
        return max(0.0, (parsedate_to_datetime(written) - now).total_seconds())
    except (ValueError, TypeError):
        return None
