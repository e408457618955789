"""Who asks: the member of staff behind a cookie or a token, their language, and what they may do."""

import re
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from flask import Request, current_app, g, request
from werkzeug.datastructures import LanguageAccept

from lanmu.i18n import LOCALES
from lanmu.staff.service import Person

if TYPE_CHECKING:
    from lanmu.server import Server

LANGUAGE_COOKIE = "lanmu_lang"

# Browsers drop tabs and line ends from addresses and take "\\" for "/": "/\t/evil" is another site.
_LOCAL = re.compile(r"/(?!/)[^\x00-\x20\\\x7f]*")


def server() -> "Server":
    """The server that this request came to."""
    return cast("Server", current_app.extensions["lanmu"])


def person() -> Person | None:
    """Who is signed in, or None."""
    return cast("Person | None", g.get("person"))


def signed_in() -> Person:
    """Who is signed in, on a page that only staff can reach."""
    found = person()
    if found is None:
        raise RuntimeError("a view asked who is signed in although its permission is public")
    return found


def find_person(asked: Request) -> Person | None:
    """The person behind the bearer token or, without one, behind the session cookie.

    Tokens open the API alone: a page's form would let a program do what no scope gives it.
    """
    authorization = asked.headers.get("Authorization", "")
    if asked.path.startswith("/api/") and authorization.lower().startswith("bearer "):
        g.by_token = True
        return server().tokens.recognise(authorization[7:].strip())
    g.by_token = False
    cookie = asked.cookies.get(session_cookie())
    return server().staff.signed_in(cookie) if cookie else None


def local(target: str) -> str:
    """The address if it is a page of this site, whatever it says of itself; else "/"."""
    return target if _LOCAL.fullmatch(target) else "/"


def page_before() -> str:
    """The page of this site from which the request was made; "" where it is the board, or unknown."""
    told = urlsplit(request.headers.get("Referer", ""))
    if told.netloc != request.host or (told.path == request.path and request.method == "GET"):
        return ""
    page = opened_at(told.path)
    if told.query and page == told.path:
        page += f"?{told.query}"
    page = local(page)
    return page if page != "/" else ""


def opened_at(path: str) -> str:
    """The page of what a form sent to this path is about: the path, or the nearest above it that opens.

    A form that comes back with faults stands at the address it was sent to, which often takes nothing else.
    """
    pages = current_app.create_url_adapter(request)
    while path.strip("/") and not (pages is not None and pages.test(path, "GET")):
        path = path.rpartition("/")[0]
    return path or "/"


def session_cookie() -> str:
    """The cookie's name. Browsers keep `__Host-` cookies to this very host, but only over HTTPS."""
    return "__Host-lanmu" if secure() else "lanmu_session"


def secure() -> bool:
    """Whether people reach the server over HTTPS."""
    return server().config.server.base_url.startswith("https://")


def locale() -> str:
    """The language of this request: asked for, chosen before, the person's own, or the shop's.

    A program asks with Accept-Language. A browser sends it unasked, so there it says nothing.
    """
    if "locale" not in g:
        g.locale = _choose_locale()
    return cast(str, g.locale)


def _choose_locale() -> str:
    asked = request.args.get("lang")
    if asked in LOCALES:
        g.locale_chosen = asked
        return asked
    kept = request.cookies.get(LANGUAGE_COOKIE)
    if kept in LOCALES:
        return kept
    if g.get("by_token") and (named := _named_by_program()):
        return named
    who = person()
    return (who.locale if who else "") or server().config.server.locale


def _named_by_program() -> str | None:
    named = LanguageAccept([each for each in request.accept_languages if each[0] != "*"])
    return named.best_match(LOCALES)


def translate(text: str) -> str:
    """The text in this request's language."""
    return server().catalog.gettext(locale(), text)
