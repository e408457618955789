"""Events of members over the API: a purchase, a message counted, a check-in; each counts once for its key."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid, NotFound
from lanmu.interfaces.events import MemberEvent, natural_key
from lanmu.web.api.idempotency import idempotent
from lanmu.web.api.routes import IDEMPOTENCY_HEADER, allowed, room
from lanmu.web.people import server, signed_in

blueprint = room(_("Events"), _("What members do, told by the shop's other systems."))

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_CLOCKS_DIFFER = timedelta(days=1)


def _order_key(named: Mapping[str, Any]) -> str:
    return f"{natural_key('order', named['shop'], named['order'])}:earn"


_KEYS = {
    "purchase": _order_key,
    "message": lambda event: natural_key("message", event["message"]),
    "check_in": None,
}


class EventSchema(Schema):
    """Something that a member did.

    A member is named by `member`, or by `provider` and `user`. A purchase needs `shop`, `order` and
    `amount_cents`; a message needs `message`, the id under which its channel knows it.
    """

    kind = fields.String(required=True, validate=validate.OneOf(sorted(_KEYS)))
    member = fields.String(
        load_default="",
        metadata={"description": _("The member’s id; without it, provider and user name the member.")},
    )
    provider = fields.String(load_default="")
    user = fields.String(load_default="")
    at = fields.AwareDateTime(
        load_default=None, allow_none=True, metadata={"description": _("When it happened; now if left out.")}
    )
    shop = fields.String(
        load_default="", validate=validate.Length(max=60), metadata={"description": _("A purchase needs it.")}
    )
    order = fields.String(
        load_default="",
        validate=validate.Length(max=100),
        metadata={"description": _("A purchase needs it; an order counts once.")},
    )
    amount_cents = fields.Integer(
        load_default=None,
        allow_none=True,
        strict=True,
        validate=validate.Range(0, 10**10),
        metadata={"description": _("A purchase needs it, in cents (fen).")},
    )
    message = fields.String(
        load_default="",
        validate=validate.Length(max=128),
        metadata={"description": _("A message needs it: the id under which its channel knows it.")},
    )
    text = fields.String(load_default="", validate=validate.Length(max=2000))

    @validates_schema
    def whole(self, data: dict[str, Any], **_kwargs: object) -> None:
        faults = {}
        if not data["member"] and not (data["provider"] and data["user"]):
            faults["member"] = [_("Name the member, or provider and user.")]
        needed = {"purchase": ("shop", "order", "amount_cents"), "message": ("message",)}
        for name in needed.get(data["kind"], ()):
            if data[name] in ("", None):
                faults[name] = [_("This kind of event needs it.")]
        if faults:
            raise ValidationError(faults)


class ReturnSchema(Schema):
    """An order that came back, named as its purchase was."""

    shop = fields.String(required=True, validate=validate.Length(1, 60))
    order = fields.String(required=True, validate=validate.Length(1, 100))
    reason = fields.String(
        load_default="",
        validate=validate.Length(max=200),
        metadata={"description": _("The member reads it in the statement.")},
    )


class TakenBackSchema(Schema):
    """What came of it."""

    member = fields.String()
    taken = fields.Integer(metadata={"description": _("The points of the order.")})
    balance = fields.Integer(metadata={"description": _("What the member can spend now.")})
    owed = fields.Integer(
        metadata={"description": _("What was spent already: new points go towards it first.")}
    )


class PostedSchema(Schema):
    """What came of it."""

    earned = fields.Integer()
    balance = fields.Integer()
    replayed = fields.Boolean(metadata={"description": _("The event was known already.")})
    capped = fields.Boolean(metadata={"description": _("A daily cap was reached.")})


@blueprint.route("/events", methods=["POST"])
@allowed(blueprint, "points.adjust", _("Record an event of a member"))
@blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
@idempotent
@blueprint.arguments(EventSchema)
@blueprint.response(200, PostedSchema)
def record(given: dict[str, Any]) -> Any:
    audience = server().audience
    member = (
        audience.member(given["member"])
        if given["member"]
        else audience.find_member(given["provider"], given["user"])
    )
    if member is None:
        raise NotFound(
            "member", _("there is no such member."), _("Add the member first with POST /api/v1/members.")
        )
    now = server().clock.now()
    at = given["at"] or now
    if not _EARLIEST <= at <= now + _CLOCKS_DIFFER:
        raise Invalid(
            "at",
            _("is before the year 2000 or still to come."),
            _("Write when it happened, or leave it out where that is now."),
        )
    day = at.astimezone(ZoneInfo(member.zone)).date()
    make_key = _KEYS[given["kind"]]
    key = make_key(given) if make_key else f"checkin:{member.id}:{day.isoformat()}"
    data = {name: given[name] for name in ("shop", "order", "message", "text") if given[name]}
    if given["amount_cents"] is not None:
        data["amount"] = str(given["amount_cents"])
    posted = server().events.record(MemberEvent(key, given["kind"], member.id, at, day, data))
    server().audit.record(
        signed_in().username,
        f"event.{given['kind']}",
        member.id,
        permission="points.adjust",
        detail={"key": key},
    )
    return posted


@blueprint.route("/events/returns", methods=["POST"])
@allowed(blueprint, "points.adjust", _("Take back the points of an order that was returned"))
@blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
@idempotent
@blueprint.arguments(ReturnSchema)
@blueprint.response(200, TakenBackSchema)
def take_back(given: dict[str, Any]) -> dict[str, Any]:
    ledger, key = server().ledger, _order_key(given)
    taken = ledger.reverse(key, reason=given["reason"].strip(), actor=signed_in().username)
    server().audit.record(
        signed_in().username,
        "event.return",
        taken.member,
        permission="points.adjust",
        detail={"key": key},
    )
    return {
        "member": taken.member,
        "taken": -taken.amount,
        "balance": ledger.balance(taken.member),
        "owed": ledger.owed(taken.member),
    }
