"""推送: what has gone out, what is going out, and what a person must decide."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request, url_for
from flask import Response as FlaskResponse
from werkzeug.wrappers import Response

from lanmu.delivery.listing import Group
from lanmu.delivery.recipients import Standing
from lanmu.delivery.service import PushFilter
from lanmu.delivery.states import FINISHED_PUSHES
from lanmu.delivery.views import PushView
from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.interfaces.errors import Invalid
from lanmu.web.pages import choices, push_shown
from lanmu.web.pages.acts import say
from lanmu.web.pages.formats import zone_name
from lanmu.web.pages.limits import used_of
from lanmu.web.pages.recipient_words import follows
from lanmu.web.pages.spreadsheet import as_csv
from lanmu.web.pages.words import word
from lanmu.web.people import locale, server, translate

blueprint = Blueprint("pushes", __name__)

_PAGE = 30
_UNITS = 20
_UNDECIDED = ("unknown", "held")
_TABS: tuple[tuple[str, str], ...] = (
    ("", _("All")),
    (Group.DECIDE, _("To be decided")),
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
            "items": [push_shown.row(push) for push in shown],
            "next_url": url_for("pushes.index", after=more, **same) if more else "",
            "first_url": url_for("pushes.index", **same) if request.args.get("after") else "",
        },
    )


@blueprint.get("/pushes/<push>")
@requires("push.view")
def detail(push: str) -> str:
    return render_template("pushes/detail.html", **_shown(server().delivery.get(push)))


@blueprint.get("/pushes/<push>/live")
@requires("push.view")
def live(push: str) -> str:
    """The progress, which the page puts in every two seconds; with all that hangs on it once that changed."""
    found = server().delivery.get(push)
    changed = request.args.get("seen") != push_shown.seen(found)
    after = request.args.get("after", 0, type=int)
    shown = _shown(found) if changed else {"push": _particulars(found), "after": after}
    return render_template(
        "pushes/live.html", **shown | {"progress": push_shown.counted(found)}, changed=changed
    )


def _particulars(found: PushView) -> dict[str, Any]:
    """The push as its page heads it."""
    called = push_shown.names()
    names = ("zone", "deadline_at", "approved_at", "created_at", "finished_at", "late_policy")
    return push_shown.row(found) | {
        **{name: getattr(found, name) for name in (*names, "binding", "cloned_from", "cancel_requested")},
        # A test has no shop's time of its own; its reader has.
        **({"zone": server().config.server.zone} if found.is_test else {}),
        "approved_by": say(_("by itself, as its column says"))
        if found.approved_by and found.approved_by == found.column
        else called.get(found.approved_by, found.approved_by),
        "created_by": called.get(found.created_by, found.created_by),
        "edited_by": called.get(found.edited_by, found.edited_by),
        "open": found.state not in FINISHED_PUSHES,
    }


def _shown(found: PushView) -> dict[str, Any]:
    after = max(0, request.args.get("after", 0, type=int))
    units = server().delivery.units(found.id, _UNITS + 1, after)
    undecided = server().delivery.units(found.id, _UNITS, states=_UNDECIDED)
    called = push_shown.senders()
    shown = _particulars(found)
    revision = push_shown.revision_of(found)
    if revision:
        material = server().library.materials.by_key(found.material_id or 0)
        shown["revision"] = revision.number
        shown["material_url"] = url_for("materials.detail", material=material.id, revision=revision.number)
    targets = found.progress.targets
    can = push_shown.can(found)
    back = server().delivery.returnable(found.id) if can["cancel"] else 0
    waiting = push_shown.waiting(found)
    told = [push_shown.unit(unit, found, called) for unit in undecided]
    # What is held for the push's own reason is said once, for all of them together.
    held = next((each["advice"] for each in told if each["advice"]), "")
    said = (waiting["reason"] if waiting and waiting["kind"] in ("held", "late") else None) or None
    return {
        "push": shown,
        "progress": push_shown.counted(found),
        "waiting": waiting and waiting | {"advice": held},
        "undecided": [each for each in told if not each["look_at"] and each["reason"] != said],
        "checking": [each for each in told if each["look_at"]],
        "undecided_more": sum(found.progress.units.get(each, 0) for each in _UNDECIDED) - len(undecided),
        "units": [push_shown.unit(unit, found, called) for unit in units[:_UNITS]],
        "more_units": len(units) > _UNITS,
        "after": after,
        "numbers": {
            "left": targets.get("planned", 0),
            "back": back,
            "out": found.progress.out - back,
            "unclear": targets.get("unknown", 0),
        },
        "gate": push_shown.gate(found),
        "quota": {
            "cost": found.progress.out + targets.get("unknown", 0),
            "limits": [
                used_of(usage)
                for usage in server().limits.used_today(found.channel)
                if usage.limit.is_test == found.is_test
            ],
        },
        "preview": push_shown.preview(found, revision, units),
        "can": can,
    }


@blueprint.get("/pushes/<push>/recipients.csv")
@requires("push.view")
def recipients(push: str) -> Response:
    """Every recipient with what became of it, for a spreadsheet; also those not in a batch yet."""
    server().delivery.get(push)  # one that is not there is told as such
    name = server().config.server.zone
    zone = ZoneInfo(name)
    called = push_shown.senders()
    texts = (_("Recipient"), _("Address"), _("Batch"), _("Sent by"), _("State"), _("Reason"), _("Since"))
    head = [say(each) for each in (*texts, _("What follows"))]
    here = zone_name(name, locale(), server().clock.now())
    head[6:] = [f"{each} ({here})" for each in head[6:]]

    def at(moment: datetime | None) -> str:
        return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}" if moment else ""

    rows = (
        (
            line.name,
            line.key,
            line.unit,
            called.get(line.sender, line.sender),
            say(word(line.standing.state, "unit")),
            translate(line.standing.reason) if line.standing.reason else "",
            at(line.changed_at),
            say(text, time=at(line.standing.until)) if (text := _follows(line.standing)) else "",
        )
        for line in server().delivery.recipients(push)
    )
    answer = FlaskResponse(as_csv(head, rows), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{push}.csv"'
    return answer


def _follows(standing: Standing) -> str:
    return follows(standing.state, standing.waits_for, standing.until)


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
