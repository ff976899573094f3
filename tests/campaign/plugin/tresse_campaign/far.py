"""Calls to the far side, and what their failures mean."""

from __future__ import annotations

import os
from typing import Any

import requests

from hub.sdk import Context, Unavailable

WAIT = (3.0, 100.0)
"""Seconds to connect, and for an answer."""


def post(context: Context, address: str, said: dict[str, Any], again: float) -> dict[str, Any]:
    """The far side's answer. `again`: seconds after which it wants to be asked again; 0: it does not say."""
    retry = again or None
    said["who"] = os.getpid()
    try:
        answer = context.http.post(address, json=said, timeout=WAIT)
    except requests.ConnectTimeout as error:
        raise Unavailable("nobody answers", retry_after=retry) from error
    except requests.ConnectionError as error:
        # A connection that stood and was cut may have brought our words over there.
        refused = "refused" in str(error)
        raise Unavailable("cut off", retry_after=retry, maybe_done=not refused) from error
    except requests.RequestException as error:
        raise Unavailable("no answer", retry_after=retry, maybe_done=True) from error
    if answer.status_code != 200:
        raise Unavailable(f"it says {answer.status_code}", retry_after=retry)
    found: dict[str, Any] = answer.json()
    return found
