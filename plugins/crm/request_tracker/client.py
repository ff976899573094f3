"""REST 2 of Request Tracker 5: requests, paging, and its refusals in the hub's four words.

Reference: https://docs.bestpractical.com/rt/5.0.3/RT/REST2.html. Written on plain HTTP: the
`rt` library is GPL.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError

from hub.sdk import AuthError, ConfigError, Rejected, Unavailable

PER_PAGE = 100
"""RT gives at most this many items a page, whatever is asked for."""

Parameters = Mapping[str, str | int]


class NotRequestTracker(Unavailable):
    """Something else answers: the page of a proxy that is being mended, or a wrong url."""


class Client:
    """Speaks to one Request Tracker as the hub's user. Raises the four words, nothing else."""

    def __init__(self, url: str, token: str, http: requests.Session, timeout: float) -> None:
        self.url = url
        self._authorization = {"Authorization": f"token {token}", "Accept": "application/json"}
        self._http = http
        self._timeout = (min(5.0, timeout), timeout)
        self.clock: datetime | None = None
        """RT's own time at the last answer: ages are measured on one clock."""

    def get(self, path: str, parameters: Parameters | None = None) -> Any:
        """The JSON behind `path` (after ``/REST/2.0/``)."""
        return self._json(self._call("GET", path, params=parameters))

    def put(self, path: str, body: Any) -> Any:
        return self._json(self._call("PUT", path, body=body, writes=True))

    def create(self, path: str, body: Any) -> str:
        """Post, and return the id at the end of the Location that RT answers with."""
        answer = self._call("POST", path, body=body, writes=True)
        return answer.headers.get("Location", "").rstrip("/").rpartition("/")[2]

    def pages(self, path: str, parameters: Parameters, body: Any = None) -> Iterator[list[dict[str, Any]]]:
        """Every page of a search; long conditions go into `body`. A page never holds what the user may not see."""
        method = "GET" if body is None else "POST"
        for page in range(1, 10_000):
            asked = {**parameters, "page": page, "per_page": PER_PAGE}
            answer = self._json(self._call(method, path, params=asked, body=body))
            items = list(answer.get("items") or ())
            if items:
                yield items
            if len(items) < PER_PAGE:
                return

    def items(self, path: str, parameters: Parameters, body: Any = None) -> list[dict[str, Any]]:
        return [item for page in self.pages(path, parameters, body) for item in page]

    def form(self, url: str, fields: Mapping[str, str | bytes]) -> requests.Response:
        """POST a form without our token (RT's mail gate takes none); any status that is not an outage."""
        return self._send("POST", url, data=fields, writes=True)

    def _call(
        self, method: str, path: str, *, params: Parameters | None = None, body: Any = None, writes: bool = False
    ) -> requests.Response:
        data = None if body is None else json.dumps(body).encode()
        headers = dict(self._authorization)
        if data is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        address = f"{self.url}/REST/2.0/{path}"
        answer = self._send(method, address, params=params, data=data, headers=headers, writes=writes)
        if answer.status_code == 401:
            raise AuthError(
                "Request Tracker refuses the token: make a new one for the hub's user and put it here", path="token"
            )
        if answer.status_code >= 300:
            raise _refusal(answer, path)
        return answer

    def _send(self, method: str, url: str, *, writes: bool, **more: Any) -> requests.Response:
        try:
            answer = self._http.request(method, url, timeout=self._timeout, allow_redirects=False, **more)
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            raise ConfigError(f"{url} is not an address that can be called", path="url") from error
        except requests.RequestException as error:
            lost = writes and not _never_left(error)
            raise Unavailable(f"Request Tracker does not answer ({type(error).__name__})", maybe_done=lost) from error
        self.clock = _date(answer) or self.clock
        if answer.status_code == 429 or answer.status_code >= 500:
            # 429 and 503 say "not now"; any other 5xx may come from a proxy after RT did the work.
            lost = writes and answer.status_code not in (429, 503)
            text = f"Request Tracker answers {answer.status_code}"
            raise Unavailable(text, retry_after=_retry_after(answer), maybe_done=lost)
        return answer

    def _json(self, answer: requests.Response) -> Any:
        try:
            return answer.json()
        except ValueError as error:
            text = f"{self.url} answers, but not as REST 2 of Request Tracker 5: check the url"
            raise NotRequestTracker(text) from error


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def quoted(value: str) -> str:
    """A string for RT's query language: whatever `value` holds, it stays inside its quotes.

    Between quotes RT::SQL takes the character after a backslash as it is; only these two need one.
    """
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def custom_field(name: str) -> str:
    """A custom field as the left side of a condition."""
    return quoted("CF.{" + name + "}")


def _refusal(answer: requests.Response, path: str) -> Exception:
    status, said = answer.status_code, _message(answer)
    if 300 <= status < 400:
        where = answer.headers.get("Location", "elsewhere")
        return ConfigError(f"Request Tracker lives elsewhere now ({where}); write that address", path="url")
    if status == 403 and path.partition("/")[0] in ("ticket", "queue") and "/" not in path.removeprefix("queue/"):
        return ConfigError(
            f"Request Tracker refuses the queue ({said}): check its name, and that the hub's user may "
            "SeeQueue and CreateTicket there",
            path="queue",
        )
    return Rejected(f"Request Tracker refuses {path.partition('?')[0]} with {status}: {said}")


def _message(answer: requests.Response) -> str:
    try:
        found = answer.json().get("message", "")
    except (ValueError, AttributeError):
        found = ""
    return str(found or answer.reason or "no reason given").strip()[:200]


def _never_left(error: requests.RequestException) -> bool:
    """Whether the request surely did not reach RT: no connection was made."""
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.SSLError):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _retry_after(answer: requests.Response) -> float | None:
    """Retry-After (RFC 9110, section 10.2.3) in seconds; it may also be a date."""
    said = answer.headers.get("Retry-After", "").strip()
    if said.isdigit():
        return float(said)
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    now = _date(answer)
    return max(0.0, (until - now).total_seconds()) if now and until.tzinfo else None


def _date(answer: requests.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers.get("Date", "")).astimezone(UTC)
    except ValueError:
        return None
