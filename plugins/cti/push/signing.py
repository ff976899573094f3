"""Signed posts after Standard Webhooks 1.0.0 (https://www.standardwebhooks.com), symmetric scheme `v1`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac


def secret_bytes(secret: str) -> bytes:
    """The key in ``whsec_<base64>``. Raises ValueError, without the secret, when it is none of 24 to 64 bytes."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError('should be "whsec_" and base64') from None
    if not 24 <= len(key) <= 64:
        raise ValueError(f"should hold 24 to 64 bytes in base64, and holds {len(key)}")
    return key


def headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers for `body`. `message_id` stays over retries; `timestamp` is the attempt's, in seconds."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    signature = base64.b64encode(hmac.digest(secret_bytes(secret), signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }
