"""The guard before every view: host, permission and forged requests; and the headers after it."""

import hmac
import re
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from flask import Flask, Response, current_app, flash, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from lanmu.config import ServerConfig
from lanmu.i18n import _
from lanmu.interfaces.access import PUBLIC, SIGNED, act_as
from lanmu.interfaces.errors import Denied, Invalid
from lanmu.web.pages.words import word
from lanmu.web.people import LANGUAGE_COOKIE, find_person, page_before, person, secure, server, translate

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; "
    "frame-src 'self'; frame-ancestors 'none'"
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN_IN_URL = re.compile(r"(lanmu_[0-9A-Za-z]{8}_[0-9A-Za-z]*)")


def install(app: Flask) -> None:
    """Put the guard in front of every view of the app."""
    app.before_request(_check)
    app.after_request(_finish)


def permission_of(app: Flask, endpoint: str, method: str) -> str | None:
    """The permission that a view names for a method, None where it names none."""
    view = app.view_functions[endpoint]
    if is_static(endpoint):
        return PUBLIC
    view_class = getattr(view, "view_class", None)
    if view_class is not None:
        handler = getattr(view_class, method.lower(), None) or getattr(view_class, "get", None)
        return getattr(handler, "lanmu_permission", None)
    return getattr(view, "lanmu_permission", None)


def is_static(endpoint: str) -> bool:
    """Whether an endpoint answers with files that are the same for everybody."""
    return endpoint == "static" or endpoint.endswith(".static")


def _check() -> AnyResponse | None:
    _check_host()
    typed = unquote(request.query_string.decode("latin-1"))
    if leaked := _TOKEN_IN_URL.search(typed):
        _revoke(leaked[1])
        raise Denied(
            "Authorization",
            _("a token was sent in the address, where logs keep it; it is revoked."),
            _("Make a new one and send it in the Authorization header."),
        )
    _check_text(typed)
    g.person = find_person(request)
    act_as(g.person.username if g.person else "")
    if request.endpoint is None:
        return None  # no such page: Flask answers 404 or 405
    permission = permission_of(current_app, request.endpoint, request.method)
    if permission is None:
        raise Denied(request.path, _("this page names no permission, so nobody may open it."))
    _check_origin()
    if permission in (PUBLIC, SIGNED):
        return None
    who = person()
    if who is None:
        return _ask_to_sign_in()
    if request.method not in _SAFE and not g.by_token:
        _check_form_token(who.csrf)
    if not who.may(permission):
        server().audit.record(
            who.username,
            f"{request.method} {request.endpoint}",
            request.path,
            permission=permission,
            allowed=False,
            address=request.remote_addr or "",
        )
        raise Denied(
            request.path,
            _("you may not do this: it needs the permission “%(needed)s”."),
            needed=_in_words(permission),
        )
    if who.must_change_password and not g.by_token and request.endpoint not in _WITH_ONE_TIME_PASSWORD:
        asked = request.full_path.rstrip("?") if _asks_for_a_page() else "/"
        return _go_to(url_for("session.password", next=asked if asked != "/" else None))
    return None


def _in_words(permission: str) -> str:
    """A permission as people know it; a program is told its code."""
    return permission if request.path.startswith("/api/") else translate(word(permission, "permission"))


def _revoke(token: str) -> None:
    """End a token that somebody sent where it can be read; a guessed one is nobody's and ends nothing."""
    owner = server().tokens.recognise(token)
    if owner is not None:
        server().tokens.revoke(token.split("_")[1])
        server().audit.record(owner.username, "token.revoke", request.path, allowed=False)


_WITH_ONE_TIME_PASSWORD = frozenset({"session.password", "session.logout", "session.language"})


def _ask_to_sign_in() -> AnyResponse:
    if request.path.startswith("/api/"):
        answer = Denied(
            "Authorization", _("is missing, unknown or has run out."), _("Send a live API token.")
        )
        answer.status, answer.code = 401, "unauthorized"
        raise answer
    if request.endpoint == "session.logout":
        return _go_to(url_for("session.login"))
    if request.method not in _SAFE:
        gone = _("You are not logged in any more, so this was not stored. Log in, then do it once more.")
        flash(translate(gone), "warning")
    # What a form asked for, or a part of a page, is no place to come back to; the page it stood on is.
    back = request.full_path.rstrip("?") if _asks_for_a_page() else page_before()
    return _go_to(url_for("session.login", next=back if back not in ("", "/") else None))


def _asks_for_a_page() -> bool:
    """Whether a browser could ask for the same again; a form's address and a part of a page are no pages."""
    return request.method == "GET" and not request.headers.get("HX-Request")


def _go_to(page: str) -> AnyResponse:
    """Send a browser on; htmx would put the answer to a redirect into the middle of the page."""
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Redirect": page})
    if request.path.startswith("/api/"):
        raise Denied("password", _("is still the one-time one."), _("Choose your own in the console first."))
    return redirect(page)


def _check_text(query: str) -> None:
    """No text holds NUL, and PostgreSQL keeps none that does; told here, it is no crash in a query."""
    form = request.form.values() if request.content_length else ()
    if any("\0" in text for text in (request.path, query, *form)):
        raise Invalid(request.path.replace("\0", ""), _("the address or the form holds the character NUL."))


def _check_host() -> None:
    host = _hostname(request.host)
    if host not in _names(server().config.server):
        raise Invalid(
            "Host",
            _("this server does not go by the name %(host)s."),
            _("Add it to server.allowed_hosts in config.toml."),
            host=host or request.headers.get("Host", ""),
        )


@lru_cache(maxsize=8)
def _names(config: ServerConfig) -> frozenset[str | None]:
    """The names that the server goes by."""
    allowed = {urlsplit(config.base_url).hostname, *config.allowed_hosts}
    if config.host in ("127.0.0.1", "localhost", "::1") or not config.base_url.startswith("https://"):
        allowed |= {"127.0.0.1", "localhost", "::1", config.host}
    return frozenset(allowed)


@lru_cache(maxsize=256)
def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # a bracket without its other half
        return ""


def _check_origin() -> None:
    """Refuse what another site makes a browser send; programs send none of these headers."""
    if request.method in _SAFE or g.by_token:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:
        origin = request.headers.get("Origin") or request.headers.get("Referer")
        foreign = origin is not None and urlsplit(origin).netloc != request.host
    if foreign:
        raise Denied(request.path, _("the request came from another site and was not carried out."))


def _check_form_token(expected: str) -> None:
    given = request.headers.get("X-CSRF-Token") or request.form.get("csrf_token", "")
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        old = Denied(
            request.path,
            _("You logged in again after this page was opened, so nothing of it was stored."),
            _("Go back to the page, load it again and send it once more."),
        )
        old.code = "old_form"
        raise old


def _finish(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers["X-Content-Type-Options"] = "nosniff"
    headers.setdefault("Referrer-Policy", "same-origin")
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "geolocation=(), camera=(), microphone=(), payment=()"
    headers["X-Request-Id"] = g.get("request_id", "")
    if secure():
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if not is_static(request.endpoint or ""):
        headers.setdefault("Cache-Control", "no-store")
    if chosen := g.get("locale_chosen"):
        response.set_cookie(
            LANGUAGE_COOKIE, chosen, max_age=31536000, samesite="Lax", httponly=True, secure=secure()
        )
    return response
