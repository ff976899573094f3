"""What other systems push: `/in/<instance>` in any method, handed to the instance as it came.

The reply leaves after what was pushed is committed (hub/app.py). Where it cannot be kept, the
answer is 503 with Retry-After, so that the sender keeps it and comes again. There is no CSRF
check: no session counts here, and each component checks its own signatures on the raw body.
"""

from __future__ import annotations

from flask import Blueprint, Response, current_app, request
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException

from hub.sdk import Rejected, Reply, Request, Upload
from hub.web import here

blueprint = Blueprint("inbound", __name__)

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
COME_BACK = 30
"""Seconds after which a sender should try again what could not be kept."""
LONGEST = 64 * 1024 * 1024
"""Bytes of a request; a component's own limits are lower."""


@blueprint.route("/in/<instance>", methods=METHODS, defaults={"path": ""}, provide_automatic_options=False)
@blueprint.route("/in/<instance>/<path:path>", methods=METHODS, provide_automatic_options=False)
def take(instance: str, path: str) -> Response:
    """One request for one instance."""
    known = here.hub().instances.get(instance)
    if known is None or not known.has("Accepts"):
        return _plain(404, "nothing is listening at this address: check the instance's id in the hub's configuration")
    try:
        reply = here.hub().accept(instance, as_request(path))
    except Rejected as error:
        return _plain(400, str(error))
    except HTTPException:
        raise
    except Exception as error:  # noqa: BLE001 - the sender must not lose what it has: whatever it was, "come again"
        current_app.logger.warning("a request for %s could not be kept: %s", instance, type(error).__name__)
        return _later()
    return _response(reply)


def as_request(path: str) -> Request:
    """The request as a component sees it: the raw body first, then the form parsed from it."""
    request.max_content_length = LONGEST
    request.max_form_memory_size = LONGEST
    body = request.get_data(cache=True, parse_form_data=False)
    form = request.mimetype in {"application/x-www-form-urlencoded", "multipart/form-data"}
    return Request(
        method=request.method,
        path=path,
        headers={name.lower(): value for name, value in request.headers.items()},
        query=request.args.to_dict(),
        body=body,
        remote=request.remote_addr or "",
        form=request.form.to_dict() if form else {},
        files=tuple(_upload(file) for file in request.files.values()) if form else (),
    )


def _upload(file: FileStorage) -> Upload:
    return Upload(file.filename or "", file.mimetype or "application/octet-stream", file.stream.read())


def _response(reply: Reply) -> Response:
    response = Response(reply.body, reply.status, content_type=reply.content_type)
    for name, value in reply.headers.items():
        response.headers[name] = value
    return response


def _plain(status: int, sentence: str) -> Response:
    return Response(sentence + "\n", status, content_type="text/plain; charset=utf-8")


def _later() -> Response:
    response = _plain(503, f"it could not be kept now: please send it again in {COME_BACK} seconds")
    response.headers["Retry-After"] = str(COME_BACK)
    return response
