"""推送: what has gone out, what is going out, and what a person must decide."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request, url_for
from flask import Response as FlaskResponse
from werkzeug.wrappers import Response

from lanmu.delivery.listing import Group
from lanmu.delivery.service import PushFilter
from lanmu.delivery.states import FINISHED_PUSHES
from lanmu.delivery.views import PushView, UnitView
from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.interfaces.errors import Invalid, LanmuError
from lanmu.library.placeholders import render
from lanmu.library.views import RevisionView
from lanmu.web.pages import choices
from lanmu.web.pages.acts import act, say
from lanmu.web.pages.spreadsheet import as_csv
from lanmu.web.pages.standing import is_asked_still, sending_of, standing
from lanmu.web.pages.words import word
from lanmu.web.people import server, signed_in, translate

blueprint = Blueprint("pushes", __name__)

_PAGE = 30
_UNITS = 50
_UNDECIDED = ("unknown", "held")
_TABS: tuple[tuple[str, str], ...] = (
    ("", _("All")),
    (Group.DECIDE, _("Needs a person")),
    (Group.AWAITED, _("Waiting for people")),
    (Group.AHEAD, _("Ahead")),
    (Group.SENDING, _("Sending")),
    (Group.ISSUES, _("With issues")),
    (Group.DONE, _("Done")),
)


@blueprint.get("/pushes")
@requires("push.view")
def index() -> str:
    channel = request.args.get("channel", "")
    group = next((each for each in Group if each == request.args.get("state")), None)
    wanted = PushFilter(group=group, channel=channel)
    found = server().delivery.pushes(wanted, _PAGE + 1, _after(request.args.get("after", "")))
    shown = found[:_PAGE]
    counts = server().delivery.groups(channel)
    same: dict[str, Any] = {name: value for name, value in (("state", group), ("channel", channel)) if value}
    more = f"{shown[-1].due_at.isoformat()}~{shown[-1].row}" if len(found) > _PAGE else ""
    return render_template(
        "pushes/index.html",
        chosen={"state": group or "", "channel": channel},
        tabs=[
            {
                "code": code,
                "text": translate(text),
                "n": counts[Group(code)] if code else sum(counts.values()),
            }
            for code, text in _TABS
        ],
        channels=choices.channels(),
        page={
            "items": [_row(push) for push in shown],
            "next_url": url_for("pushes.index", after=more, **same) if more else "",
            "first_url": url_for("pushes.index", **same) if request.args.get("after") else "",
        },
    )


@blueprint.get("/pushes/<push>")
@requires("push.view")
def detail(push: str) -> str:
    found = server().delivery.get(push)
    units = server().delivery.units(push, _UNITS)
    undecided = server().delivery.units(push, _UNITS, states=_UNDECIDED)
    stuck = found.progress.units.get("held", 0)
    shown = _row(found)
    revision = _revision(found)
    names = ("zone", "deadline_at", "approved_by", "approved_at", "created_by", "created_at", "finished_at")
    shown |= {name: getattr(found, name) for name in (*names, "late_policy")}
    if revision:
        shown["revision"] = revision.number
        material = server().library.materials.by_key(found.material_id or 0)
        shown["material_url"] = url_for("materials.detail", material=material.id, revision=revision.number)
    may = signed_in().may
    under_way = found.state not in FINISHED_PUSHES
    return render_template(
        "pushes/detail.html",
        push=shown,
        states=[{"code": code, "n": n} for code, n in sorted(found.progress.targets.items())],
        undecided=[_unit(unit, found) for unit in undecided],
        undecided_more=sum(found.progress.units.get(each, 0) for each in _UNDECIDED) - len(undecided),
        units=[_unit(unit, found) for unit in units],
        more_units=sum(found.progress.units.values()) - len(units),
        preview=_preview(found, revision, units),
        can={
            "cancel": under_way and may("push.cancel"),
            "release": (found.state in ("held", "paused") or (found.state == "running" and stuck > 0))
            and may("push.force"),
            "pause": found.state in ("scheduled", "running") and may("push.cancel"),
            "decide": may("push.force"),
        },
    )


@blueprint.get("/pushes/<push>/recipients.csv")
@requires("push.view")
def recipients(push: str) -> Response:
    """Every recipient with what became of it, for a spreadsheet."""
    found = server().delivery.get(push)
    zone = ZoneInfo(found.zone)
    head = (_("Recipient"), _("Address"), _("Unit"), _("Sent by"), _("State"), _("Reason"), _("Since"))
    rows = (
        (
            line.name,
            line.key,
            line.unit,
            line.sender,
            say(word(line.state, "unit")),
            translate(line.reason) if line.reason else "",
            f"{line.changed_at.astimezone(zone):%Y-%m-%d %H:%M:%S}" if line.changed_at else "",
        )
        for line in server().delivery.recipients(push)
    )
    answer = FlaskResponse(as_csv([say(each) for each in head], rows), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{push}.csv"'
    return answer


@blueprint.post("/pushes/<push>/cancel")
@requires("push.cancel")
def cancel(push: str) -> Response:
    def do() -> str:
        done = server().delivery.cancel(push)
        text = _("Cancelled: %(stopped)s stopped, %(out)s already out, %(unclear)s could not be told.")
        return say(text, stopped=done.stopped, out=done.out, unclear=done.unclear)

    return act(do, url_for("pushes.detail", push=push), permission="push.cancel", on=push)


@blueprint.post("/pushes/<push>/pause")
@requires("push.cancel")
def pause(push: str) -> Response:
    def do() -> str:
        server().delivery.pause(push)
        return say(_("Paused: nothing more goes out until it is released."))

    return act(do, url_for("pushes.detail", push=push), permission="push.cancel", on=push)


@blueprint.post("/pushes/<push>/release")
@requires("push.force")
def release(push: str) -> Response:
    def do() -> str:
        server().delivery.resume(push)
        return say(_("Released: it goes on now."))

    return act(do, url_for("pushes.detail", push=push), permission="push.force", on=push)


@blueprint.post("/pushes/<push>/units/<int:unit>")
@requires("push.force")
def resolve(push: str, unit: int) -> Response:
    """A person's word on a unit of which nobody knows whether it went out."""

    def do() -> str:
        answer = request.form.get("as", "")
        server().delivery.decide(push, unit, answer)
        return say(_("Unit %(n)s is decided."), n=unit)

    return act(do, url_for("pushes.detail", push=push), permission="push.force", on=f"{push}/{unit}")


def _after(text: str) -> tuple[datetime, int] | None:
    if not text:
        return None
    due, _tilde, row = text.partition("~")
    try:
        moment = datetime.fromisoformat(due.replace(" ", "+"))
        if moment.tzinfo is None:
            raise ValueError(text)
        return moment, int(row)
    except ValueError:
        raise Invalid(
            "after", _("it does not belong to this list."), _("Start again from the first page.")
        ) from None


def _row(push: PushView) -> dict[str, Any]:
    return {
        "public_id": push.id,
        "title": push.title,
        "column": push.column,
        "content_class": push.content_class,
        "channel": push.channel,
        "state": push.state,
        "standing": standing(
            push.state,
            push.progress,
            sending_of(push.channel),
            asked_still=is_asked_still(push.due_at, server().clock.now()),
        ),
        "held_reason": translate(push.held_reason) if push.held_reason else "",
        "due_at": push.due_at,
    }


def _unit(unit: UnitView, push: PushView) -> dict[str, Any]:
    first = unit.attempts[0].started_at if unit.attempts else None
    return {
        "number": unit.number,
        "state": unit.state,
        "reason": translate(unit.reason) if unit.reason else "",
        # A channel's code helps to look a fault up; a cancel's only repeats its reason.
        "code": "" if unit.state == "cancelled" else unit.code,
        "sender": unit.sender,
        "lateness": (first - push.due_at).total_seconds() if first else None,
        "targets": [
            {
                "name": target.name or target.key,
                "state": target.state,
                "reason": translate(target.reason) if target.reason else "",
                "changed_at": target.changed_at,
            }
            for target in unit.targets
        ],
        "attempts": [
            {
                "number": attempt.number,
                "call": attempt.call,
                "started_at": attempt.started_at,
                "outcome": attempt.outcome,
                "request": attempt.request,
                "request_sha256": attempt.sha256,
                "evidence": _evidence(attempt.evidence),
            }
            for attempt in unit.attempts
        ],
    }


_EVIDENCE = {
    "wrote": _("The request left"),
    "status": _("HTTP status"),
    "fault": _("What broke"),
    "answer": _("Answer"),
}


def _evidence(evidence: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was seen of a write, in the order and words of a reader."""
    found = []
    for name in dict.fromkeys([*_EVIDENCE, *evidence]):
        value = evidence.get(name)
        if value not in (None, "", {}, []):
            told = say(_("yes") if value else _("no")) if isinstance(value, bool) else str(value)
            found.append((say(_EVIDENCE.get(name, name)), told))
    return found


def _revision(push: PushView) -> RevisionView | None:
    if push.material_id is None:
        return None
    material = server().library.materials.by_key(push.material_id)
    revisions = server().library.materials.revisions(material.id)
    return next((each for each in revisions if each.id == push.revision_id), None)


def _preview(push: PushView, revision: RevisionView | None, units: list[UnitView]) -> dict[str, Any]:
    first = units[0].targets[0] if units and units[0].targets else None
    name = first.name if first else ""
    shop = server().config.server.shop_name
    return {
        "sender": (units[0].sender if units else "") or shop,
        "chat": name,
        "at": push.due_at,
        "text": _filled(revision.content.body, name, shop) if revision else "",
        "images": [
            {"url": url_for("materials.file", asset=item.asset.id), "name": item.caption or item.asset.name}
            for item in (revision.attachments if revision else ())
        ],
    }


def _filled(body: str, community: str, shop: str) -> str:
    try:
        return render(body, {"community.name": community, "shop.name": shop, "sender.name": shop})
    except LanmuError:
        return body  # what stands for each recipient alone is shown as it is written
