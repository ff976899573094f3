"""The form as a page: no JavaScript, no request to anywhere else, readable at 390 pixels and aloud."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from hub.locale import text
from hub.sdk import Reply

from .entry import LIMITS, REQUIRED, TRAP, Entry
from .settings import LANGUAGES, FormSettings
from .wrong import Wrong, size

_NAMES = {"fr": "Français", "en": "English", "es": "Español"}


@cache
def _css() -> str:
    return files(__package__).joinpath("page.css").read_text("utf-8")


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(files(__package__).joinpath("page.html").read_text("utf-8"))


def choose(asked: str, accept_language: str, offered: Sequence[str]) -> str:
    """The page's language: asked for, else the browser's best (RFC 9110, section 12.5.4), else the first."""
    wishes = [(asked.lower(), 2.0)]
    for wish in accept_language.lower().split(","):
        tag, _, weight = wish.partition(";q=")
        try:
            wishes.append((tag.strip(), float(weight or 1)))
        except ValueError:
            continue
    known = [(weight, tag[:2]) for tag, weight in wishes if tag[:2] in offered and weight > 0]
    return max(known, key=lambda wish: wish[0])[1] if known else offered[0]


class Pages:
    """Renders the form of one instance."""

    def __init__(self, settings: FormSettings, hub: Mapping[str, str]) -> None:
        self._settings, self._name = settings, settings.name or hub.get("name", "")
        ours = tuple(code for code in hub.get("languages", "").split(",") if code in LANGUAGES)
        self.languages = settings.languages or ours or LANGUAGES

    def form(self, language: str, entry: Entry, started: str, errors: Mapping[str, Wrong], status: int = 200) -> Reply:
        """The form with what was typed, and with what is wrong beside its field."""
        settings = self._settings
        sentences = {name: wrong.sentence(language) for name, wrong in errors.items()}
        came = {**entry.fields, **entry.hidden} if not errors else entry.hidden  # in an address only what came in one
        link = {name: value for name, value in came.items() if value}
        return self._reply(
            status,
            language,
            title=text(language, "form.page.title", name=self._name),
            intro=settings.intro or text(language, "form.page.intro"),
            languages=[(code, _NAMES[code], "?" + urlencode(link | {"lang": code})) for code in self.languages],
            errors=sentences,
            entry=entry,
            files_again=bool(entry.files) and bool(errors),
            files_hint=text(
                language,
                "form.hint.files",
                count=settings.max_files,
                size=size(language, settings.max_file_size),
                types=", ".join(settings.file_types),
            ),
            accept=",".join(f".{ending}" for ending in settings.file_types),
            max_files=settings.max_files,
            privacy_url=settings.privacy_url,
            started=started,
            sent=False,
        )

    def thanks(self, language: str) -> Reply:
        """The page after sending."""
        return self._reply(200, language, title=text(language, "form.sent.title"), sent=True, languages=[], errors={})

    def _reply(self, status: int, language: str, **values: object) -> Reply:
        page = _template().render(
            language=language,
            name=self._name,
            css=Markup(_css()),  # noqa: S704 - our own file
            say=lambda key: text(language, f"form.{key}"),
            limits=LIMITS,
            required=REQUIRED,
            trap=TRAP,
            **values,
        )
        return Reply(status, page.encode("utf-8", "replace"), "text/html; charset=utf-8", self._headers(language))

    def _headers(self, language: str) -> dict[str, str]:
        digest = base64.b64encode(hashlib.sha256(_css().encode()).digest()).decode()
        # Chromium applies form-action to the redirect after a post as well, so thanks_url is named.
        thanks = urlsplit(self._settings.thanks_url)
        after = f" {thanks.scheme}://{thanks.netloc}" if thanks.netloc else ""
        frames = " ".join(("'self'", *self._settings.origins))
        return {
            "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
            f"form-action 'self'{after}; frame-ancestors {frames}",
            "Content-Language": language,
            "Vary": "Accept-Language",
            "Cache-Control": "no-store",  # the page holds a start time, and after an error what somebody typed
            "Referrer-Policy": "same-origin",  # a signed link is nobody else's
            "X-Content-Type-Options": "nosniff",
        }
