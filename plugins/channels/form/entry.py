"""What somebody typed into the form: taken from a request, and checked."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.rules.identities import canonical
from hub.sdk import Identity, Request, Upload

from . import files as uploads
from .settings import FormSettings
from .wrong import Wrong

LIMITS = {"name": 200, "email": 254, "phone": 40, "order": 80, "subject": 200}
"""Characters of each field; the message's limit is a setting. 254: RFC 3696, erratum 1690."""

FIELDS = (*LIMITS, "message")
REQUIRED = ("name", "email", "subject", "message")
TRAP = "homepage"
"""The field that people do not see and robots fill in."""

UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
HIDDEN = ("page", *UTM, "signed_at", "signature")
"""What the page carries along beside what is typed."""


class BadEntry(Exception):
    """A body that is no entry of this form; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One filled-in form. `others` are the fields of the wrong type (JSON), `hidden` see HIDDEN."""

    fields: Mapping[str, str]
    hidden: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Upload, ...] = ()
    language: str = ""
    started: str = ""
    key: str = ""
    trap: str = ""
    others: tuple[str, ...] = ()

    def problems(self, settings: FormSettings) -> dict[str, Wrong]:
        """What is wrong, by field, in the order of the page."""
        wrong: dict[str, Wrong] = {}
        for name in FIELDS:
            limit = LIMITS.get(name, settings.longest_message)
            value = self.fields.get(name, "")
            if name in self.others:
                wrong[name] = Wrong("wrong.text")
            elif len(value) > limit:
                wrong[name] = Wrong("wrong.length", {"limit": limit, "length": len(value)})
            elif name in REQUIRED and not value:
                wrong[name] = Wrong(f"missing.{name}")
        if "email" not in wrong and not _is_address(self.fields["email"]):
            wrong["email"] = Wrong("wrong.email")
        file_problem = Wrong("wrong.text") if "files" in self.others else uploads.problem(self.files, settings)
        return wrong | ({"files": file_problem} if file_problem else {})

    def digest(self) -> str:
        """The same for the same words and files."""
        parts = [[self.fields.get(name, "") for name in FIELDS]]
        parts += [[file.name, hashlib.sha256(file.data).hexdigest()] for file in self.files]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _is_address(email: str) -> bool:
    """An address a customer can have: usable, and with a dot in its domain (no `alice@localhost`)."""
    usable = canonical(Identity("email", email), "")
    return usable is not None and "." in usable.value.rpartition("@")[2].strip(".")


def from_form(request: Request, language: str) -> Entry:
    """An entry sent by a browser. An empty file field comes as a file without a name."""
    form = request.form
    return Entry(
        fields={name: _clean(form.get(name, ""), many_lines=name == "message") for name in FIELDS},
        hidden=_hidden(form),
        files=tuple(file for file in request.files if file.name or file.data),
        language=language,
        started=form.get("started", "")[:200],
        key=form.get("key", "")[:200],
        trap=form.get(TRAP, ""),
    )


def from_json(body: bytes) -> Entry:
    """An entry sent by a script. Raises BadEntry when it is no JSON object."""
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise BadEntry("The body is not JSON that can be read.") from None
    if not isinstance(sent, dict):
        raise BadEntry("The body should be a JSON object with the fields of the form.")
    texts = {name: value for name, value in sent.items() if isinstance(value, str)}
    found = _json_files(sent.get("files"))
    others = [name for name in FIELDS if sent.get(name) is not None and name not in texts]
    language = texts.get("language", "").strip().lower()[:2]
    return Entry(
        fields={name: _clean(texts.get(name, ""), many_lines=name == "message") for name in FIELDS},
        hidden=_hidden(texts | {"signed_at": str(sent.get("signed_at") or "")}),
        files=found or (),
        language=language if re.fullmatch("[a-z]{2}", language) else "",
        started=texts.get("started", "")[:200],
        key=texts.get("key", "")[:200],
        trap=texts.get(TRAP, ""),
        others=(*others, *(() if found is not None else ("files",))),
    )


def _json_files(sent: object) -> tuple[Upload, ...] | None:
    """Files as `{"name", "data"}` with base64; None when they are anything else."""
    if sent is None:
        return ()
    if not isinstance(sent, list):
        return None
    try:
        return tuple(Upload(str(f["name"]), "", base64.b64decode(f["data"], validate=True)) for f in sent)
    except (TypeError, KeyError, ValueError, binascii.Error):
        return None


def _hidden(sent: Mapping[str, str]) -> dict[str, str]:
    hidden = {name: _clean(sent.get(name, ""))[:500] for name in HIDDEN}
    if not hidden["page"].startswith(("http://", "https://")):
        hidden["page"] = ""
    return hidden


def prefilled(query: Mapping[str, str], referer: str) -> Entry:
    """What a link to the form may fill in, and which page led here."""
    fields = {name: _clean(query.get(name, ""))[:limit] for name, limit in LIMITS.items()}
    return Entry(fields | {"message": ""}, _hidden({"page": referer} | dict(query)))


def _clean(text: str, *, many_lines: bool = False) -> str:
    """Printable text; a field of one line stays one (no header is ever made of two)."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not many_lines:
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())
    # Joiners and direction marks (Cf) are part of Persian words and of emoji families; NUL is of nothing.
    kept = "".join(c for c in text if c in "\n\t" or (ord(c) >= 32 and not 0x7F <= ord(c) < 0xA0))
    return kept.encode("utf-8", "ignore").decode().strip()
