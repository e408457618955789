"""What people do with a place of a column on the calendar: approve it, choose its material, skip it."""

from flask import render_template, request, url_for
from werkzeug.wrappers import Response

from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.library.views import Candidate
from lanmu.schedule.occurrences import OccurrenceView
from lanmu.web.pages.acts import Errors, act, say
from lanmu.web.pages.column_notes import fits
from lanmu.web.pages.columns import blueprint
from lanmu.web.people import server, signed_in

_SHOWN = 60


@blueprint.post("/occurrences/<occurrence>/approve")
@requires("schedule.plan")
def approve(occurrence: str) -> Response:
    def do() -> str:
        seen = {occurrence: int(request.form.get("seen") or 0)}
        done = server().schedule.occurrences.approve(seen, signed_in().username)
        return (
            say(_("Approved: it goes out at its time.")) if done else say(_("It needs no approval any more."))
        )

    return act(do, _back(occurrence), permission="schedule.plan", on=occurrence)


@blueprint.post("/columns/<column>/approve")
@requires("schedule.plan")
def approve_all(column: str) -> Response:
    """Approve everything that the page showed as waiting in the column."""

    def do() -> str:
        pairs = (each.partition(":") for each in request.form.get("seen", "").split())
        seen = {occurrence: int(revision or 0) for occurrence, _colon, revision in pairs}
        done = server().schedule.occurrences.approve(seen, signed_in().username)
        return say(_("%(n)s approved."), n=done)

    return act(do, url_for("columns.detail", column=column), permission="schedule.plan", on=column)


@blueprint.post("/occurrences/<occurrence>/skip")
@requires("schedule.plan")
def skip(occurrence: str) -> Response:
    def do() -> str:
        server().schedule.occurrences.skip(occurrence)
        return say(_("Skipped: nothing goes out there."))

    return act(do, _back(occurrence), permission="schedule.plan", on=occurrence)


@blueprint.post("/occurrences/<occurrence>/restore")
@requires("schedule.plan")
def restore(occurrence: str) -> Response:
    def do() -> str:
        server().schedule.occurrences.restore(occurrence)
        return say(_("Back on the calendar."))

    return act(do, _back(occurrence), permission="schedule.plan", on=occurrence)


def _back(occurrence: str) -> str:
    found = server().schedule.occurrences.get(occurrence)
    day = "" if found.due_at > server().clock.now() else found.local_time[:10]
    return url_for("columns.detail", column=found.column_id, day=day or None) + f"#{occurrence}"


@blueprint.get("/occurrences/<occurrence>/material")
@requires("schedule.plan")
def choose(occurrence: str) -> str:
    """The approved materials that fit the place, to take one of them instead."""
    return _choice(server().schedule.occurrences.get(occurrence), {})


@blueprint.post("/occurrences/<occurrence>/material")
@requires("schedule.plan")
def use(occurrence: str) -> Response | tuple[str, int]:
    """Take another material; the planner leaves the place alone from then on, and it waits for approval."""
    found = server().schedule.occurrences.get(occurrence)
    chosen = next((each for each in _fitting(found) if each.id == request.form.get("material")), None)
    if chosen is None:
        return _choice(found, {"material": [say(_("Choose one of these."))]}), 422
    detail = {"material": [found.material, chosen.title]}

    def do() -> str:
        server().schedule.occurrences.use(occurrence, chosen.id)
        return say(
            _("“%(title)s” goes out there now. Planning again will not change it."), title=chosen.title
        )

    return act(do, _back(occurrence), permission="schedule.plan", on=found.column_id, detail=detail)


def _fitting(occurrence: OccurrenceView) -> list[Candidate]:
    """The approved materials that its column may use and that are valid at its time, but for its own."""
    column = server().schedule.columns.get(occurrence.column_id)
    words = request.args.get("q", "").strip().lower()
    return [
        each
        for each in server().library.materials.candidates()
        if fits(column.draft, each)
        and each.id != occurrence.material_id
        and (each.usable_from is None or each.usable_from <= occurrence.due_at)
        and (each.usable_until is None or each.usable_until > occurrence.due_at)
        and words in each.title.lower()
    ]


def _choice(occurrence: OccurrenceView, errors: Errors) -> str:
    materials = _fitting(occurrence)
    return render_template(
        "columns/material.html",
        place=occurrence,
        back=_back(occurrence.id),
        q=request.args.get("q", ""),
        materials=materials[:_SHOWN],
        minutes=server().config.schedule.hand_over_minutes,
        more=max(0, len(materials) - _SHOWN),
        errors=errors,
    )
