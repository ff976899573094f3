"""Coming in and going out: a password, counted attempts, a signed session that can be ended from afar."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Blueprint, abort, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from hub.locale import LANGUAGES
from hub.store.access import (
    Login,
    attempt,
    find_login,
    forgive,
    login_of_session,
    logins,
    password_fits,
    set_language,
    write_audit,
)
from hub.web import here

blueprint = Blueprint("login", __name__)

WINDOW = timedelta(minutes=15)
LIMITS = {"name and address": 5, "address": 30, "name": 50}
"""Attempts per window. The pair is tight; a name alone is loose, else anybody could lock an admin out."""


def recognise() -> None:
    """Set `g.person` from the session; before every request."""
    g.person = None
    if "login" not in session or request.endpoint == "static":
        return
    with here.reading() as connection:
        g.person = login_of_session(connection, int(session["login"]), int(session.get("epoch", -1)))


def required() -> Response | None:
    """Before each page: ask those who are not logged in to do so, and bring them back afterwards."""
    if here.person() is not None:
        return None
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    if "HX-Request" in request.headers:  # a part of a page cannot show the log-in: the whole page goes there
        answer = Response(status=204)
        answer.headers["HX-Redirect"] = url_for("login.show")
        return answer
    return redirect(url_for("login.show", next=wanted))


def pages(name: str, import_name: str, prefix: str | None = None) -> Blueprint:
    """A blueprint whose pages need a login."""
    guarded = Blueprint(name, import_name, url_prefix=prefix)
    guarded.before_request(required)
    return guarded


def admins_only(view: Callable[..., Any]) -> Callable[..., Any]:
    """A view for the role `admin`."""

    @functools.wraps(view)
    def guarded(**values: Any) -> Any:
        somebody = here.person()
        if somebody is None or somebody.role != "admin":
            abort(403)
        return view(**values)

    return guarded


def acted(act: str, target: object) -> None:
    """Note in the audit log what the person of this request did."""
    somebody = here.person()
    with here.hub().store.write() as connection:
        write_audit(connection, somebody.name if somebody else "", act, str(target), here.now())


@blueprint.get("/login")
def show() -> Response | str:
    """The form; somebody already inside goes on."""
    if here.person() is not None:
        return redirect(_next())
    return _form()


@blueprint.post("/login")
def enter() -> Response | tuple[str, int]:
    """Count the attempt, then check the password outside any transaction: it takes 50 ms on purpose."""
    name, password = request.form.get("name", "").strip()[:80], request.form.get("password", "")[:1000]
    remote = request.remote_addr or ""
    keys = {f"login:{name}@{remote}": "name and address", f"login@{remote}": "address", f"login:{name}": "name"}
    with here.hub().store.write() as connection:
        allowed = attempt(connection, {k: LIMITS[limit] for k, limit in keys.items()}, here.now(), WINDOW)
        found = find_login(connection, name)
    if not allowed:
        return _form("login.often", name), 429
    if not password_fits(password, found[1] if found else None) or found is None:
        return _form("login.wrong", name), 401
    with here.hub().store.write() as connection:
        forgive(connection, keys)
        write_audit(connection, name, "login", remote, here.now())
    _begin(found[0])
    return redirect(_next())


def _begin(somebody: Login) -> None:
    """A new session: nothing of the one before it survives (session fixation)."""
    session.clear()
    session.permanent = True
    session["login"], session["epoch"] = somebody.id, somebody.epoch


@blueprint.post("/logout")
def leave() -> Response:
    """End this session."""
    session.clear()
    return redirect(url_for("login.show"))


@blueprint.post("/language")
def speak() -> Response:
    """Change the language of the pages; remembered with the login, and in a cookie for the log-in page."""
    wanted = request.form.get("language", "")
    if wanted not in LANGUAGES:
        abort(404)
    somebody = here.person()
    if somebody is not None:
        with here.hub().store.write() as connection:
            set_language(connection, somebody.id, wanted)
    answer = redirect(_next())
    secure = here.hub().config.hub.address.startswith("https:")
    answer.set_cookie("language", wanted, max_age=365 * 86400, samesite="Lax", httponly=True, secure=secure)
    return answer


def local(wanted: str) -> str:
    """`wanted` where it is an address of these pages, else nothing: a link cannot send people elsewhere."""
    here_only = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if here_only and not any(c in wanted for c in "\r\n\t\\") else ""


def _next() -> str:
    """Where to go on."""
    return local(request.values.get("next", "")) or url_for("overview.show")


def _form(problem: str = "", name: str = "") -> str:
    with here.reading() as connection:
        nobody = not logins(connection)
    return render_template("login.html", problem=problem, name=name, next=request.values.get("next", ""), nobody=nobody)
