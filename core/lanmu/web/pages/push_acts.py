"""What people do with a push on its page: stop it, let it go on, decide a doubt, change it, approve it."""

from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from lanmu.delivery.changes import Change
from lanmu.delivery.views import PushView
from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.interfaces.errors import Conflict, Invalid, LanmuError
from lanmu.trying_out import Trial, offered
from lanmu.web.api.pushes import REASON_AT_LEAST
from lanmu.web.pages import choices, push_shown
from lanmu.web.pages.acts import Errors, act, by_field, in_words, local_moment, note, say, whole
from lanmu.web.pages.audit_words import differences
from lanmu.web.pages.limits import used_of
from lanmu.web.pages.pushes import blueprint
from lanmu.web.people import server, signed_in


@blueprint.post("/pushes/<push>/cancel")
@requires("push.cancel")
def cancel(push: str) -> Response:
    detail: dict[str, Any] = {}

    def do() -> str:
        done = server().delivery.cancel(push)
        detail.update(asdict(done))
        text = _("Cancelled: %(stopped)s stopped, %(out)s already out, %(unclear)s could not be told.")
        return say(text, stopped=done.stopped, out=done.out, unclear=done.unclear)

    return act(do, _page(push), permission="push.cancel", on=push, detail=detail)


@blueprint.post("/pushes/<push>/pause")
@requires("push.cancel")
def pause(push: str) -> Response:
    def do() -> str:
        server().delivery.pause(push)
        return say(_("Paused: nothing more goes out until somebody goes on with it."))

    return act(do, _page(push), permission="push.cancel", on=push)


@blueprint.post("/pushes/<push>/resume")
@requires("push.cancel")
def resume(push: str) -> Response:
    """Go on with what a person paused; where it has grown late meanwhile, only on their word."""

    def do() -> str:
        if server().delivery.get(push).state != "paused":
            raise Conflict(push, _("it is not paused any more; load the page again."))
        server().delivery.resume(push, although_late=request.form.get("late") == "send", held=False)
        return say(_("It goes on now."))

    return act(do, _page(push), permission="push.cancel", on=push, detail=_late())


@blueprint.post("/pushes/<push>/release")
@requires("push.force")
def release(push: str) -> Response:
    """Let go on what the server itself holds; where it is late, only on a person's word."""

    def do() -> str:
        server().delivery.resume(push, although_late=request.form.get("late") == "send")
        return say(_("It goes on now."))

    return act(do, _page(push), permission="push.force", on=push, detail=_late())


def _late() -> dict[str, Any]:
    """Whether a person has said that it shall go out although it is late, for the audit log."""
    return {"late": True} if request.form.get("late") == "send" else {}


@blueprint.post("/pushes/<push>/units/<int:unit>")
@requires("push.cancel")
def resolve(push: str, unit: int) -> Response:
    """A person's word on a call of which nobody knows whether it went out; nothing is sent by it."""

    def do() -> str:
        answer = request.form.get("as", "")
        if answer == "again":
            raise Invalid("as", _("sending again is asked for on a page of its own."))
        server().delivery.decide(push, unit, answer, signed_in().username)
        return say(_("Batch %(n)s is decided."), n=unit)

    answered = {"answer": request.form.get("as", "")}
    return act(do, _page(push), permission="push.cancel", on=f"{push}/{unit}", detail=answered)


@blueprint.post("/pushes/<push>/look-again")
@requires("push.cancel")
def look_again(push: str) -> Response:
    """Have the channel asked once more about all that wait for a person's word."""
    return _look_again(push, None)


@blueprint.post("/pushes/<push>/units/<int:unit>/look-again")
@requires("push.cancel")
def look_again_at(push: str, unit: int) -> Response:
    """Have the channel asked once more about one batch."""
    return _look_again(push, unit)


def _look_again(push: str, unit: int | None) -> Response:
    detail: dict[str, Any] = {}

    def do() -> str:
        detail["units"] = server().delivery.look_again(push, unit)
        told = _("The channel is asked again, batches: %(n)s. What it says is shown here.")
        return say(told, n=detail["units"])

    on = push if unit is None else f"{push}/{unit}"
    return act(do, _page(push), permission="push.cancel", on=on, detail=detail)


@blueprint.get("/pushes/<push>/units/<int:unit>/again")
@requires("push.force")
def ask_again(push: str, unit: int) -> str:
    return _again_page(push, unit, {})


@blueprint.post("/pushes/<push>/units/<int:unit>/again")
@requires("push.force")
def again(push: str, unit: int) -> Response | tuple[str, int]:
    """Send once more what may already have arrived; who does it says why, and both are kept."""
    why = request.form.get("why", "").strip()
    errors: Errors = {}
    if len(why) < REASON_AT_LEAST:
        errors["why"] = [say(_("Say in a few words how you know that it did not arrive."))]
    if request.form.get("twice") != "yes":
        errors["twice"] = [say(_("Confirm that you know this."))]
    if errors:
        return _again_page(push, unit, errors), 422
    try:
        server().delivery.decide(push, unit, "again", signed_in().username, why)
    except LanmuError as error:
        flash(in_words(error), "error")
        return redirect(_page(push), 303)
    note("push.force", f"{push}/{unit}", {"why": why})
    flash(say(_("Batch %(n)s goes out once more."), n=unit), "success")
    return redirect(_page(push), 303)


def _again_page(push: str, unit: int, errors: Errors) -> str:
    found = server().delivery.get(push)
    units = server().delivery.units(push, 1, unit - 1)
    if not units or units[0].number != unit or units[0].state != "unknown" or units[0].look_at:
        raise Conflict(found.title, _("this unit is not in doubt any more; load the page again."))
    return render_template(
        "pushes/again.html",
        push=push_shown.row(found),
        unit=push_shown.unit(units[0], found, push_shown.senders()),
        why=request.form.get("why", ""),
        errors=errors,
    )


@blueprint.get("/pushes/<push>/edit")
@requires("push.plan")
def edit(push: str) -> str:
    return _edit_page(server().delivery.get(push), {})


@blueprint.post("/pushes/<push>/edit")
@requires("push.plan")
def change(push: str) -> Response | tuple[str, int]:
    """Another time or text; the approval is void from then on."""
    found = server().delivery.get(push)
    try:
        wanted = Change(
            seen=whole("seen", needed=True) or 0,
            due_at=local_moment("due_at", found.zone),
            revision=whole("revision"),
        )
        made = server().delivery.changes.edit(push, wanted, signed_in().username)
    except LanmuError as error:
        return _edit_page(found, by_field(error, {"due_at": "due_at", "revision": "revision"})), 422
    note("push.plan", push, _changed(found, made))
    told = _("Changed. It goes out once a colleague has approved it.")
    draft = _("Changed. Submit the draft, so that a colleague can approve it.")
    flash(say(draft if made.state == "draft" else told), "success")
    return redirect(_page(push), 303)


def _changed(before: PushView, after: PushView) -> dict[str, Any]:
    """What an edit has changed, for the audit log."""
    old, new = push_shown.revision_of(before), push_shown.revision_of(after)
    return differences(
        {"due_at": before.due_at.isoformat(), "revision": old.number if old else None},
        {"due_at": after.due_at.isoformat(), "revision": new.number if new else None},
    )


def _edit_page(found: PushView, errors: Errors) -> str:
    local = found.due_at.astimezone(ZoneInfo(found.zone))
    revisions = [
        each
        for each in push_shown.revisions_of(found)
        if (each.approved and not each.conflict) or each.id == found.revision_id
    ]
    material = server().library.materials.by_key(found.material_id or 0) if found.material_id else None
    return render_template(
        "pushes/edit.html",
        push=push_shown.row(found) | {"zone": found.zone, "binding": found.binding},
        due_at=request.form.get("due_at") or f"{local:%Y-%m-%dT%H:%M}",
        chosen=request.form.get("revision", type=int) or found.revision_id,
        revisions=[
            {"id": each.id, "number": each.number, "title": each.content.title, "body": each.content.body}
            for each in revisions
        ],
        material_url=url_for("materials.detail", material=material.id) if material else "",
        allowed_now=push_shown.can(found)["edit"],
        errors=errors,
    )


@blueprint.get("/pushes/test")
@requires("push.test_send")
def test() -> str:
    return _test_page({})


@blueprint.post("/pushes/test")
@requires("push.test_send")
def send_test() -> Response | tuple[str, int]:
    """Send marked words to one of the shop's own communities for tests, by the same way as every push."""
    form = request.form
    errors: Errors = {}
    chosen = next((each for each in _trials() if each.id == form.get("to", "")), None)
    if chosen is None:
        errors["to"] = [say(_("Choose one of the communities that are marked for tests."))]
    else:
        try:
            made = server().delivery.test(
                chosen.channel,
                chosen.key,
                chosen.sender,
                form.get("text", "").strip(),
                signed_in().username,
            )
        except LanmuError as error:
            errors = by_field(error, {"channel": "to", "text": "text"})
    if errors:
        return _test_page(errors), 422
    note("push.test_send", made.id)
    flash(say(_("The test is on its way; here you see what becomes of it.")), "success")
    return redirect(_page(made.id), 303)


def _trials() -> list[Trial]:
    return offered(server().audience.communities, server().plugins.channels)


def _test_page(errors: Errors) -> str:
    trials = _trials()
    return render_template(
        "pushes/test.html",
        trials=[(each.id, f"{each.community} · {choices.channel_title(each.channel)}") for each in trials],
        values=request.form,
        usage=[
            {"channel": choices.channel_title(name), **used_of(usage)}
            for name in dict.fromkeys(each.channel for each in trials)
            for usage in server().limits.used_today(name)
            if usage.limit.is_test
        ],
        errors=errors,
    )


@blueprint.post("/pushes/<push>/clone")
@requires("push.plan")
def clone(push: str) -> Response:
    """A draft for those whom the push did not reach."""
    try:
        made = server().delivery.changes.clone(push, signed_in().username)
    except LanmuError as error:
        flash(in_words(error), "error")
        return redirect(_page(push), 303)
    note("push.plan", push)
    flash(say(_("A draft for those it did not reach. Look at its time and text, then submit it.")), "success")
    return redirect(_page(made.id), 303)


@blueprint.post("/pushes/<push>/submit")
@requires("push.plan")
def submit(push: str) -> Response:
    def do() -> str:
        server().delivery.changes.submit(push, signed_in().username)
        return say(_("Submitted: a colleague has to approve it."))

    return act(do, _page(push), permission="push.plan", on=push)


@blueprint.post("/pushes/<push>/approve")
@requires("content.approve")
def approve(push: str) -> Response:
    def do() -> str:
        server().delivery.changes.approve(push, signed_in().username, whole("seen", needed=True) or 0)
        return say(_("Approved: it goes out at its time."))

    return act(do, _page(push), permission="content.approve", on=push)


@blueprint.post("/pushes/<push>/send-back")
@requires("content.approve")
def send_back(push: str) -> Response:
    def do() -> str:
        server().delivery.changes.send_back(push, whole("seen", needed=True) or 0)
        return say(_("Sent back: it is a draft again."))

    return act(do, _page(push), permission="content.approve", on=push)


def _page(push: str) -> str:
    return url_for("pushes.detail", push=push)
