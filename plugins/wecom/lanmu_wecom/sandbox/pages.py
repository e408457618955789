"""The page of phones: one template, its texts in two languages, and the script that keeps it fresh."""

from flask import Blueprint, Response, jsonify, render_template, request

from lanmu.i18n import Catalog, _
from lanmu.interfaces.access import PUBLIC, requires

blueprint = Blueprint("pages", __name__)
_catalog = Catalog(("lanmu_wecom",))

TEXTS = {
    "all": _("Send to all"),
    "app": _("App message"),
    "cancelled": _("Withdrawn by the company"),
    "chosen": _("Send to the ticked ones"),
    "customers": _("customers"),
    "declined": _("Put away, not sent"),
    "dispatching": _("On its way to this phone…"),
    "done": _("Sent"),
    "empty_chat": _("No message yet. What Lanmu sends appears here."),
    "empty_tasks": _(
        "No broadcast waits. When Lanmu makes one for this employee, it appears here to be confirmed."
    ),
    "failed": _("not reached"),
    "file": _("File"),
    "groups": _("customer groups"),
    "image": _("[Picture]"),
    "link": _("[Link]"),
    "lost": _("The sandbox does not answer. Trying again…"),
    "messages": _("Messages"),
    "none": _("Do not send"),
    "no_friend": _("no longer friends"),
    "open": _("To be confirmed"),
    "part": _("Sent to some"),
    "quota": _("this month's number is used up"),
    "reached": _("reached"),
    "reminded": _("reminded"),
    "task_from": _("Please send this to"),
    "tasks": _("Broadcasts"),
    "yesterday": _("Yesterday"),
}


def _locale() -> str:
    return "en" if request.args.get("lang") == "en" else "zh-CN"


@blueprint.get("/")
@requires(PUBLIC)
def index() -> str:
    locale = _locale()
    return render_template("sandbox.html", locale=locale, _=lambda text: _catalog.gettext(locale, text))


@blueprint.get("/sandbox/texts.json")
@requires(PUBLIC)
def texts() -> Response:
    """The script's texts in the page's language."""
    locale = _locale()
    return jsonify({name: _catalog.gettext(locale, text) for name, text in TEXTS.items()})


@blueprint.get("/favicon.ico")
@requires(PUBLIC)
def favicon() -> Response:
    return Response(b"", 204)
