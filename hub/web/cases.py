"""One case: its conversation with the suggestions, what was done for it, and why."""

from __future__ import annotations

from flask import abort, render_template

from hub.store.reading_cases import case_view
from hub.store.reading_deliveries import DeliveryRow
from hub.web import here, login

blueprint = login.pages("cases", __name__)


@blueprint.get("/cases/<path:number>")
def show(number: str) -> str:
    """The page that far sides link to."""
    with here.reading() as connection:
        view = case_view(connection, number)
    if view is None:
        abort(404)
    causes: dict[int, list[DeliveryRow]] = {}
    for row in view.deliveries:
        if row.message_id is not None:
            causes.setdefault(row.message_id, []).append(row)
    return render_template("case.html", view=view, case=view.case, causes=causes)
