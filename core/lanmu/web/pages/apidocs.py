"""接口文档: the OpenAPI document as a page, served by us and without a line of script."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, current_app, render_template

from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.web.people import server

blueprint = Blueprint("apidocs", __name__)

_VERBS = ("get", "post", "put", "patch", "delete")
_DEPTH = 4

_ANSWERS = {
    "200": _("It worked"),
    "201": _("It was created"),
    "422": _("Something in the request is not valid"),
    "default": _("Every other error, as Problem Details"),
}
"""What an answer means; the document has only the phrases of HTTP for it."""

Document = Mapping[str, Any]


@blueprint.get("/api/docs")
@requires("content.view")
def index() -> str:
    document = current_app.extensions["lanmu-api"].spec.to_dict()
    return render_template(
        "apidocs.html",
        title=f"{document['info']['title']} API",
        api_version=document["info"]["version"],
        openapi_url="/api/openapi.json",
        rooms=rooms_of(document, server().config.server.base_url),
    )


def rooms_of(document: Document, base_url: str) -> list[dict[str, Any]]:
    """Every operation of an OpenAPI document, by tag in the document's order; its texts are marked ones."""
    details = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    rooms: dict[str, list[dict[str, Any]]] = {name: [] for name in details}
    for path, item in document.get("paths", {}).items():
        for verb in _VERBS:
            if verb in item:
                operation = item[verb]
                room = (operation.get("tags") or [""])[0]
                shared = item.get("parameters", ())
                rooms.setdefault(room, []).append(
                    _operation(document, path, verb, operation, shared, base_url)
                )
    return [
        {
            "name": name.removeprefix("api-").capitalize(),
            "anchor": f"room-{number}",
            "detail": details.get(name, ""),
            "operations": operations,
        }
        for number, (name, operations) in enumerate(rooms.items())
        if operations
    ]


def _operation(
    document: Document, path: str, verb: str, operation: Document, shared: Sequence[Any], base_url: str
) -> dict[str, Any]:
    parameters = [_resolved(document, each) for each in (*shared, *operation.get("parameters", ()))]
    content: Document = _resolved(document, operation.get("requestBody", {})).get("content", {})
    kind = next(iter(content), "")
    body: Document = content.get(kind, {})
    fields = _fields(document, body.get("schema", {})) if body else []
    example = body.get("example") or {each["name"]: each["sample"] for each in fields if each["required"]}
    return {
        "id": operation.get("operationId") or f"{verb}-{path.strip('/').replace('/', '-')}",
        "verb": verb,
        "path": path,
        "summary": operation.get("summary", ""),
        "detail": operation.get("description", ""),
        "scope": " · ".join(operation.get("x-scopes", ())),
        "parameters": [_parameter(document, each) for each in parameters],
        "body": {"fields": fields} if fields else None,
        "answers": [
            _answer(document, str(status), _resolved(document, answer))
            for status, answer in operation.get("responses", {}).items()
        ],
        "curl": _curl(verb, base_url + path, kind, example if fields else None),
    }


def _curl(verb: str, url: str, kind: str, example: Any) -> str:
    lines = [f"curl -X {verb.upper()} '{url}'", "-H 'Authorization: Bearer $TOKEN'"]
    if verb == "post":
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
    if example is not None:
        lines += [f"-H 'Content-Type: {kind}'", f"-d '{json.dumps(example, ensure_ascii=False)}'"]
    return " \\\n  ".join(lines)


def _answer(document: Document, status: str, answer: Document) -> dict[str, Any]:
    content: Document = next(iter(answer.get("content", {}).values()), {})
    good = status.startswith("2")
    return {
        "status": status,
        "detail": _ANSWERS.get(status) or answer.get("description", ""),
        "fields": _fields(document, content.get("schema", {})) if good else [],
    }


def _parameter(document: Document, parameter: Document) -> dict[str, Any]:
    schema = _resolved(document, parameter.get("schema", {}))
    return {
        "name": parameter.get("name", ""),
        "where": parameter.get("in", ""),
        "required": bool(parameter.get("required")),
        "type": _type(document, schema),
        "detail": parameter.get("description", "") or schema.get("description", ""),
    }


def _fields(document: Document, schema: Document, before: str = "", depth: int = 0) -> list[dict[str, Any]]:
    """The fields of an object, those within it as `outer.inner`, those in a list as `list[].inner`."""
    found = _resolved(document, schema)
    if "allOf" in found:
        return [field for part in found["allOf"] for field in _fields(document, part, before, depth)]
    if found.get("type") == "array":
        return _fields(document, found.get("items", {}), f"{before}[]", depth)
    required = set(found.get("required", ()))
    fields: list[dict[str, Any]] = []
    for name, given in found.get("properties", {}).items():
        inner = _resolved(document, given)
        whole = f"{before}.{name}" if before else name
        fields.append(
            {
                "name": whole,
                "type": _type(document, inner),
                "required": name in required,
                "detail": given.get("description", "") or inner.get("description", ""),
                "where": "",
                "sample": _sample(inner),
            }
        )
        if depth < _DEPTH and ("properties" in inner or inner.get("type") == "array"):
            fields += _fields(document, inner, whole, depth + 1)
    return fields


def _type(document: Document, schema: Document) -> str:
    if "enum" in schema:
        return " · ".join(str(value) for value in schema["enum"])
    kind = schema.get("type", "")
    if kind == "array":
        return f"[{_type(document, _resolved(document, schema.get('items', {})))}]"
    if isinstance(kind, list):
        kind = " | ".join(kind)
    form = schema.get("format")
    return f"{kind} ({form})" if form else str(kind or "object")


def _sample(schema: Document) -> Any:
    if "example" in schema:
        return schema["example"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    return {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}.get(str(kind), "…")


def _resolved(document: Document, part: Document) -> Document:
    """The part itself, or what its `$ref` points to inside the document."""
    seen = 0
    while "$ref" in part and seen < 10:
        target: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            target = target.get(name, {}) if isinstance(target, Mapping) else {}
        part, seen = target, seen + 1
    return part
