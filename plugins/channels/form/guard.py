"""What keeps robots and floods out, without a cookie and without keeping anybody's address."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import secrets
from collections.abc import Mapping
from datetime import datetime

from hub.sdk import State, Unavailable

_SHARDS = 64
"""The counts lie in so many rows: two people at once rarely meet in one, and no row ever grows large."""
_PER_SHARD = 500
_TRIES = 20
_MONTH = 30 * 86_400.0


class Guard:
    """Signed start times and counts per address, under a key that the hub keeps in `context.state`."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._key = b""

    def key(self) -> bytes:
        """The form's own key; made at the first use, and the same for every process and restart."""
        if not self._key:
            # From `secrets`, not from `context.random`: whoever can repeat a key can forge with it.
            self._state.swap("key", None, secrets.token_hex(32))
            self._key = bytes.fromhex(self._state.get("key") or "")
        return self._key

    def _sign(self, words: str) -> str:
        return hmac.new(self.key(), words.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]

    def start(self, now: datetime) -> str:
        """A token that says when the page was shown, and that we showed it."""
        words = f"{int(now.timestamp() * 1000)}-{secrets.token_hex(8)}"
        return f"{words}-{self._sign('start:' + words)}"

    def age(self, token: str, now: datetime) -> float | None:
        """Seconds since the page was shown; None for a token that is not ours or older than a month."""
        words, _, signature = token.rpartition("-")
        expected = self._sign("start:" + words)
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
            return None
        age = now.timestamp() - int(words.partition("-")[0]) / 1000
        return age if age <= _MONTH else None

    def wait(self, remote: str, now: datetime, rate: int, window: float) -> float:
        """Count one entry from `remote`; the seconds it has to wait when there were `rate` already, else 0.

        Raises Unavailable when the count could not be written.
        """
        who = self._sign("remote:" + _network(remote))
        row, stamp = f"rate-{int(who[:4], 16) % _SHARDS}", now.timestamp()
        for _ in range(_TRIES):
            before = self._state.get(row)
            counts = {k: v for k, v in _counts(before).items() if stamp - v[0] < window}
            begun, count = counts.get(who, (stamp, 0))
            if count >= rate:
                return max(1.0, begun + window - stamp)
            counts[who] = (begun, count + 1)
            newest = sorted(counts.items(), key=lambda item: item[1][0])[-_PER_SHARD:]
            if self._state.swap(row, before, json.dumps(dict(newest))):
                return 0.0
        raise Unavailable("many entries at once", retry_after=5)


def _counts(row: str | None) -> Mapping[str, tuple[float, int]]:
    return {who: (float(begun), int(count)) for who, (begun, count) in json.loads(row or "{}").items()}


def _network(remote: str) -> str:
    """What one household has: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        ip = ipaddress.ip_address(remote)
    except ValueError:
        return remote
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
    return remote


def signed(key: str, email: str, signed_at: str, signature: str, now: datetime, good_for: float) -> str:
    r"""What a website's signature of an address is worth: verified, expired, wrong, or empty without one.

    It is the hex HMAC-SHA256 of ``<address in lower case>\n<unix seconds>``.
    """
    if not key or not signature:
        return ""
    words = f"{email.strip().lower()}\n{signed_at}".encode("utf-8", "replace")
    expected = hmac.new(key.encode(), words, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature.lower().encode("utf-8", "replace"), expected.encode()):
        return "wrong"
    if not (signed_at.isascii() and signed_at.isdecimal()):
        return "wrong"
    age = now.timestamp() - int(signed_at[:12])
    return "verified" if -300 <= age <= good_for else "expired"  # clocks differ by minutes
