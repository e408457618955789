"""`/api/v1`: one blueprint a room, described by OpenAPI 3.1 from the schemas that check it."""

from typing import Any

from flask import Flask
from flask_smorest import Api


def install(app: Flask) -> None:
    """Register the API under /api/v1."""
    app.config.update(
        API_TITLE="Lanmu",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api",
        OPENAPI_JSON_PATH="openapi.json",
    )
    app.extensions["lanmu-api"] = Api(app)


def document(app: Flask) -> dict[str, Any]:
    """The OpenAPI document."""
    with app.app_context():
        described: dict[str, Any] = app.extensions["lanmu-api"].spec.to_dict()
        return described
