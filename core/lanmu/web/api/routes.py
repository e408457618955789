"""What every API route has: its permission in guard and document, strict arguments, pages with a cursor."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Request
from flask_smorest import Blueprint
from marshmallow import RAISE, Schema, fields, validate
from webargs.flaskparser import FlaskParser
from werkzeug.datastructures import MultiDict

from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.staff.roles import SCOPES

View = TypeVar("View", bound=Callable[..., Any])

IDEMPOTENCY_HEADER = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": _("Repeat a request with the same key to get the same answer without a second effect."),
}


class ProblemSchema(Schema):
    """RFC 9457 Problem Details, with a line for each fault."""

    type = fields.String()
    title = fields.String()
    status = fields.Integer()
    detail = fields.String()
    instance = fields.String()
    request_id = fields.String()
    errors = fields.List(fields.Dict(keys=fields.String(), values=fields.String()))


class PageArguments(Schema):
    """Which page of a list."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))
    cursor = fields.String(
        load_default="",
        validate=validate.Length(max=400),
        metadata={"description": _("next_cursor of the page before.")},
    )


class _StrictParser(FlaskParser):
    """Refuses a filter that no list has: without it, a mistyped one would answer with everything."""

    def __init__(self) -> None:
        super().__init__()
        self.DEFAULT_UNKNOWN_BY_LOCATION = {**self.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        every = MultiDict(req.args)
        every.pop("lang", None)  # every address of the server takes it
        return self._makeproxy(every, schema)


class _Room(Blueprint):  # type: ignore[misc]
    ARGUMENTS_PARSER = _StrictParser()


def room(title: str, detail: str) -> Blueprint:
    """The blueprint of one room of the API; its title, one word, names its tag and its module too."""
    name = title.lower()
    return _Room(f"api-{name}", f"lanmu.web.api.{name}", description=detail)


def allowed(blueprint: Blueprint, permission: str, summary: str) -> Callable[[View], View]:
    """Name a route's permission: the guard checks it, and the document names the scopes that give it.

    `summary` says in a marked text what the route does; the document keeps it in English.
    """

    def mark(view: View) -> View:
        scopes = sorted(scope for scope, given in SCOPES.items() if permission in given)
        documented: View = blueprint.doc(
            summary=summary,
            security=[{"bearer": []}],
            **{"x-permission": permission, "x-scopes": scopes},
        )(requires(permission)(view))
        return documented

    return mark
