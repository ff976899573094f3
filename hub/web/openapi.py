"""`/api/v1/openapi.json`, made from the routes and their own descriptions: there is nothing to keep in step."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify
from werkzeug.routing import Rule

from hub import __version__
from hub.web import here
from hub.web.operations import Operation, Schema, schema

blueprint = Blueprint("openapi", __name__, url_prefix="/api/v1")

PREFIX = "/api/v1/"
_REASONS = {
    400: "Something in the request cannot be understood",
    401: "No token, or one that is not known",
    403: "The token lacks the scope",
    404: "There is no such thing",
    409: "Its state does not allow this",
}


@blueprint.get("/openapi.json")
def document_view() -> Response:
    """The document itself; it tells no secret and needs no token."""
    return jsonify(document(current_app, here.hub().config.hub.address))


def document(app: Flask, address: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the routes of `app` that carry a description."""
    named: dict[str, Schema] = {"Error": _error_schema()}
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda r: r.rule):
        described = getattr(app.view_functions[rule.endpoint], "operation", None)
        if described is None:
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            paths.setdefault(template(rule), {})[method.lower()] = _operation(rule, described, named)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tresse",
            "version": __version__,
            "description": "Timelines, cases, deliveries and answers. Pages go on with `next`, given back as `before`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": address}],
        "paths": paths,
        "components": {
            "schemas": named,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def template(rule: Rule) -> str:
    """``/api/v1/cases/<path:number>`` as OpenAPI writes it: ``/api/v1/cases/{number}``."""
    return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)


def _operation(rule: Rule, described: Operation, named: dict[str, Schema]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "operationId": rule.endpoint.partition(".")[2],
        "summary": described.summary,
        "parameters": _parameters(rule, described),
        "responses": _responses(described, named),
    }
    if described.scope:
        result["security"] = [{"token": []}]
        result["description"] = f"Needs a token with the scope `{described.scope}`."
    if described.body is not None:
        result["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _object(described.body, named)}},
        }
    return result


def _parameters(rule: Rule, described: Operation) -> list[dict[str, Any]]:
    converters: dict[str, Any] = rule._converters  # noqa: SLF001 - werkzeug tells a rule's types nowhere else
    in_path = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer" if type(converters[name]).__name__ == "IntegerConverter" else "string"},
        }
        for name in sorted(rule.arguments)
    ]
    in_query = []
    for parameter in described.parameters:
        kind = schema(parameter.type, {})
        if parameter.choices:
            kind["enum"] = list(parameter.choices)
        in_query.append(
            {
                "name": parameter.name,
                "in": "query",
                "required": parameter.required,
                "description": parameter.description,
                "schema": kind,
            }
        )
    return in_path + in_query


def _responses(described: Operation, named: dict[str, Schema]) -> dict[str, Any]:
    fine = {"description": "Done", "content": {"application/json": {"schema": _object(described.returns, named)}}}
    statuses = sorted({*described.errors, *((401, 403) if described.scope else ())})
    refused = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    return {"200": fine} | {str(s): {"description": _REASONS[s], **refused} for s in statuses}


def _object(of: Any, named: dict[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": {name: schema(kind, named) for name, kind in of.items()},
        "required": list(of),
    }


def _error_schema() -> Schema:
    words = {"type": "string"}
    inner = {"type": "object", "properties": {"code": words, "message": words, "hint": words}}
    return {
        "type": "object",
        "properties": {"error": inner | {"required": ["code", "message", "hint"]}},
        "required": ["error"],
    }
