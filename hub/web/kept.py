"""What was received and could not be read: shown as it came, read again on demand."""

from __future__ import annotations

from flask import Response, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.pipeline.replay import replay_raw
from hub.store.reading_deliveries import kept_unread, raw_row
from hub.web import here, login

blueprint = login.pages("kept", __name__, "/kept")

SHOWN = 100_000
"""Bytes of a raw view; the whole is one click away."""


@blueprint.get("")
def every() -> str:
    """The list."""
    with here.reading() as connection:
        rows, more = kept_unread(connection, before=request.args.get("before", type=int))
    return render_template("kept.html", rows=rows, more=more)


@blueprint.get("/<int:raw_id>")
def show(raw_id: int) -> str:
    """The bytes as text: every byte that is no plain character is shown as its code."""
    with here.reading() as connection:
        row = raw_row(connection, raw_id)
    if row is None:
        abort(404)
    return render_template("raw.html", row=row, text=as_text(row.data[:SHOWN]), cut=row.size > SHOWN)


@blueprint.get("/<int:raw_id>/bytes")
def save(raw_id: int) -> Response:
    """The bytes as a file: never shown by the browser, whatever they claim to be."""
    with here.reading() as connection:
        row = raw_row(connection, raw_id)
    if row is None:
        abort(404)
    answer = Response(row.data, content_type="application/octet-stream")
    answer.headers["Content-Disposition"] = f'attachment; filename="raw-{raw_id}.bin"'
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer


@blueprint.post("/<int:raw_id>/replay")
@login.admins_only
def replay(raw_id: int) -> AnyResponse:
    """Read it once more."""
    done = bool(replay_raw(here.hub().store, here.now(), raw_id))
    if done:
        login.acted("kept.replay", raw_id)
    flash(here.say("kept.replayed" if done else "kept.moved"), "good" if done else "bad")
    return redirect(url_for("kept.every"))


@blueprint.post("/replay")
@login.admins_only
def replay_all() -> AnyResponse:
    """Read everything once more."""
    done = bool(replay_raw(here.hub().store, here.now()))
    if done:
        login.acted("kept.replay", "all")
    flash(here.say("kept.replayed_all" if done else "kept.moved"), "good" if done else "bad")
    return redirect(url_for("kept.every"))


def as_text(data: bytes) -> str:
    """Bytes for a page: UTF-8 where it is, its code in hexadecimal where it is not, control characters too."""
    text = data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)
