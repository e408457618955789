"""The Flask app: blueprints, templates in two languages, errors as pages or as Problem Details."""

import logging
import secrets
import time
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response, g, jsonify, render_template, request
from flask.sessions import SecureCookieSessionInterface
from marshmallow import Schema
from werkzeug.exceptions import HTTPException

from lanmu import validation
from lanmu.i18n import _
from lanmu.interfaces.errors import Faults, Invalid, LanmuError, filled
from lanmu.web import guard, health, session, show
from lanmu.web.api import install as install_api
from lanmu.web.pages import install as install_pages
from lanmu.web.pages.acts import sentences
from lanmu.web.people import local, opened_at, page_before, server, translate

if TYPE_CHECKING:
    from lanmu.server import Server

log = logging.getLogger(__name__)

_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


class _FlashSession(SecureCookieSessionInterface):
    """Reads the cookie of flashed words where there is one; programs that call the API have none."""

    def open_session(self, app: Flask, request: Request) -> Any:
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)


def create_app(lanmu: "Server") -> Flask:
    """The web of one server."""
    app = Flask("lanmu.web", static_folder="static", template_folder="templates")
    app.extensions["lanmu"] = lanmu
    app.config.update(
        MAX_CONTENT_LENGTH=12 * 1024 * 1024,
        MAX_FORM_MEMORY_SIZE=1024 * 1024,
        MAX_FORM_PARTS=500,
        # Flask's own session carries nothing but the words to show once on the next page.
        SECRET_KEY=lanmu.signer.key("flashes"),
        SESSION_COOKIE_NAME="lanmu_flash",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=lanmu.config.server.base_url.startswith("https://"),
        SEND_FILE_MAX_AGE_DEFAULT=3600,
    )
    app.session_interface = _FlashSession()
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]  # an answer's fields stand as its schema has them
    _speak_two_languages(app)
    show.install(app)
    app.before_request(_begin)
    guard.install(app)
    app.after_request(_note)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(session.blueprint)
    install_pages(app)
    install_api(app)
    _mount_plugins(app, lanmu)
    app.register_error_handler(LanmuError, _tell_lanmu_error)
    app.register_error_handler(HTTPException, _tell_http_error)
    app.register_error_handler(Exception, _tell_crash)
    return app


def _speak_two_languages(app: Flask) -> None:
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        translate, lambda one, many, n: translate(one if n == 1 else many), newstyle=True
    )


def _mount_plugins(app: Flask, lanmu: "Server") -> None:
    for name, blueprint in lanmu.plugins.offers("lanmu_blueprints"):
        before = set(app.view_functions)
        try:
            app.register_blueprint(blueprint, url_prefix=f"/p/{name}")
        except Exception as error:  # noqa: BLE001  a name that is taken, or no blueprint at all
            lanmu.plugins.set_aside(name, error)
            continue
        for endpoint in set(app.view_functions) - before:
            if guard.permission_of(app, endpoint, "GET") is None:
                # The guard would refuse each request anyway; told at start, its author finds it at once.
                view = {"plugin": name, "endpoint": endpoint}
                log.warning("plugin view without a permission is closed", extra=view)
    addresses = app.url_map.bind("")
    for name, item in lanmu.plugins.offers("lanmu_menu"):
        try:
            if item.endpoint in app.view_functions:  # one that is not there is not shown
                addresses.build(item.endpoint, item.params)
        except Exception as error:  # noqa: BLE001  it would end every page of the console, which builds it too
            lanmu.plugins.set_aside(name, error)


_LIFE = secrets.token_hex(5)
_numbers = count(1)


def _begin() -> None:
    # No secret, only unlike all others: asking the system for randomness each time would make eight busy
    # threads wait for one another.
    g.request_id = f"{_LIFE}{next(_numbers):06x}"
    g.began = time.perf_counter()


