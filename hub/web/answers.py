"""The approved answers: found, read, written, retired. The database owns them once a file filled it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import abort, flash, redirect, render_template, request, url_for
from sqlalchemy.engine import Connection
from werkzeug.wrappers import Response

from hub.knowledge.answers import add_answer, change_wording, restore_answer, retire_answer
from hub.sdk import Rejected
from hub.store.reading_answers import AnswerRow, answer_row, answers
from hub.web import here, login, looks

blueprint = login.pages("answers", __name__, "/answers")

Wordings = dict[str, tuple[str, str, tuple[str, ...]]]
"""Title, text and phrasings by language."""


@blueprint.get("")
def every() -> str:
    """The list, and the search in it."""
    words, state = request.args.get("search", "").strip(), request.args.get("state", "")
    with here.reading() as connection:
        rows, more = answers(connection, search=words, state=state, before=request.args.get("before", type=int))
    return render_template("answers.html", rows=rows, more=more, search=words, state=state)


@blueprint.route("/new", methods=["GET", "POST"])
def add() -> Response | str | tuple[str, int]:
    """Write a new answer, in one language or several."""
    return _edit(None)


@blueprint.route("/<int:answer_id>", methods=["GET", "POST"])
def edit(answer_id: int) -> Response | str | tuple[str, int]:
    """Change an answer's wordings."""
    with here.reading() as connection:
        row = answer_row(connection, answer_id)
    if row is None:
        abort(404)
    return _edit(row)


@blueprint.post("/<int:answer_id>/retire")
def retire(answer_id: int) -> Response:
    """Take it out of use."""
    return _settle(answer_id, retire_answer, "retired")


@blueprint.post("/<int:answer_id>/approve")
def approve(answer_id: int) -> Response:
    """Put it back into use."""
    return _settle(answer_id, restore_answer, "approved")


def _settle(answer_id: int, change: Callable[[Connection, datetime, int], None], state: str) -> Response:
    try:
        with here.hub().store.write() as connection:
            change(connection, here.now(), answer_id)
    except Rejected as error:
        flash(looks.said(str(error)), "bad")
    else:
        login.acted(f"answer.{state}", answer_id)
        flash(here.say(f"answers.was_{state}"), "good")
    return redirect(url_for("answers.every"))


def _edit(row: AnswerRow | None) -> Response | str | tuple[str, int]:
    if request.method == "GET":
        return _form(row, _as_form(row))
    given = {name: value.strip() for name, value in request.form.items()}
    wordings = _wordings(given)
    if not given.get("ref") or not wordings:
        return _form(row, given, here.say("answers.incomplete")), 400
    try:
        with here.hub().store.write() as connection:
            answer_id = _save(connection, row, given["ref"][:80], wordings)
    except Rejected as error:
        return _form(row, given, looks.said(str(error))), 409
    login.acted("answer.changed" if row else "answer.added", answer_id)
    flash(here.say("answers.saved"), "good")
    return redirect(url_for("answers.every", _anchor=f"a{answer_id}"))


def _save(connection: Connection, row: AnswerRow | None, ref: str, wordings: Wordings) -> int:
    """All wordings in one transaction. Raises Rejected where a name or title is taken."""
    now, answer_id = here.now(), row.id if row else 0
    for language, (title, text, phrasings) in wordings.items():
        if answer_id:
            change_wording(connection, now, answer_id, language=language, title=title, text=text, phrasings=phrasings)
        else:
            answer_id = add_answer(
                connection, now, ref=ref, language=language, title=title, text=text, phrasings=phrasings
            )
    return answer_id


def _languages(row: AnswerRow | None) -> list[str]:
    """The hub's languages, and those the answer is already written in."""
    written = [v.language for v in row.variants] if row else []
    return list(dict.fromkeys([*here.hub().config.hub.languages, *written]))


def _wordings(given: dict[str, str]) -> Wordings:
    """What the form holds, by language; a wording needs its question and its text."""
    wordings: Wordings = {}
    for language in (name.removeprefix("title_")[:8] for name in given if name.startswith("title_")):
        title, text = given.get(f"title_{language}"), given.get(f"text_{language}")
        if title and text:
            wordings[language] = (title, text, _lines(given.get(f"phrasings_{language}")))
    return wordings


def _lines(text: str | None) -> tuple[str, ...]:
    return tuple(line.strip() for line in (text or "").splitlines() if line.strip())


def _as_form(row: AnswerRow | None) -> dict[str, str]:
    if row is None:
        return {}
    given = {"ref": row.ref}
    for one in row.variants:
        asked = [p.text for p in row.phrasings if p.language == one.language]
        given |= {
            f"title_{one.language}": one.title,
            f"text_{one.language}": one.text,
            f"phrasings_{one.language}": "\n".join(asked),
        }
    return given


def _form(row: AnswerRow | None, given: dict[str, str], problem: str = "") -> str:
    return render_template("answer.html", row=row, given=given, problem=problem, tongues=_languages(row))
