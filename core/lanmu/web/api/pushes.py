"""推送 over the API: what goes out, how far it is, and the units with their recipients."""

from datetime import datetime
from typing import Any

from marshmallow import Schema, fields

from lanmu.delivery.service import PushFilter
from lanmu.delivery.views import PushView
from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid
from lanmu.web.api.routes import PageArguments, allowed, room
from lanmu.web.people import server

blueprint = room(_("Pushes"), _("What goes out, and how far it is."))


class PushArguments(PageArguments):
    """Filters of the list."""

    state = fields.List(fields.String(), load_default=list)
    channel = fields.String(load_default="")


class PushSchema(Schema):
    """A push; `targets` counts recipients by state and adds up to `planned`."""

    id = fields.String()
    title = fields.String()
    column = fields.String()
    content_class = fields.String()
    channel = fields.String()
    state = fields.String()
    held_reason = fields.String()
    due_at = fields.AwareDateTime()
    zone = fields.String()
    planned = fields.Integer()
    targets = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": _("Recipients by state; together as many as planned.")},
    )
    approved_by = fields.String()
    finished_at = fields.AwareDateTime(allow_none=True)


class PushPageSchema(Schema):
    """A page of pushes, latest due first."""

    items = fields.List(fields.Nested(PushSchema))
    next_cursor = fields.String(metadata={"description": _("Empty on the last page.")})


class TargetSchema(Schema):
    """One recipient."""

    key = fields.String()
    name = fields.String()
    state = fields.String()
    reason = fields.String()
    changed_at = fields.AwareDateTime(allow_none=True)


class UnitSchema(Schema):
    """One call to the channel."""

    number = fields.Integer()
    sender = fields.String()
    state = fields.String()
    reason = fields.String()
    code = fields.String()
    ref = fields.String()
    tries = fields.Integer()
    targets = fields.List(fields.Nested(TargetSchema))


class UnitArguments(Schema):
    """Which units: those after this number."""

    limit = fields.Integer(load_default=50, validate=lambda value: 1 <= value <= 200)
    after = fields.Integer(load_default=0, metadata={"description": _("next_after of the page before.")})


class UnitPageSchema(Schema):
    """Units in order; `next_after` is 0 on the last page."""

    items = fields.List(fields.Nested(UnitSchema))
    next_after = fields.Integer(metadata={"description": _("0 on the last page.")})


@blueprint.route("/pushes")
@allowed(blueprint, "push.view", _("List pushes"))
@blueprint.arguments(PushArguments, location="query")
@blueprint.response(200, PushPageSchema)
def pushes(given: dict[str, Any]) -> dict[str, Any]:
    wanted = PushFilter(states=given["state"], channel=given["channel"])
    found = server().delivery.pushes(wanted, given["limit"] + 1, _opened(given["cursor"]))
    more = len(found) > given["limit"]
    found = found[: given["limit"]]
    return {"items": [_push(push) for push in found], "next_cursor": _closed(found[-1]) if more else ""}


@blueprint.route("/pushes/<push>")
@allowed(blueprint, "push.view", _("Read a push"))
@blueprint.response(200, PushSchema)
def one(push: str) -> dict[str, Any]:
    return _push(server().delivery.get(push))


@blueprint.route("/pushes/<push>/units")
@allowed(blueprint, "push.view", _("Read a push's units with their recipients"))
@blueprint.arguments(UnitArguments, location="query")
@blueprint.response(200, UnitPageSchema)
def units(given: dict[str, Any], push: str) -> dict[str, Any]:
    found = server().delivery.units(push, given["limit"] + 1, given["after"])
    more = len(found) > given["limit"]
    found = found[: given["limit"]]
    return {"items": found, "next_after": found[-1].number if more else 0}


def _push(view: PushView) -> dict[str, Any]:
    named = ("id", "title", "column", "content_class", "channel", "state", "held_reason", "due_at", "zone")
    return {
        **{name: getattr(view, name) for name in (*named, "approved_by", "finished_at")},
        "planned": view.progress.planned,
        "targets": view.progress.targets,
    }


def _closed(view: PushView) -> str:
    return f"{view.due_at.isoformat()}~{view.id}"


def _opened(cursor: str) -> tuple[datetime, int] | None:
    if not cursor:
        return None
    due, _tilde, public_id = cursor.partition("~")
    try:
        return datetime.fromisoformat(due), server().delivery.get(public_id).row
    except (ValueError, TypeError) as error:
        raise Invalid(
            "cursor", _("is not a cursor of this list."), _("Take it from the last page, or leave it out.")
        ) from error
