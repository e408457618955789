"""Signing in and out, the password, and the language."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from lanmu.i18n import LOCALES, _
from lanmu.interfaces.access import PUBLIC, requires
from lanmu.interfaces.errors import Invalid, LanmuError, filled
from lanmu.web.pages.acts import sentences
from lanmu.web.people import (
    LANGUAGE_COOKIE,
    local,
    person,
    secure,
    server,
    session_cookie,
    signed_in,
    translate,
)

blueprint = Blueprint("session", __name__)


@blueprint.get("/login")
@requires(PUBLIC)
def login() -> str | Response:
    if person():
        return redirect(local(request.args.get("next", "")))
    return _login_page([])


@blueprint.post("/login")
@requires(PUBLIC)
def enter() -> str | Response | tuple[str, int]:
    """Sign in; a wrong password is told on the page, in the same words for every cause."""
    username, password = request.form.get("username", ""), request.form.get("password", "")
    address = request.remote_addr or ""
    try:
        token, who = server().staff.login(username, password, address)
    except LanmuError as error:
        server().audit.record(username[:60], "login", allowed=False, address=address)
        return _login_page([translate(error.fault), translate(error.way_out)]), error.status
    server().audit.record(who.username, "login", address=address)
    return _with_session(redirect(local(request.form.get("next", ""))), token)


@blueprint.post("/logout")
@requires("content.view")
def logout() -> Response:
    token = request.cookies.get(session_cookie())
    if token:
        server().staff.logout(token)
    answer = redirect(url_for("session.login"))
    answer.delete_cookie(session_cookie(), path="/")
    return answer


@blueprint.post("/language")
@requires(PUBLIC)
def language() -> Response:
    locale = request.form.get("locale", "")
    if locale not in LOCALES:
        raise Invalid("locale", _("is not a language of Lanmu."))
    who = person()
    if who:
        server().staff.set_locale(who, locale)
    answer = redirect(local(request.form.get("next", "")))
    answer.set_cookie(
        LANGUAGE_COOKIE, locale, max_age=31536000, samesite="Lax", httponly=True, secure=secure()
    )
    return answer


@blueprint.route("/password", methods=["GET", "POST"])
@requires("content.view")
def password() -> str | Response | tuple[str, int]:
    """Choose a password of one's own; asked of whoever signed in with a one-time password."""
    if request.method == "GET":
        return render_template("password.html", errors={}, first=signed_in().must_change_password)
    form = request.form
    try:
        if form.get("new_password", "") != form.get("again", ""):
            raise Invalid("again", _("is not the same as the new password."))
        token = server().staff.change_password(
            signed_in(), form.get("old_password", ""), form.get("new_password", "")
        )
    except LanmuError as error:
        place = {"password": "new_password"}.get(error.place, error.place)
        text = filled(translate(error.fault), error.params) if error.params else translate(error.fault)
        page = render_template("password.html", errors={place: text}, first=signed_in().must_change_password)
        return page, error.status
    server().audit.record(signed_in().username, "password.change", address=request.remote_addr or "")
    told = _("The password is changed. Wherever else you were logged in, you are logged out.")
    flash(translate(told), "success")
    return _with_session(redirect(local(request.args.get("next", ""))), token)


def _with_session(answer: Response, token: str) -> Response:
    """The answer with the cookie of a session that has just begun."""
    answer.set_cookie(session_cookie(), token, httponly=True, secure=secure(), samesite="Strict", path="/")
    return answer


def _login_page(faults: list[str]) -> str:
    return render_template(
        "login.html",
        username=request.form.get("username", ""),
        faults=[sentences(*faults)] if faults else [],
        next=request.values.get("next", ""),
        first_start=server().first_password_unused(),
    )
