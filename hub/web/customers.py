"""Customers, and the timelines: of a customer, of an order; and the one search box that leads there."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from sqlalchemy.engine import Connection
from werkzeug.wrappers import Response

from hub.store import timeline
from hub.store.reading_customers import customers, orders, person, recent_customers
from hub.store.reading_deliveries import deliveries_of_messages
from hub.store.timeline import Subject
from hub.web import here, login

blueprint: Blueprint = login.pages("customers", __name__)

PAGE = 50


@blueprint.get("/search")
def search() -> Response | str:
    """Where a key leads: to a timeline, a case, or to a list to choose from."""
    key = request.args.get("key", "").strip()
    with here.reading() as connection:
        subject = timeline.find(connection, key, here.hub().config.hub.country)
    if subject is None or subject.candidates:
        return redirect(url_for("customers.every", search=key))
    if subject.kind == "case":
        return redirect(url_for("cases.show", number=subject.number))
    if subject.kind == "order":
        return redirect(url_for("customers.of_order", number=subject.number))
    return redirect(url_for("customers.show", customer_id=subject.customer_ids[0]))


@blueprint.get("/customers")
def every() -> str:
    """Those heard from lately; all of them; or those a search finds."""
    words = request.args.get("search", "").strip()
    everybody = bool(words) or "all" in request.args
    before = request.args.get("before", type=int)
    with here.reading() as connection:
        if everybody:
            rows, more = customers(connection, search=words, before=before, limit=PAGE)
        else:
            rows, more = recent_customers(connection, PAGE), None
    return render_template("customers.html", rows=rows, more=more, search=words, everybody=everybody)


@blueprint.get("/customers/<int:customer_id>")
def show(customer_id: int) -> str:
    """One customer's timeline."""
    with here.reading() as connection:
        subject = timeline.of_customer(connection, customer_id)
        if subject is None:
            abort(404)
        braid = _braid(connection, subject)
        known = None if braid["before"] else person(connection, customer_id)
    return render_template("timeline.html", known=known, **braid)


@blueprint.get("/orders/<path:number>")
def of_order(number: str) -> str:
    """The timeline of an order: who named it, and what happened to it."""
    with here.reading() as connection:
        subject = timeline.find(connection, number, here.hub().config.hub.country)
        if subject is None or subject.kind != "order":
            abort(404)
        braid = _braid(connection, subject)
        known = orders(connection, [subject.number]).get(subject.number)
        owners = [found for i in subject.customer_ids if (found := person(connection, i))]
    return render_template("order.html", order=known, owners=owners, **braid)


def _braid(connection: Connection, subject: Subject) -> dict[str, Any]:
    before = request.args.get("before")
    try:
        page = timeline.page(connection, subject, before, PAGE)
    except ValueError:
        abort(404)
    causes = deliveries_of_messages(connection, [e.id for e in page.entries if e.kind == "message"])
    return {"subject": subject, "entries": page.entries, "more": page.next, "before": before, "causes": causes}
