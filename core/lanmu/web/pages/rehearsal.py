"""演练: play the columns' coming days through on virtual recipients, watch it, and read what came of it."""

from datetime import timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from flask import Blueprint, current_app, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response

from lanmu.i18n import from_store
from lanmu.interfaces.access import requires
from lanmu.rehearsal import service
from lanmu.rehearsal.report import HOW, KINDS, Report
from lanmu.rehearsal.service import Rehearsals, asked_for
from lanmu.web.pages.acts import act, day_of, say, whole
from lanmu.web.people import server, signed_in, translate

blueprint = Blueprint("rehearsal", __name__)

_EXTENSION = "lanmu-rehearsals"


@blueprint.record_once
def _make(mounted: BlueprintSetupState) -> None:
    mounted.app.extensions[_EXTENSION] = Rehearsals(mounted.app.extensions["lanmu"])


def rehearsals() -> Rehearsals:
    """This web process's way to the rehearsals."""
    return cast(Rehearsals, current_app.extensions[_EXTENSION])


@blueprint.get("/rehearsal")
@requires("schedule.view")
def index() -> str:
    now = server().clock.now()
    tomorrow = now.astimezone(ZoneInfo(server().config.server.zone)).date() + timedelta(days=1)
    return render_template(
        "rehearsal/index.html",
        columns=[(each.id, each.draft.name) for each in server().schedule.columns.everything()],
        form={"days": service.DAYS, "recipients": service.RECIPIENTS, "from": tomorrow.isoformat()},
        bounds=service,
        **_state(),
    )


@blueprint.get("/rehearsal/live")
@requires("schedule.view")
def live() -> str:
    """What the page asks for every two seconds while one is under way."""
    return render_template("rehearsal/live.html", **_state())


@blueprint.post("/rehearsal")
@requires("schedule.plan")
def begin() -> Response:
    detail: dict[str, Any] = {}

    def do() -> None:
        days, recipients = whole("days", needed=True), whole("recipients", needed=True)
        asked = asked_for(
            server(), days or 0, recipients or 0, request.form.getlist("columns"), day_of("from")
        )
        detail.update(days=asked.days, recipients=asked.recipients)
        rehearsals().begin(asked, signed_in().username)

    return act(do, url_for("rehearsal.index"), permission="schedule.plan", detail=detail)


def _state() -> dict[str, Any]:
    """Progress, and the last result."""
    last = rehearsals().last()
    report = last.report if last else None
    return {
        "running": rehearsals().running(),
        "last": last,
        "report": report,
        "verdict": say(report.verdict) if report else "",
        "lines": _lines(report) if report else [],
        "faults": [
            {"fault": each, "kind": say(KINDS[each.kind]), "why": translate(from_store(each.why))}
            for each in (report.faults if report else [])
        ],
        "kinds": [(say(KINDS[kind]), n) for kind, n in report.counts.items()] if report else [],
    }


def _lines(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "column": column,
            "reasons": [
                say(HOW[each.kept], n=each.times, why=translate(from_store(each.text)))
                for each in column.reasons
            ],
        }
        for column in report.columns
    ]
