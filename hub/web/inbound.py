"""What other systems push: `/in/<instance>` in any method, handed to the instance as it came.

The reply leaves after what was pushed is committed (hub/app.py). Where it cannot be kept, the
answer is 503 with Retry-After, so that the sender keeps it and comes again.

`Door` answers these addresses in front of Flask: no session counts here, no login, no page's
headers, and each component checks its own signatures on the raw body. Flask's own part of a
request costs more than all the rest until the commit (bench/webhook.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Blueprint, abort
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request as WebRequest
from werkzeug.wrappers import Response

from hub.log import logger, place
from hub.sdk import Rejected, Reply, Request, Upload

if TYPE_CHECKING:
    from hub.app import Hub

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

blueprint = Blueprint("inbound", __name__)

PREFIX = "/in/"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
COME_BACK = 30
"""Seconds after which a sender should try again what could not be kept."""
LONGEST = 64 * 1024 * 1024
"""Bytes of a request; a component's own limits are lower."""
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
"""What a browser is told beside a component's own headers: some show a form here."""


# `build_only`: in the list of addresses, and found by url_for; but the door below has answered already.
@blueprint.route("/in/<instance>", methods=METHODS, defaults={"path": ""}, build_only=True)
@blueprint.route("/in/<instance>/<path:path>", methods=METHODS, build_only=True)
def take(**_address: str) -> Response:
    """One request for one instance."""
    abort(404)


class Door:
    """A WSGI application that answers what is pushed, and passes everything else on."""

    def __init__(self, hub: Hub, pages: Wsgi) -> None:
        self._hub, self._pages = hub, pages

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One request."""
        if not environ.get("PATH_INFO", "").startswith(PREFIX):
            return self._pages(environ, start_response)
        return self._answer(WebRequest(environ))(environ, start_response)

    def _answer(self, request: WebRequest) -> Response:
        instance, _, path = request.path.removeprefix(PREFIX).partition("/")
        if request.method not in METHODS:
            return _plain(405, "Method Not Allowed")
        known = self._hub.instances.get(instance)
        if known is None or not known.has("Accepts"):
            return _plain(404, "nothing is listening here: check the instance's id in the hub's configuration")
        try:
            asked = as_request(request, path)
            request.close()  # files of a form lie on the disk meanwhile
            return _response(self._hub.accept(instance, asked))
        except Rejected as error:
            return _plain(400, str(error))
        except HTTPException as error:
            return _plain(error.code or 400, error.name)
        except Exception as error:  # noqa: BLE001 - the sender must not lose what it has: whatever it was, "come again"
            # Not the path: a token may stand in it. Not the error's words: they may quote a customer.
            logger(instance=instance).error("bug in the web part", error=type(error).__name__, where=place(error))
            return _later()


def as_request(request: WebRequest, path: str) -> Request:
    """The request as a component sees it: the raw body first, then the form parsed from it."""
    request.max_content_length = LONGEST
    request.max_form_memory_size = LONGEST
    body = request.get_data(cache=True, parse_form_data=False)
    form = request.mimetype in {"application/x-www-form-urlencoded", "multipart/form-data"}
    return Request(
        method=request.method,
        path=path,
        headers=_headers(request.environ),
        query=request.args.to_dict() if request.query_string else {},
        body=body,
        remote=request.remote_addr or "",
        form=request.form.to_dict() if form else {},
        files=tuple(_upload(file) for file in request.files.values()) if form else (),
    )


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    """The request's headers, names in lower case (PEP 3333 says how they stand in `environ`)."""
    found = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            found[name.replace("_", "-").lower()] = environ[name]
    return found


def _upload(file: FileStorage) -> Upload:
    return Upload(file.filename or "", file.mimetype or "application/octet-stream", file.stream.read())


def _response(reply: Reply) -> Response:
    told = _HEADERS if not reply.headers else _HEADERS | dict(reply.headers)
    return Response(reply.body, reply.status, told, content_type=reply.content_type)


def _plain(status: int, sentence: str) -> Response:
    return Response(sentence + "\n", status, _HEADERS, content_type="text/plain; charset=utf-8")


def _later() -> Response:
    response = _plain(503, f"it could not be kept now: please send it again in {COME_BACK} seconds")
    response.headers["Retry-After"] = str(COME_BACK)
    return response
