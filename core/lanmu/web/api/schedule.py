"""栏目与排期 over the API: read the columns and the calendar."""

from typing import Any

from marshmallow import Schema, fields

from lanmu.i18n import _
from lanmu.schedule.columns import ColumnView
from lanmu.schedule.occurrences import OccurrenceFilter
from lanmu.web.api.routes import allowed, room
from lanmu.web.people import server

blueprint = room(_("Schedule"), _("Columns and the calendar."))


class SlotSchema(Schema):
    """When a column comes."""

    weekdays = fields.String()
    time = fields.String()
    rrule = fields.String()


class ColumnSchema(Schema):
    """A column."""

    id = fields.String()
    name = fields.String()
    goal = fields.String()
    owner = fields.String()
    classes = fields.List(fields.String())
    channel = fields.String()
    zone = fields.String()
    cooldown_days = fields.Integer()
    approval = fields.String()
    priority = fields.String(
        metadata={"description": _("first, normal or last, where a limit lets only some go out.")}
    )
    active = fields.Boolean()
    slots = fields.List(fields.Nested(SlotSchema))


class ColumnListSchema(Schema):
    """All columns; there are never so many that they need pages."""

    items = fields.List(fields.Nested(ColumnSchema))


class OccurrenceArguments(Schema):
    """A span of time, `since` included and `until` not, and filters."""

    since = fields.AwareDateTime(required=True, metadata={"description": _("Included.")})
    until = fields.AwareDateTime(required=True, metadata={"description": _("Not included.")})
    column = fields.String(load_default="")
    community = fields.String(load_default="")


class OccurrenceSchema(Schema):
    """One place on the calendar."""

    id = fields.String()
    column = fields.String()
    column_id = fields.String()
    channel = fields.String()
    community = fields.String()
    community_id = fields.String()
    due_at = fields.AwareDateTime()
    local_time = fields.String()
    zone = fields.String()
    state = fields.String()
    pinned = fields.Boolean()
    content_class = fields.String()
    material = fields.String()
    material_id = fields.String()
    why = fields.Dict()
    push_id = fields.String()


class OccurrenceListSchema(Schema):
    """The occurrences of a span."""

    items = fields.List(fields.Nested(OccurrenceSchema))


@blueprint.route("/columns")
@allowed(blueprint, "schedule.view", _("List columns"))
@blueprint.response(200, ColumnListSchema)
def columns() -> dict[str, Any]:
    return {"items": [_column(view) for view in server().schedule.columns.everything()]}


@blueprint.route("/occurrences")
@allowed(blueprint, "schedule.view", _("Read the calendar"))
@blueprint.arguments(OccurrenceArguments, location="query")
@blueprint.response(200, OccurrenceListSchema)
def occurrences(given: dict[str, Any]) -> dict[str, Any]:
    wanted = OccurrenceFilter(column=given["column"], community=given["community"])
    return {"items": server().schedule.occurrences.between(given["since"], given["until"], wanted)}


def _column(view: ColumnView) -> dict[str, Any]:
    draft = view.draft
    named = (
        "name",
        "goal",
        "owner",
        "classes",
        "channel",
        "zone",
        "cooldown_days",
        "approval",
        "priority",
        "active",
        "slots",
    )
    return {"id": view.id, **{name: getattr(draft, name) for name in named}}
