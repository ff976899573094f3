"""`create_app`: the Flask app with its cookies, headers, error pages and blueprints."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter
from werkzeug.wrappers import Response as AnyResponse

from hub.locale import LANGUAGES
from hub.log import logger, place
from hub.web import (
    acts,
    answers,
    cases,
    customers,
    deliveries,
    files,
    health,
    here,
    inbound,
    kept,
    login,
    looks,
    openapi,
    overview,
    pausing,
    plugins,
)
from hub.web.tokens import problem

if TYPE_CHECKING:
    from hub.app import Hub

PAGES = (overview, pausing, customers, cases, deliveries, kept, answers, plugins, files)
"""Blueprints that ask for a login."""
MACHINES = (inbound, acts, openapi, health)
"""Blueprints without session and therefore without CSRF check."""

SESSION = timedelta(hours=12)
LARGEST_FORM = 1024 * 1024
"""Bytes of a form of these pages; what is pushed from outside has a limit of its own."""

_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class _RowId(IntegerConverter):
    """A number in an address is a row's id; one that no column can hold is nobody's (404, not 500)."""

    def __init__(self, map: Any) -> None:  # noqa: A002 - werkzeug's name for it
        super().__init__(map, max=2**63 - 1)


def create_app(hub: Hub) -> Flask:
    """The web side of `hub`: webhooks in, API, health, admin pages."""
    app = Flask(__name__)
    app.url_map.converters["int"] = _RowId
    app.log_exception = _log_bug  # type: ignore[method-assign]
    app.extensions[here.EXTENSION] = hub
    app.config.update(
        # Of the hub's key, so that sessions outlive a restart and no second secret must be kept.
        SECRET_KEY=hmac.new(hub.key, b"tresse/web/session", hashlib.sha256).digest(),
        SESSION_COOKIE_NAME="tresse",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=hub.config.hub.address.startswith("https:"),
        PERMANENT_SESSION_LIFETIME=SESSION,
        MAX_CONTENT_LENGTH=LARGEST_FORM,
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(days=1),
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session it belongs to
    )
    app.wsgi_app = inbound.Door(hub, app.wsgi_app)  # type: ignore[method-assign]
    _behind_proxies(app, hub.config.web.proxies)
    protection = CSRFProtect(app)
    for module in (*PAGES, login, *MACHINES):
        app.register_blueprint(module.blueprint)
    for module in MACHINES:
        protection.exempt(module.blueprint)
    app.before_request(login.recognise)
    app.after_request(_headers)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(HTTPException, _error)
    _teach(app)
    return app


def _log_bug(exc_info: Any) -> None:
    """Flask would log a traceback with the address in it, which may hold a token (/in/phones/...)."""
    error: BaseException = exc_info[1]
    logger().error("bug in the web part", at=request.endpoint, error=type(error).__name__, where=place(error))
    logger().debug("bug in words", text=str(error))


def _behind_proxies(app: Flask, number: int) -> None:
    """Believe X-Forwarded-* only from as many proxies as the admin says there are."""
    if number:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=number, x_proto=number, x_host=number)  # type: ignore[method-assign]


def _teach(app: Flask) -> None:
    """What templates know."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    names = (
        *("strand", "strand_of", "unanswered", "by_day", "day_name", "clock", "exact", "ago", "span", "duration"),
        *("size", "percent", "word", "address", "value_type"),
    )
    app.jinja_env.globals.update({name: getattr(looks, name) for name in names}, t=here.say)
    app.jinja_env.filters["said"] = looks.said
    app.jinja_env.globals.update(LANGUAGES=LANGUAGES, person=here.person, language=here.language, nonce=nonce)
    app.jinja_env.globals.update(hub_name=lambda: here.hub().config.hub.name, waiting=overview.waiting)
    app.add_url_rule("/favicon.ico", "favicon", lambda: redirect(url_for("static", filename="logo.svg")))


def nonce() -> str:
    """This response's own nonce for the few scripts that stand in a page."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    return str(g.nonce)


def _headers(response: Response) -> Response:
    """Headers that make a browser careful. A view may have set a stricter policy of its own."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Content-Security-Policy", _POLICY.format(nonce=nonce()))
    response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _stale_form(_error: CSRFError) -> tuple[str, int]:
    return render_template("error.html", status=400, words="stale"), 400


def _error(error: HTTPException) -> AnyResponse | tuple[Response, int] | tuple[str, int]:
    """Errors speak the language of whoever asked: JSON for programs, a page for people."""
    status = error.code or 500
    if status < 400:
        return error.get_response()
    if request.path.startswith(openapi.PREFIX):
        return problem(
            status, (error.name or "error").lower().replace(" ", "_"), error.name, "see /api/v1/openapi.json"
        )
    known = {403: "forbidden", 404: "missing", 405: "missing", 413: "large", 429: "often"}
    return render_template("error.html", status=status, words=known.get(status, "broken")), status
