"""`/api/v1`: one blueprint a room, described by OpenAPI 3.1 from the schemas that check it."""

from functools import partial
from typing import Any

from flask import Flask
from flask_smorest import Api

from lanmu.interfaces.access import PUBLIC, requires
from lanmu.web.api import communities, events, materials, members, pushes, schedule, strict_json
from lanmu.web.api.routes import ProblemSchema


class _Api(Api):  # type: ignore[misc]
    """Describes its errors as they are answered."""

    ERROR_SCHEMA = ProblemSchema


def install(app: Flask) -> None:
    """Register the API under /api/v1."""
    app.config.update(
        API_TITLE="Lanmu",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api",
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS={
            "info": {"description": "Content, columns, pushes, members and points of a Lanmu server."},
        },
    )
    app.before_request(strict_json.check)
    api = _Api(app)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    for room in (materials, schedule, pushes, communities, members, events):
        api.register_blueprint(room.blueprint, url_prefix="/api/v1")
    app.extensions["lanmu-api"] = api
    _open_to_all(app, "api-docs.openapi_json")


def _open_to_all(app: Flask, endpoint: str) -> None:
    """Name the permission of a view that flask-smorest brings along: what an API looks like is no secret."""
    app.view_functions[endpoint] = requires(PUBLIC)(partial(app.view_functions[endpoint]))


def document(app: Flask) -> dict[str, Any]:
    """The OpenAPI document."""
    with app.app_context():
        described: dict[str, Any] = app.extensions["lanmu-api"].spec.to_dict()
        return described
