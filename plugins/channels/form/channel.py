"""The component `form`: shows the contact form, takes what is sent, and reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from hub.sdk import (
    Accepted,
    Attachment,
    Channel,
    Context,
    Event,
    Message,
    Notice,
    Raw,
    Reply,
    Request,
)

from .entry import BadEntry, Entry, from_form, from_json, prefilled
from .guard import Guard, signed
from .kept import to_attachment, to_bytes, to_message
from .page import Pages, choose
from .settings import FormSettings
from .wrong import Wrong

_SLACK = 512 * 1024
"""Bytes of a request beside its files."""
_METHODS = "GET, HEAD, POST, OPTIONS"
_DAY = 86_400
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class FormChannel(Channel[FormSettings]):
    """Mounted at the instance's address: a page for people, JSON for a website's script."""

    name = "form"
    settings_model = FormSettings
    summary = "A contact form without JavaScript, and its JSON twin for your own website."

    def __init__(self, settings: FormSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._guard = Guard(context.state)
        self._pages = Pages(settings, context.hub or {})
        here = urlsplit(context.address)
        self._origins = {*settings.origins, f"{here.scheme}://{here.netloc}".lower()}

    def check(self) -> list[Notice]:
        """Nothing far away can fail here; notices name settings that cancel each other."""
        notices = []
        if self.settings.max_total_size < self.settings.max_file_size:
            notices.append(Notice("is less than max_file_size: no file of that size fits", "max_total_size"))
        here = urlsplit(self.context.address)
        if here.scheme == "http" and here.hostname not in ("127.0.0.1", "::1", "localhost"):
            notices.append(Notice("the form is not served over https: what customers type can be read on the way"))
        return notices

    def accept(self, request: Request) -> Accepted:
        """GET shows the form, POST takes an entry, OPTIONS answers a browser's question before a JSON post."""
        if request.path.strip("/"):
            return _only(Reply(404, b"There is nothing here; the form is one address up.\n"))
        if request.method in ("GET", "HEAD"):
            return _only(self._show(request))
        if request.method == "OPTIONS":
            return _only(self._preflight(request))
        if request.method != "POST":
            return _only(Reply(405, b"The form takes GET and POST.\n", headers={"Allow": _METHODS}))
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            return self._take_json(request)
        if kind in _FORMS:
            return self._take_form(request)
        return _only(Reply(415, b"Send the form as a form (multipart or urlencoded) or as JSON.\n"))

    def read(self, raw: Raw) -> list[Message | Event]:
        """The message of an entry. Raises Rejected for bytes that `accept` would not have written.

        What a robot sent stays in its raw and is no message. Where that was a person after all,
        `honeypot = false` and a replay bring the message to light.
        """
        if "spam" in raw.facts and self.settings.honeypot:
            return []
        return [to_message(raw.data)]

    def attachment(self, raw: Raw, part: int) -> tuple[Attachment, bytes]:
        """The content of a file. Raises Rejected where there is none of that number."""
        return to_attachment(raw.data, part)

    # -- the page ---------------------------------------------------------------------------------

    def _show(self, request: Request) -> Reply:
        language = self._language(request)
        if request.query.get("sent"):
            return self._pages.thanks(language)
        referer = request.headers.get("referer", "")
        came_from = "" if self.context.address and referer.startswith(self.context.address) else referer
        entry = prefilled(request.query, came_from)
        return self._pages.form(language, entry, self._guard.start(self.context.now()), {})

    def _language(self, request: Request, asked: str = "") -> str:
        asked = asked or request.query.get("lang", "")
        return choose(asked, request.headers.get("accept-language", ""), self._pages.languages)

    def _take_form(self, request: Request) -> Accepted:
        language = self._language(request)
        entry = from_form(request, language)
        status, errors, wait = self._judge(entry, request)
        if not errors:
            errors = self._too_soon(entry, request)
        if not errors:
            status, errors, wait = self._count(entry, request)
        if errors:
            started = entry.started if self._age(entry) is not None else self._guard.start(self.context.now())
            return _only(_retry_after(self._pages.form(language, entry, started, errors, status), wait))
        target = self.settings.thanks_url or f"?sent=1&lang={language}"
        return self._kept(entry, request, Reply(303, headers={"Location": target, "Cache-Control": "no-store"}))

    def _too_soon(self, entry: Entry, request: Request) -> dict[str, Wrong]:
        """Asks people to send again where a robot would have been as quick: they lose nothing by it.

        A website's own form, listed in `origins`, shows no page of ours and has no start time.
        """
        minimum = self.settings.minimum_fill
        if not minimum or self._is_trapped(entry) or _origin(request) in self.settings.origins:
            return {}
        age = self._age(entry)
        if age is None:
            return {"form": Wrong("wrong.stale")}
        return {"form": Wrong("wrong.too_fast")} if age < minimum else {}

    def _is_trapped(self, entry: Entry) -> bool:
        return bool(entry.trap) and self.settings.honeypot

    def _age(self, entry: Entry) -> float | None:
        return self._guard.age(entry.started, self.context.now())

    # -- the script -------------------------------------------------------------------------------

    def _preflight(self, request: Request) -> Reply:
        origin = _origin(request)
        if origin not in self._origins:
            return Reply(403, b"This origin is not in the form's list of origins.\n", headers={"Vary": "Origin"})
        headers = {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": str(_DAY),
        }
        return Reply(204, headers=self._cors(request) | headers)

    def _cors(self, request: Request) -> dict[str, str]:
        headers = {"Vary": "Origin", "Cache-Control": "no-store"}
        origin = _origin(request)
        return headers | ({"Access-Control-Allow-Origin": origin} if origin in self._origins else {})

    def _take_json(self, request: Request) -> Accepted:
        """No Origin: a server speaks, and the list of origins is a rule for browsers only."""
        origin = _origin(request)
        if origin and origin not in self._origins:
            return _only(self._json(request, 403, {"errors": {"form": "This origin is not in the list of origins."}}))
        if len(request.body) > self._largest(request):
            return _only(self._json(request, 413, {"errors": {"form": self._too_large(self._language(request))}}))
        try:
            entry = from_json(request.body)
        except BadEntry as error:
            return _only(self._json(request, 400, {"errors": {"form": str(error)}}))
        language = self._language(request, entry.language)
        status, errors, wait = self._judge(entry, request)
        if not errors:
            status, errors, wait = self._count(entry, request)
        if errors:
            said = {name: wrong.sentence(language) for name, wrong in errors.items()}
            return _only(_retry_after(self._json(request, status, {"errors": said}), wait))
        return self._kept(entry, request, self._json(request, 202, {"status": "received"}))

    def _json(self, request: Request, status: int, content: Mapping[str, object]) -> Reply:
        return Reply(status, json.dumps(content).encode(), "application/json", self._cors(request))

    # -- both -------------------------------------------------------------------------------------

    def _largest(self, request: Request) -> int:
        files = self.settings.max_total_size
        json_too = "json" in request.headers.get("content-type", "")
        return _SLACK + (files * 4 // 3 if json_too else files)

    def _too_large(self, language: str) -> str:
        return Wrong("wrong.too_large", {"size": self.settings.max_total_size}).sentence(language)

    def _judge(self, entry: Entry, request: Request) -> tuple[int, dict[str, Wrong], float]:
        if len(request.body) > self._largest(request):
            return 413, {"files": Wrong("wrong.too_large", {"size": self.settings.max_total_size})}, 0.0
        return 422, entry.problems(self.settings), 0.0

    def _count(self, entry: Entry, request: Request) -> tuple[int, dict[str, Wrong], float]:
        wait = self._guard.wait(request.remote, self.context.now(), self.settings.rate, self.settings.rate_window)
        return 429, {"form": Wrong("wrong.rate", {"minutes": int(wait // 60) + 1})} if wait else {}, wait

    def _kept(self, entry: Entry, request: Request, reply: Reply) -> Accepted:
        now, hidden, settings = self.context.now(), entry.hidden, self.settings
        worth = signed(
            settings.signing_key.get_secret_value(),
            entry.fields["email"],
            hidden.get("signed_at", ""),
            hidden.get("signature", ""),
            now,
            settings.signed_for,
        )
        facts = {"remote": request.remote, "sender": entry.fields["email"].lower()}
        if self._is_trapped(entry):
            facts["spam"] = "the field that people do not see was filled in"
        return Accepted((Raw(self._key(entry), to_bytes(entry, now, worth), facts),), reply)

    def _key(self, entry: Entry) -> str:
        """One entry, sent twice by a double click or a script's retry, has one key.

        The content is always a part of it: the same key or page with other words is another message.
        """
        if entry.key:
            scope = f"key:{entry.key}"
        elif self._age(entry) is not None:
            scope = f"page:{entry.started}"
        else:
            scope = f"minute:{int(self.context.now().timestamp() // 60)}"
        return hashlib.sha256(f"{scope}\n{entry.digest()}".encode("utf-8", "replace")).hexdigest()


def _only(reply: Reply) -> Accepted:
    return Accepted((), reply)


def _origin(request: Request) -> str:
    return request.headers.get("origin", "").lower()


def _retry_after(reply: Reply, wait: float) -> Reply:
    if not wait:
        return reply
    headers = {**reply.headers, "Retry-After": str(int(wait) + 1)}
    return Reply(reply.status, reply.body, reply.content_type, headers)
