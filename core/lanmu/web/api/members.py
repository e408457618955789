"""会员 over the API: find, add, and read their points; coupons at the till."""

from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields, validate

from lanmu.audience.views import IdentityKey, MemberDraft
from lanmu.i18n import _
from lanmu.web.api.idempotency import idempotent
from lanmu.web.api.routes import IDEMPOTENCY_HEADER, PageArguments, allowed, room
from lanmu.web.people import server, signed_in

blueprint = room(_("Members"), _("Members, their points, and coupons at the till."))


class IdentitySchema(Schema):
    """Who the member is at a provider."""

    provider = fields.String(required=True, validate=validate.Length(1, 32))
    user = fields.String(required=True, validate=validate.Length(1, 128))
    account = fields.String(load_default="")
    sender = fields.String(load_default="")


class MemberWriteSchema(Schema):
    """What may be written of a member."""

    name = fields.String(required=True)
    identities = fields.List(fields.Nested(IdentitySchema), load_default=list)
    zone = fields.String(load_default="Asia/Shanghai")
    tags = fields.List(fields.String(), load_default=list)


class MemberSchema(MemberWriteSchema):
    """A member."""

    id = fields.String()
    frozen = fields.Boolean()
    opted_out = fields.Boolean()
    created_at = fields.AwareDateTime()


class MemberArguments(PageArguments):
    """Filters of the list."""

    q = fields.String(
        load_default="", validate=validate.Length(max=100), metadata={"description": _("Words to find.")}
    )
    tag = fields.String(load_default="")


class MemberPageSchema(Schema):
    """A page of members, newest first."""

    items = fields.List(fields.Nested(MemberSchema))
    next_cursor = fields.String(metadata={"description": _("Empty on the last page.")})


class StatementLineSchema(Schema):
    """One line of a member's points."""

    reason = fields.String()
    kind = fields.String()
    amount = fields.Integer()
    at = fields.AwareDateTime()


class PointsSchema(Schema):
    """What a member has, and the newest lines."""

    balance = fields.Integer()
    lines = fields.List(fields.Nested(StatementLineSchema))


class CouponUseSchema(Schema):
    """A code as the member shows it; blanks, dashes and look-alike letters are forgiven."""

    code = fields.String(
        required=True,
        validate=validate.Length(1, 60),
        metadata={
            "description": _("As the member shows it; blanks, dashes and look-alike letters are forgiven.")
        },
    )


class CouponSchema(Schema):
    """A coupon; its code is never shown again."""

    id = fields.String()
    title = fields.String()
    detail = fields.String()
    state = fields.String()
    last4 = fields.String()
    issued_at = fields.AwareDateTime()
    expires_at = fields.AwareDateTime(allow_none=True)


@blueprint.route("/members")
class MemberList(MethodView):
    """All members."""

    @allowed(blueprint, "member.view", _("List members"))
    @blueprint.arguments(MemberArguments, location="query")
    @blueprint.response(200, MemberPageSchema)
    def get(self, given: dict[str, Any]) -> dict[str, Any]:
        items, cursor = server().audience.members.page(
            search=given["q"], tag=given["tag"], cursor=given["cursor"], limit=given["limit"]
        )
        return {"items": items, "next_cursor": cursor}

    @allowed(blueprint, "member.edit", _("Add a member"))
    @blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
    @idempotent
    @blueprint.arguments(MemberWriteSchema)
    @blueprint.response(201, MemberSchema)
    def post(self, given: dict[str, Any]) -> Any:
        identities = tuple(IdentityKey(**identity) for identity in given["identities"])
        made = server().audience.members.create(
            MemberDraft(given["name"], identities, given["zone"], tuple(given["tags"]))
        )
        server().audit.record(signed_in().username, "member.create", made.id, permission="member.edit")
        return made


@blueprint.route("/members/<member>/points")
@allowed(blueprint, "points.view", _("Read a member's points"))
@blueprint.response(200, PointsSchema)
def points(member: str) -> dict[str, Any]:
    server().audience.members.get(member)
    return {"balance": server().ledger.balance(member), "lines": server().ledger.statement(member)}


@blueprint.route("/coupons/use", methods=["POST"])
@allowed(blueprint, "coupon.redeem", _("Use a coupon at the till, once"))
@blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
@idempotent
@blueprint.arguments(CouponUseSchema)
@blueprint.response(200, CouponSchema)
def use_coupon(given: dict[str, Any]) -> Any:
    return server().ledger.use_coupon(given["code"], signed_in().username)
