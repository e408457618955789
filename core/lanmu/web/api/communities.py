"""社群 over the API: read them, and bring them in from a system that knows them."""

from typing import Any

from marshmallow import Schema, fields, validate

from lanmu.audience.views import Address, CommunityDraft
from lanmu.i18n import _
from lanmu.web.api.idempotency import idempotent
from lanmu.web.api.routes import IDEMPOTENCY_HEADER, allowed, room
from lanmu.web.people import server, signed_in

blueprint = room(_("Communities"), _("Chat groups that columns feed."))


class AddressSchema(Schema):
    """Where a channel finds the community."""

    key = fields.String(required=True, validate=validate.Length(1, 128))
    sender = fields.String(load_default="")


class CommunityWriteSchema(Schema):
    """What may be written of a community."""

    name = fields.String(required=True)
    type = fields.String(load_default="general")
    stage = fields.String(load_default="active")
    zone = fields.String(load_default="Asia/Shanghai")
    shop = fields.String(load_default="")
    executor = fields.String(load_default="")
    size = fields.Integer(load_default=0, strict=True)
    mix = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(strict=True),
        load_default=None,
        allow_none=True,
        metadata={"description": _("Percent by content class; the house default if left out.")},
    )
    daily_cap = fields.Integer(
        load_default=None,
        allow_none=True,
        strict=True,
        metadata={"description": _("Pushes a day at most; the house default if left out.")},
    )
    tags = fields.List(fields.String(), load_default=list)
    addresses = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(AddressSchema),
        load_default=dict,
        metadata={"description": _("By channel: its key there, and the employee who sends.")},
    )


class CommunitySchema(CommunityWriteSchema):
    """A community."""

    id = fields.String()
    active = fields.Boolean()


class CommunityListSchema(Schema):
    """All communities."""

    items = fields.List(fields.Nested(CommunitySchema))


class ImportSchema(Schema):
    """Communities to create or to bring up to date, known by their names."""

    items = fields.List(fields.Nested(CommunityWriteSchema), required=True, validate=validate.Length(1, 1000))


class ImportedSchema(Schema):
    """What the import did; a faulty row is named by its number from 1, and the rest is in."""

    created = fields.Integer()
    changed = fields.Integer()
    unchanged = fields.Integer()
    faults = fields.List(
        fields.Dict(),
        metadata={"description": _("Rows that stayed out, by number from 1; the others are in.")},
    )


@blueprint.route("/communities", methods=["GET"])
@allowed(blueprint, "community.view", _("List communities"))
@blueprint.response(200, CommunityListSchema)
def communities() -> dict[str, Any]:
    return {"items": server().audience.communities.find(active=None)}


@blueprint.route("/communities/import", methods=["POST"])
@allowed(blueprint, "community.edit", _("Create communities or bring them up to date"))
@blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
@idempotent
@blueprint.arguments(ImportSchema)
@blueprint.response(200, ImportedSchema)
def bring_in(given: dict[str, Any]) -> dict[str, Any]:
    report = server().audience.communities.load(draft_of(item) for item in given["items"])
    server().audit.record(
        signed_in().username,
        "community.import",
        permission="community.edit",
        detail={"created": report.created, "changed": report.changed, "faults": len(report.faults)},
    )
    return {
        "created": report.created,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "faults": [{"row": row, "fault": str(fault)} for row, fault in report.faults],
    }


def draft_of(item: dict[str, Any]) -> CommunityDraft:
    """A community of the schema above, as the audience's room takes it."""
    addresses = {channel: Address(**address) for channel, address in item.pop("addresses").items()}
    return CommunityDraft(**{**item, "tags": tuple(item["tags"])}, addresses=addresses)
