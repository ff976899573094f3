"""`/api/v1`: what the pages show and do, for programs. Errors are JSON with what to do next."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from hub.store import timeline
from hub.store.overview import Alert, Counts, counts, health_rows, open_alerts, waiting_for
from hub.store.reading_answers import AnswerRow, answers
from hub.store.reading_cases import CaseFacts, OrderOnCase, RefRow, case_view
from hub.store.reading_customers import CustomerRow, Person, customers, person
from hub.store.reading_deliveries import STATES, DeliveryRow, KeptRow, deliveries, kept_unread
from hub.store.timeline import Entry, Subject
from hub.web import here
from hub.web.instances import InstanceView, PluginView, instance_views, plugin_views
from hub.web.operations import Parameter, operation
from hub.web.tokens import problem

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")

_PAGE = (
    Parameter("before", "Go on after the last page: its `next`."),
    Parameter("limit", "Entries on a page, 1 to 200; 50 unless told.", int),
)
UNKNOWN = "list them first: ids and numbers come from the lists"


class BadRequest(Exception):
    """Something in the request cannot be understood; becomes a 400 in the API's shape."""


@blueprint.errorhandler(BadRequest)
def bad_request(error: BadRequest) -> tuple[Response, int]:
    """400 with the sentence."""
    return problem(400, "bad_request", str(error), "see /api/v1/openapi.json")


def _number(name: str, default: int | None = None) -> int | None:
    given = request.args.get(name)
    if given is None:
        return default
    if not given.isdecimal() or len(given) > 18:
        raise BadRequest(f'"{name}" must be a whole number')
    return int(given)


def _limit() -> int:
    return max(1, min(_number("limit", 50) or 1, timeline.MOST))


@blueprint.get("/timeline")
@operation(
    "The braid of a customer, an order or a case, newest first",
    scope="read",
    parameters=(
        Parameter("key", "An e-mail, phone, handle, `crm:12`, order or case number, or a name.", required=True),
        *_PAGE,
    ),
    returns={"subject": Subject, "entries": tuple[Entry, ...], "next": str | None},
    errors=(400, 404),
)
def read_timeline() -> Any:
    """A name only lists candidates: `subject.candidates`, each with the key to ask again."""
    key, country = request.args.get("key", "").strip(), here.hub().config.hub.country
    if not key:
        raise BadRequest('"key" is missing: an address, an order number or a case number')
    with here.reading() as connection:
        subject = timeline.find(connection, key, country)
        if subject is None:
            return problem(404, "not_found", "nobody and nothing is known by this key", "check its spelling")
        try:
            page = timeline.page(connection, subject, request.args.get("before"), _limit())
        except ValueError as error:
            raise BadRequest(str(error)) from error
    return {"subject": subject, "entries": page.entries, "next": page.next}


@blueprint.get("/customers")
@operation(
    "Customers, newest first",
    scope="read",
    parameters=(Parameter("search", "The beginning of an address or of a word of the name."), *_PAGE),
    returns={"customers": tuple[CustomerRow, ...], "next": int | None},
    errors=(400,),
)
def list_customers() -> Any:
    """Keyset paging by id."""
    before, limit = _number("before"), _limit()
    with here.reading() as connection:
        rows, more = customers(connection, search=request.args.get("search", ""), before=before, limit=limit)
    return {"customers": rows, "next": more}


@blueprint.get("/customers/<int:customer_id>")
@operation("One customer with all that is known", scope="read", returns={"customer": Person}, errors=(404,))
def read_customer(customer_id: int) -> Any:
    """With the evidence that joins the identities."""
    with here.reading() as connection:
        found = person(connection, customer_id)
    return {"customer": found} if found else problem(404, "not_found", "there is no such customer", UNKNOWN)


@blueprint.get("/cases/<path:number>")
@operation(
    "One case with its messages, suggestions and deliveries",
    scope="read",
    returns={
        "case": CaseFacts,
        "refs": tuple[RefRow, ...],
        "orders": tuple[OrderOnCase, ...],
        "entries": tuple[Entry, ...],
        "deliveries": tuple[DeliveryRow, ...],
    },
    errors=(404,),
)
def read_case(number: str) -> Any:
    """Messages oldest first."""
    with here.reading() as connection:
        view = case_view(connection, number)
    if view is None:
        return problem(404, "not_found", "there is no such case", "case numbers stand on every timeline")
    return {
        "case": view.case,
        "refs": view.refs,
        "orders": view.orders,
        "entries": view.entries,
        "deliveries": view.deliveries,
    }


@blueprint.get("/deliveries")
@operation(
    "What is owed to far sides, newest first",
    scope="read",
    parameters=(
        Parameter("state", "Only those in this state.", choices=STATES),
        Parameter("instance", "Only those of this instance."),
        *_PAGE,
    ),
    returns={"deliveries": tuple[DeliveryRow, ...], "next": int | None},
    errors=(400,),
)
def list_deliveries() -> Any:
    """Keyset paging by id."""
    state, instance = request.args.get("state", ""), request.args.get("instance", "")
    if state and state not in STATES:
        raise BadRequest(f'"state" is one of {", ".join(STATES)}')
    before, limit = _number("before"), _limit()
    with here.reading() as connection:
        rows, more = deliveries(connection, state=state, instance=instance, before=before, limit=limit)
    return {"deliveries": rows, "next": more}


@blueprint.get("/kept")
@operation(
    "What was received and could not be read, newest first",
    scope="read",
    parameters=_PAGE,
    returns={"kept": tuple[KeptRow, ...], "next": int | None},
    errors=(400,),
)
def list_kept() -> Any:
    """The bytes are safe; `reason` tells why they were not understood."""
    before, limit = _number("before"), _limit()
    with here.reading() as connection:
        rows, more = kept_unread(connection, before=before, limit=limit)
    return {"kept": rows, "next": more}


@blueprint.get("/instances")
@operation("Every configured instance and how it is", scope="read", returns={"instances": tuple[InstanceView, ...]})
def list_instances() -> Any:
    """Health as the admin's first page shows it."""
    with here.reading() as connection:
        return {"instances": instance_views(here.hub(), health_rows(connection), waiting_for(connection))}


@blueprint.get("/alerts")
@operation("What needs a person now, newest first", scope="read", returns={"alerts": tuple[Alert, ...]})
def list_alerts() -> Any:
    """One alert per cause; it goes when the cause is gone."""
    with here.reading() as connection:
        return {"alerts": open_alerts(connection)}


@blueprint.get("/plugins")
@operation("Every installed plugin and what it offers", scope="read", returns={"plugins": tuple[PluginView, ...]})
def list_plugins() -> Any:
    """Plugins that failed to load are listed with their error."""
    return {"plugins": plugin_views(here.hub())}


@blueprint.get("/answers")
@operation(
    "Approved answers",
    scope="read",
    parameters=(
        Parameter("search", "Words of the question or the answer."),
        Parameter("language", "Only wordings in this language."),
        *_PAGE,
    ),
    returns={"answers": tuple[AnswerRow, ...], "next": int | None},
    errors=(400,),
)
def list_answers() -> Any:
    """Newest change first within the paging by id."""
    before, limit = _number("before"), _limit()
    asked = {name: request.args.get(name, "") for name in ("search", "language")}
    with here.reading() as connection:
        rows, more = answers(connection, **asked, before=before, limit=limit)
    return {"answers": rows, "next": more}


@blueprint.get("/figures")
@operation("The hub in numbers", scope="read", returns={"figures": Counts})
def read_figures() -> Any:
    """The same as `/metrics`, as JSON."""
    with here.reading() as connection:
        return {"figures": counts(connection, here.now())}
