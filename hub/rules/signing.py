"""Signed posts after Standard Webhooks 1.0.0 (https://www.standardwebhooks.com), symmetric scheme `v1`.

The receiver checks with any library of that name: HMAC-SHA256 over id, timestamp and body, joined
by dots, with the bytes that stand in base64 behind ``whsec_``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

DELAYS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds after each failed try, as the specification suggests: ten tries in a little over three days."""


def secret_bytes(secret: str) -> bytes:
    """The key in ``whsec_<base64>``. Raises ValueError, without the secret, when it is none of 24 to 64 bytes."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError('should be "whsec_" and base64') from None
    if not 24 <= len(key) <= 64:
        raise ValueError(f"should hold 24 to 64 bytes in base64, and holds {len(key)}")
    return key


def signed_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers for `body`. `message_id` stays over retries; `timestamp` is the try's, in seconds."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    signature = base64.b64encode(hmac.digest(secret_bytes(secret), signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }
