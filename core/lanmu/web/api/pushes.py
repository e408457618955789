"""推送 over the API: what goes out and how far it is; to stop it, go on, release it, or decide a doubt."""

from datetime import datetime
from typing import Any

from marshmallow import Schema, fields, validate

from lanmu.delivery.models import UNIT_STATES
from lanmu.delivery.recipients import Waits
from lanmu.delivery.service import PushFilter
from lanmu.delivery.states import PushState
from lanmu.delivery.views import PushView
from lanmu.i18n import _
from lanmu.interfaces.errors import Conflict, Invalid
from lanmu.web.api.idempotency import idempotent
from lanmu.web.api.routes import IDEMPOTENCY_HEADER, PageArguments, allowed, room
from lanmu.web.people import server, signed_in

blueprint = room(_("Pushes"), _("What goes out, and how far it is."))


_PREPARING = _(
    "Recipients that are in no unit yet: a large push is put into units in portions. 0 once all units are "
    "there, and nothing goes out before."
)


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
    preparing = fields.Integer(metadata={"description": _PREPARING})
    units = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        metadata={"description": _("Units (calls to the channel) by state.")},
    )
    doubts = fields.Integer(
        metadata={"description": _("Units of which only a person can tell whether they went out.")}
    )
    deadline_at = fields.AwareDateTime()
    late = fields.Boolean(
        metadata={"description": _("Later than it may be without a person's word; see resume.")}
    )
    is_test = fields.Boolean()
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
    state = fields.String(
        metadata={"description": _("While it waits: the word of what it waits for, such as held or paused.")}
    )
    reason = fields.String()
    changed_at = fields.AwareDateTime(allow_none=True)
    waits_for = fields.String(
        validate=validate.OneOf([str(each) for each in Waits]),
        metadata={"description": _("A time, the channel that is being asked, a person, or nobody (empty).")},
    )
    until = fields.AwareDateTime(
        allow_none=True,
        metadata={
            "description": _(
                "Not before then (time), asked again then (channel), or decided by then (person): what is "
                "held cannot go out later, and an unknown outcome counts as sent."
            )
        },
    )


class UnitSchema(Schema):
    """One call to the channel."""

    number = fields.Integer()
    sender = fields.String()
    state = fields.String()
    reason = fields.String()
    code = fields.String()
    ref = fields.String()
    tries = fields.Integer()
    not_before = fields.AwareDateTime()
    look_at = fields.AwareDateTime(
        allow_none=True,
        metadata={"description": _("When the channel is next asked whether a unit in doubt went out.")},
    )
    targets = fields.List(fields.Nested(TargetSchema))


class UnitArguments(Schema):
    """Which units: those after this number, in these states; none named takes all."""

    state = fields.List(fields.String(validate=validate.OneOf(UNIT_STATES)), load_default=list)

    limit = fields.Integer(load_default=50, validate=lambda value: 1 <= value <= 200)
    after = fields.Integer(load_default=0, metadata={"description": _("next_after of the page before.")})


class UnitPageSchema(Schema):
    """Units in order; `next_after` is 0 on the last page."""

    items = fields.List(fields.Nested(UnitSchema))
    next_after = fields.Integer(metadata={"description": _("0 on the last page.")})
    preparing = fields.Integer(metadata={"description": _PREPARING})


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
    preparing = server().delivery.get(push).progress.preparing  # asked first: none may be told too early
    found = server().delivery.units(push, given["limit"] + 1, given["after"], given["state"])
    more = len(found) > given["limit"]
    found = found[: given["limit"]]
    return {"items": found, "next_after": found[-1].number if more else 0, "preparing": preparing}


class StoppedSchema(Schema):
    """What a cancel could still stop, in recipients."""

    stopped = fields.Integer()
    out = fields.Integer(metadata={"description": _("Already out; they stay out.")})
    unclear = fields.Integer(metadata={"description": _("Nobody can tell yet.")})


class GoOnSchema(Schema):
    """Whether what is late shall go out all the same."""

    although_late = fields.Boolean(
        load_default=False,
        metadata={"description": _("Without it, a push that is later than it may be is refused with 409.")},
    )


class DecideSchema(Schema):
    """A person's word on a unit in doubt; nothing is sent by it."""

    answer = fields.String(required=True, validate=validate.OneOf(["sent", "give_up"]))
    why = fields.String(load_default="", validate=validate.Length(max=500))


REASON_AT_LEAST = 4
"""Characters of a reason: enough for 群里没有."""


class AgainSchema(Schema):
    """Why a unit in doubt shall be sent once more, although its recipients may get it twice."""

    why = fields.String(
        required=True,
        validate=validate.Length(max=500),
        metadata={"description": _("How it is known that it did not arrive; kept in the audit log.")},
    )


class ReleaseSchema(GoOnSchema):
    """Why what is on hold shall go on, and whether it shall although it is late."""

    why = fields.String(load_default="", validate=validate.Length(max=500))


@blueprint.route("/pushes/<push>/cancel", methods=["POST"])
@allowed(blueprint, "push.cancel", _("Stop what has not left yet"))
@blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
@idempotent
@blueprint.response(200, StoppedSchema)
def cancel(push: str) -> Any:
    stopped = server().delivery.cancel(push)
    _note("push.cancel", push, "push.cancel")
    return stopped