def _note(response: Response) -> Response:
    seconds = time.perf_counter() - g.get("began", time.perf_counter())
    endpoint = request.endpoint or "none"
    # Methods are made up by whoever asks, and each would be a series of its own for ever.
    method = request.method if request.method in _METHODS else "other"
    server().meters.requests.labels(endpoint, method, response.status_code).inc()
    server().meters.request_seconds.labels(endpoint).observe(seconds)
    log.debug(
        "request",
        extra={
            "request_id": g.get("request_id"),
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "ms": round(seconds * 1000, 1),
        },
    )
    return response


def _wants_page() -> bool:
    return not request.path.startswith("/api/") and "text/html" in request.headers.get("Accept", "")


def _tell_lanmu_error(error: LanmuError) -> tuple[Any, int]:
    return _tell(error.status, error.code, error)


def _tell_http_error(error: HTTPException) -> Any:
    code = error.code or 500
    if code < 400:
        return error
    data = getattr(error, "data", None) or {}
    if "messages" in data:
        return _tell(code, "invalid", Faults(_faults_of_request(data["messages"], data.get("schema"))))
    texts = {
        404: _("there is nothing at this address."),
        405: _("this address does not take that kind of request."),
        413: _("the file or form is too large."),
        415: _("send JSON with the content type application/json."),
        429: _("too many requests; wait a little."),
    }
    fault = texts.get(code, error.description or error.name)
    return _tell(code, error.name.lower().replace(" ", "_"), LanmuError("", fault))


def _faults_of_request(messages: Mapping[str, object], schema: Schema | None) -> list[Invalid]:
    """What is wrong with a request's values; `messages` has them by where in the request they stand."""
    found = [
        (location, fault)
        for location, inner in messages.items()
        for fault in validation.faults(inner, schema)
    ]
    return [
        fault if fault.place else Invalid("body" if location == "json" else location, fault.fault)
        for location, fault in found
    ]


def _tell_crash(error: Exception) -> tuple[Any, int]:
    where = {"request_id": g.get("request_id"), "path": request.path}
    log.error("request failed", extra=where, exc_info=error)
    fault = _("Something went wrong on our side; nothing you stored is lost.")
    way_out = _("Try again. If it stays, tell your administrator this number: %(id)s")
    return _tell(500, "internal", LanmuError("", fault, way_out, id=g.get("request_id", "")))


def _tell(status: int, code: str, error: LanmuError) -> tuple[Any, int]:
    faults = [_in_words(each) for each in (error.faults if isinstance(error, Faults) else (error,))]
    if _wants_page():
        page = "error_partial.html" if request.headers.get("HX-Request") else "error.html"
        words = {"fault": "\n".join(_for_a_person(each, status) for each in faults)}
        words["way_out"] = sentences(*(each["way_out"] for each in faults))
        seen = {
            "code": code,
            "back": page_before() or (local(opened_at(request.path)) if status == 405 else ""),
            "request_id": g.get("request_id"),
        }
        return render_template(page, status=status, **words, **seen), status
    problem = {
        "type": f"about:blank#{code}",
        "title": f"{faults[0]['place']}: {faults[0]['fault']}".removeprefix(": "),
        "status": status,
        "detail": " ".join(
            f"{each['place']}: {each['fault']} {each['way_out']}".strip(" :") for each in faults
        ),
        "errors": faults,
        "instance": request.path,
        "request_id": g.get("request_id"),
    }
    response = jsonify(problem)
    response.mimetype = "application/problem+json"
    if status == 429:
        response.headers["Retry-After"] = "60"
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response, status


def _for_a_person(fault: dict[str, str], status: int) -> str:
    """A fault as a page tells it: what was looked for by its address stands in the words already."""
    named = fault["place"] and not fault["place"].startswith("/") and status != 404
    return f"{fault['place']}: {fault['fault']}" if named else fault["fault"]


def _in_words(error: LanmuError) -> dict[str, str]:
    """An error in the reader's language, its parameters filled in."""

    def fill(text: str) -> str:
        translated = translate(text)
        return filled(translated, error.params) if error.params else translated

    return {
        "place": error.place,
        "fault": fill(error.fault),
        "way_out": fill(error.way_out) if error.way_out else "",
    }
