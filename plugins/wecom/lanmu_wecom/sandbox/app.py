"""The sandbox as one Flask app: the platform's calls, the sandbox's own JSON, and the page of phones."""

from pathlib import Path

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from lanmu.interfaces.clock import Clock
from lanmu_wecom.sandbox import admin, api, pages
from lanmu_wecom.sandbox.options import Options
from lanmu_wecom.sandbox.store import Store
from lanmu_wecom.sandbox.world import World

_BODY_MAX = 24 * 1024 * 1024
_POLICY = "default-src 'self'; img-src 'self' https: http: data:; frame-ancestors 'none'; base-uri 'none'"


def build_app(clock: Clock, state_path: Path | None, options: Options) -> Flask:
    """A fresh app with its own memory."""
    app = Flask(__name__, static_url_path="/sandbox/static")
    app.config["MAX_CONTENT_LENGTH"] = _BODY_MAX
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.extensions["wecom_sandbox"] = World(clock, Store(state_path), options)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(admin.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_error_handler(HTTPException, _empty)
    app.after_request(_head)
    return app


def _empty(error: HTTPException) -> Response:
    return Response(b"", error.code or 500)


def _head(response: Response) -> Response:
    response.headers["Server"] = "nginx"
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
