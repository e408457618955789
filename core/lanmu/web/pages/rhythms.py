"""Setting up a whole day's columns at once from a template."""

from flask import request, url_for
from werkzeug.wrappers import Response

from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.interfaces.errors import NotFound
from lanmu.schedule.presets import RHYTHMS
from lanmu.web.pages.acts import act, note, say
from lanmu.web.pages.calendar import plan_again
from lanmu.web.pages.column_presets import draft_of
from lanmu.web.pages.columns import blueprint
from lanmu.web.people import server


@blueprint.post("/columns/rhythms/<code>")
@requires("schedule.plan")
def set_up(code: str) -> Response:
    """Make the columns of a rhythm that are not there yet; those of the same name stay as they are."""
    back = url_for("columns.index")

    def do() -> str:
        rhythm = RHYTHMS.get(code)
        if rhythm is None:
            raise NotFound(code, _("there is no such template."))
        channel = request.form.get("channel", "")
        made, there = [], []
        for preset in rhythm.columns:
            draft = draft_of(preset, channel, rhythm.stages)
            if server().schedule.columns.by_name(draft.name) is not None:
                there.append(draft.name)
                continue
            note("schedule.plan", server().schedule.columns.create(draft).id)
            made.append(draft.name)
        told = [say(_("Set up: %(names)s."), names=say(_(", ")).join(made))] if made else []
        if there:
            told.append(say(_("There already, and left alone: %(names)s."), names=say(_(", ")).join(there)))
        return "\n".join([*told, *([plan_again()] if made else [])])

    return act(do, back, permission="schedule.plan", on=code)