@blueprint.route("/pushes/<push>/pause", methods=["POST"])
@allowed(blueprint, "push.cancel", _("Let nothing more of it go out for now"))
@blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
@idempotent
@blueprint.response(200, PushSchema)
def pause(push: str) -> dict[str, Any]:
    server().delivery.pause(push)
    _note("push.pause", push, "push.cancel")
    return one_push(push)


@blueprint.route("/pushes/<push>/resume", methods=["POST"])
@allowed(blueprint, "push.cancel", _("Go on with a paused push"))
@blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
@idempotent
@blueprint.arguments(GoOnSchema)
@blueprint.response(200, PushSchema)
def resume(given: dict[str, Any], push: str) -> dict[str, Any]:
    if server().delivery.get(push).state != PushState.PAUSED:
        raise Conflict(
            push,
            _("is not paused."),
            _("What the server holds goes on by release."),
        )
    server().delivery.resume(push, although_late=given["although_late"], held=False)
    _note("push.resume", push, "push.cancel", given)
    return one_push(push)


@blueprint.route("/pushes/<push>/release", methods=["POST"])
@allowed(blueprint, "push.force", _("Go on with what the server holds"))
@blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
@idempotent
@blueprint.arguments(ReleaseSchema)
@blueprint.response(200, PushSchema)
def release(given: dict[str, Any], push: str) -> dict[str, Any]:
    found = server().delivery.get(push)
    if found.state != PushState.HELD and not found.progress.units.get("held"):
        raise Conflict(push, _("nothing of it is on hold."), _("A paused push goes on by resume."))
    server().delivery.resume(push, although_late=given["although_late"])
    _note("push.release", push, "push.force", given)
    return one_push(push)


@blueprint.route("/pushes/<push>/units/<int:unit>/decide", methods=["POST"])
@allowed(blueprint, "push.cancel", _("Count a unit in doubt as sent, or give it up"))
@blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
@idempotent
@blueprint.arguments(DecideSchema)
@blueprint.response(200, PushSchema)
def decide(given: dict[str, Any], push: str, unit: int) -> dict[str, Any]:
    server().delivery.decide(push, unit, given["answer"], signed_in().username, given["why"])
    _note("push.decide", f"{push}/{unit}", "push.cancel", given)
    return one_push(push)


@blueprint.route("/pushes/<push>/look-again", methods=["POST"])
@allowed(blueprint, "push.cancel", _("Ask the channel again about all units in doubt"))
@blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
@idempotent
@blueprint.response(200, PushSchema)
def look_again(push: str) -> dict[str, Any]:
    """For units that wait for a person because their channel could not be asked; 409 where there are none."""
    found = server().delivery.look_again(push)
    _note("push.look_again", push, "push.cancel", {"units": found})
    return one_push(push)


@blueprint.route("/pushes/<push>/units/<int:unit>/look-again", methods=["POST"])
@allowed(blueprint, "push.cancel", _("Ask the channel again about a unit in doubt"))
@blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
@idempotent
@blueprint.response(200, PushSchema)
def look_again_at(push: str, unit: int) -> dict[str, Any]:
    """Found counts as sent; what is not found twice goes out, where its deadline allows it."""
    server().delivery.look_again(push, unit)
    _note("push.look_again", f"{push}/{unit}", "push.cancel")
    return one_push(push)


@blueprint.route("/pushes/<push>/units/<int:unit>/again", methods=["POST"])
@allowed(blueprint, "push.force", _("Send a unit in doubt once more"))
@blueprint.doc(parameters=[IDEMPOTENCY_HEADER])
@idempotent
@blueprint.arguments(AgainSchema)
@blueprint.response(200, PushSchema)
def again(given: dict[str, Any], push: str, unit: int) -> dict[str, Any]:
    """Its recipients get the message twice where the first attempt did arrive, and that cannot be undone."""
    if len(given["why"].strip()) < REASON_AT_LEAST:
        raise Invalid("why", _("Say in a few words how you know that it did not arrive."))
    server().delivery.decide(push, unit, "again", signed_in().username, given["why"])
    _note("push.again", f"{push}/{unit}", "push.force", given)
    return one_push(push)


def _note(action: str, on: str, permission: str, detail: dict[str, Any] | None = None) -> None:
    server().audit.record(signed_in().username, action, on, permission=permission, detail=detail)


def one_push(push: str) -> dict[str, Any]:
    """The push as it stands now."""
    return _push(server().delivery.get(push))


def _push(view: PushView) -> dict[str, Any]:
    named = ("id", "title", "column", "content_class", "channel", "state", "held_reason", "due_at", "zone")
    return {
        **{name: getattr(view, name) for name in (*named, "approved_by", "finished_at", "deadline_at")},
        "planned": view.progress.planned,
        "targets": view.progress.recipients,
        "preparing": view.progress.preparing,
        "units": view.progress.units,
        "doubts": view.progress.doubts,
        "late": view.late_by(server().clock.now()) is not None,
        "is_test": view.is_test,
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
