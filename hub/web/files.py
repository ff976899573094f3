"""Attachments and HTML mail: what customers send, handed on so that it can do nothing in a browser.

HTML is sanitised when it is shown, not when it is stored: rules get better, stored bytes stay.
It stands in a frame without scripts and without pictures from elsewhere, which would tell the
sender that, when and where it was read.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

import nh3
import sqlalchemy as sa
from flask import Response, abort

from hub.instances import Bug
from hub.mail import read
from hub.sdk import Attachment, Raw, TresseError
from hub.store.intake import attachment, message, message_body, raw
from hub.web import here, login

blueprint = login.pages("files", __name__)

_FRAME = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
_STYLE = (
    "<style>:root{color-scheme:light}body{font:15px/1.5 system-ui,sans-serif;margin:0;padding:12px;color:#22252b;"
    "background:#fff;overflow-wrap:anywhere}table{max-width:100%}blockquote{margin:0 0 0 8px;padding-left:10px;"
    "border-left:3px solid #ddd;color:#555}</style>"
)
_TAGS = nh3.ALLOWED_TAGS - {"img", "map", "area"}


@blueprint.get("/messages/<int:message_id>/html")
def html(message_id: int) -> Response:
    """A message's HTML, for the frame on its page."""
    with here.reading() as connection:
        body = connection.scalar(sa.select(message_body.c.html).where(message_body.c.message_id == message_id))
    if not body:
        abort(404)
    page = f'<!doctype html><html><head><meta charset="utf-8">{_STYLE}</head><body>{sanitised(body)}</body></html>'
    answer = Response(page, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = _FRAME
    return answer


def sanitised(body: str) -> str:
    """`body` without scripts, styles, pictures and forms; links open elsewhere and tell nothing."""
    return nh3.clean(
        body,
        tags=_TAGS,
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes={"http", "https", "mailto", "tel"},
    )


@blueprint.get("/attachments/<int:attachment_id>")
def save(attachment_id: int) -> Response:
    """An attachment, cut out of the stored bytes now; always saved, never opened by the browser."""
    joined = attachment.join(message, message.c.id == attachment.c.message_id).join(raw, raw.c.id == message.c.raw_id)
    with here.reading() as connection:
        row = connection.execute(
            sa.select(
                attachment.c.name, attachment.c.part, attachment.c.sha256, raw.c.instance, raw.c.data, raw.c.source_key
            )
            .select_from(joined)
            .where(attachment.c.id == attachment_id)
        ).first()
    data = cut(row.instance, Raw(row.source_key, row.data), row.part) if row is not None else None
    # Read by other rules than today's, the part may be another one: then nothing beats a wrong file.
    if row is None or data is None or hashlib.sha256(data).hexdigest() != row.sha256:
        abort(404)
    answer = Response(data, content_type="application/octet-stream")
    answer.headers["Content-Disposition"] = disposition(row.name or f"attachment-{attachment_id}")
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer


def cut(instance: str, stored: Raw, part: int) -> bytes | None:
    """Attachment `part` of what an instance received: as its component says, else as a mail."""
    running = here.hub().instances.get(instance)
    own = getattr(running.component, "attachment", None) if running is not None else None
    try:
        if running is not None and own is not None:
            found: tuple[Attachment, bytes] = running.call(own, stored, part)
            return found[1]
        return read.attachment(stored.data, part)[1]
    except (LookupError, TresseError, Bug, read.Unreadable):
        return None


def disposition(name: str) -> str:
    """A Content-Disposition for a name a stranger chose (RFC 6266: an ASCII name, and RFC 5987 for the rest)."""
    name = re.sub(r"[\x00-\x1f\x7f/\\\u202a-\u202e\u2066-\u2069]", "_", name)[:150] or "file"
    plain = re.sub(r'[^ -~]|["%;]', "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
