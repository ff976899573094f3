"""Programs come in with a token: `Authorization: Bearer tresse_...`, scopes read, write, admin."""

from __future__ import annotations

from flask import Response, g, jsonify, request

from hub.store.access import Token, find_token, token_is_stale, touch_token
from hub.web import here


def token_of_request() -> Token | None:
    """The token this request carries, None where there is none or it is not ours."""
    if "token" not in g:
        g.token = _looked_up()
    found: Token | None = g.token
    return found


def _looked_up() -> Token | None:
    kind, _, plain = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not plain.strip():
        return None
    now = here.now()
    with here.reading() as connection:
        found = find_token(connection, plain.strip())
        stale = found is not None and token_is_stale(connection, found.id, now)
    if found is not None and stale:
        with here.hub().store.write() as connection:
            touch_token(connection, found.id, now)
    return found


def refusal(scope: str) -> tuple[Response, int] | None:
    """Why this request may not do what needs `scope`; None where it may."""
    token = token_of_request()
    if token is None:
        hint = 'make one with "tresse token add NAME --scope read" and send it as "Authorization: Bearer ..."'
        response, status = problem(401, "unauthorized", "this needs a token", hint)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response, status
    if not token.may(scope):
        return problem(403, "forbidden", f'this token may not "{scope}"', f'make a token with the scope "{scope}"')
    return None


def problem(status: int, code: str, message: str, hint: str = "") -> tuple[Response, int]:
    """An error of the API: always the same shape, always with what to do next."""
    return jsonify(error={"code": code, "message": message, "hint": hint}), status
