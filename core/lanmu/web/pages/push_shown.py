"""What the pages of a push are given: its progress in counted words, its units, evidence, gate and quota."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import url_for

from lanmu.delivery.progress import Progress
from lanmu.delivery.states import FINISHED_PUSHES, PushState, UnitState
from lanmu.delivery.views import PushView, UnitView
from lanmu.i18n import _
from lanmu.interfaces.channels import Sending
from lanmu.interfaces.errors import LanmuError
from lanmu.library.placeholders import render
from lanmu.library.views import RevisionView
from lanmu.web.pages import attempts_shown
from lanmu.web.pages.acts import say
from lanmu.web.pages.advice import advice
from lanmu.web.pages.recipient_words import follows
from lanmu.web.pages.standing import is_asked_still, sending_of, standing
from lanmu.web.people import server, signed_in, translate

SOON = 600.0
"""Seconds before its time from which on a push's page looks for news by itself."""

_MOVING = (UnitState.PENDING, UnitState.LEASED, UnitState.CALLING, UnitState.RETRY_WAIT)
_NOT_OUT = (UnitState.PENDING, UnitState.RETRY_WAIT, UnitState.HELD)
BY_COMMAND = "cli"
"""Stands for whoever works on the server itself, who has no account."""
_NOT_REACHED = ("failed", "undelivered", "skipped", "cancelled")


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the bar: from `x` on, `width` wide, both in per cent."""

    name: str
    x: float
    width: float


_SEGMENTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("good", ("delivered",)),
    ("given", ("accepted", "handed_over", "postponed")),
    ("doubt", ("unknown",)),
    ("bad", ("failed", "undelivered")),
    ("none", ("skipped", "cancelled")),
)
_IN_ORDER = (
    "delivered", "accepted", "handed_over", "postponed", "calling", "planned", "expanding", "retry_wait",
    "checking", "unknown", "held", "paused", "in_review", "draft", "undelivered", "failed", "skipped",
    "cancelled",
)  # fmt: skip
_CALLS_IN_ORDER = (
    "delivered", "partial", "accepted", "handed_over", "calling", "leased", "pending", "retry_wait",
    "unknown", "held", "undelivered", "failed", "skipped", "cancelled",
)  # fmt: skip


def row(push: PushView) -> dict[str, Any]:
    """A push in a list."""
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
        "is_test": push.is_test,
    }


def bar(progress: Progress, sending: Sending) -> list[Segment]:
    """The parts of the bar, all of them even where empty, so that one picture can move into the next."""
    found, x = [], 0.0
    for name, states in _SEGMENTS:
        count = sum(progress.targets.get(state, 0) for state in states)
        width = round(count / (progress.planned or 1) * 100, 3)
        found.append(Segment(_named(name, sending), round(x, 3), width))
        x += width
    return found


def _named(segment: str, sending: Sending) -> str:
    """What a channel that sends by itself has accepted waits for nobody; few tell whether it arrived."""
    return "taken" if segment == "given" and sending is Sending.AUTO else segment


_LEGEND = {
    "good": _("Delivered"),
    "taken": _("Accepted by the channel"),
    "given": _("Taken by the channel or handed to a person; not delivered yet"),
    "doubt": _("Outcome unknown"),
    "bad": _("Failed or not delivered"),
    "none": _("Skipped or cancelled"),
    "empty": _("Not out yet"),
}


def legend(progress: Progress, sending: Sending) -> list[dict[str, Any]]:
    """What the colours of the bar mean, and how many recipients each stands for; those that are there."""
    counts = dict.fromkeys(_LEGEND, 0)
    for name, states in _SEGMENTS:
        counts[_named(name, sending)] += sum(progress.targets.get(state, 0) for state in states)
    counts["empty"] = progress.planned - sum(counts.values())
    return [{"name": name, "text": say(_LEGEND[name]), "n": n} for name, n in counts.items() if n]


def counted(push: PushView) -> dict[str, Any]:
    """Recipients and calls by state, and whether there will be news without anybody's doing."""
    progress = push.progress
    return {
        "bar": bar(progress, sending_of(push.channel)),
        "states": _by(progress.recipients, _IN_ORDER),
        "calls": _by(progress.units, _CALLS_IN_ORDER),
        "calls_total": sum(progress.units.values()),
        "preparing": progress.preparing,
        "legend": legend(progress, sending_of(push.channel)),
        "moves": moves(push, server().clock.now()),
        "every": every(push, server().clock.now()),
        "seen": seen(push),
    }


def moves(push: PushView, now: datetime) -> bool:
    """Whether something is under way, so that it is worth looking again in two seconds."""
    units = push.progress.units
    if push.progress.preparing:
        return True
    if push.state == PushState.SCHEDULED:
        return (push.due_at - now).total_seconds() < SOON
    if push.state != PushState.RUNNING and not push.cancel_requested:
        return units.get("calling", 0) > 0
    return any(units.get(state) for state in _MOVING) or units.get("unknown", 0) > push.progress.doubts


def every(push: PushView, now: datetime) -> str:
    """How often the page looks for news: soon while it moves, less often while people confirm, else never."""
    if moves(push, now):
        return "2s"
    return "15s" if push.progress.awaited and is_asked_still(push.due_at, now) else ""


def seen(push: PushView) -> str:
    """Changes with whatever else than the counts the page shows: its buttons, and what waits for a person."""
    units = push.progress.units
    # What people confirm can be taken back no longer; while it moves that changes too often to follow.
    awaited = push.progress.awaited if push.state in FINISHED_PUSHES else 0
    counts = (push.progress.doubts, units.get("unknown", 0), units.get("held", 0), awaited)
    parts = (push.state, *counts, push.binding)
    return ".".join(str(each) for each in parts)


def _by(counts: Mapping[str, int], order: tuple[str, ...]) -> list[dict[str, Any]]:
    known = [code for code in order if counts.get(code)]
    strange = sorted(code for code, n in counts.items() if n and code not in order)
    return [{"code": code, "n": counts[code]} for code in (*known, *strange)]


_PAUSABLE = (PushState.SCHEDULED, PushState.EXPANDING, PushState.RUNNING)


def can(push: PushView) -> dict[str, bool]:
    """What the reader may do with the push as it stands."""
    may, units = signed_in().may, push.progress.units
    open_ = push.state not in FINISHED_PUSHES and not push.cancel_requested
    held = push.state == PushState.HELD or (push.state == PushState.RUNNING and units.get("held", 0) > 0)
    own_text = push.is_test or push.material_id is None
    untouched = {code for code, n in units.items() if n} <= {str(each) for each in _NOT_OUT}
    mine = push.edited_by == signed_in().username and not server().config.server.solo_approval
    reviewed = push.state == PushState.IN_REVIEW and open_
    return {
        "cancel": (open_ or _can_be_taken_back(push)) and may("push.cancel"),
        "pause": push.state in _PAUSABLE and open_ and may("push.cancel"),
        "resume": push.state == PushState.PAUSED and open_ and may("push.cancel"),
        "release": held and open_ and may("push.force"),
        "edit": open_ and untouched and not push.progress.preparing and not own_text and may("push.plan"),
        "clone": not own_text
        and may("push.plan")
        and any(push.progress.targets.get(state) for state in _NOT_REACHED),
        "submit": push.state == PushState.DRAFT and open_ and may("push.plan"),
        "approve": reviewed and may("content.approve") and not mine,
        "send_back": reviewed and may("content.approve"),
        "mine": reviewed and mine,
        "decide": may("push.cancel"),
        "look_again": may("push.cancel") and server().delivery.can_be_asked(push.channel),
        "again": may("push.force"),
    }


def _can_be_taken_back(push: PushView) -> bool:
    """Whether all is handed out, but the channel can still take back what nobody has confirmed."""
    channel = server().plugins.channels.get(push.channel)
    takes_back = channel is not None and bool(channel.abilities.cancel)
    return takes_back and push.progress.awaited > 0 and not push.cancel_requested


def waiting(push: PushView) -> dict[str, Any] | None:
    """What the push as a whole waits for a person for: kind, reason, and numbers; None where for nothing."""
    now, units = server().clock.now(), push.progress.units
    if push.cancel_requested or push.state in FINISHED_PUSHES:
        return None
    late = push.late_by(now)
    left = push.progress.targets.get("planned", 0)
    found = {"late_by": late.total_seconds() if late else None, "left": left, "reason": ""}
    found["over"] = now >= push.deadline_at
    if push.state in (PushState.DRAFT, PushState.IN_REVIEW):
        return {**found, "kind": str(push.state)}
    if push.state == PushState.HELD or (push.state == PushState.RUNNING and units.get("held")):
        reason = translate(push.held_reason) if push.held_reason else ""
        return {**found, "kind": "late" if late else "held", "reason": reason}
    if push.state == PushState.PAUSED and late:
        return {**found, "kind": "late"}
    return None


def names() -> Mapping[str, str]:
    """What people are called, by the name that they sign in with."""
    called = {username: name for username, name in server().staff.names().items() if name}
    return called | {BY_COMMAND: say(_("On the server (command line)"))}


def senders() -> Mapping[str, str]:
    """What those are called who send, by their id at the channel: as staff, else as their groups say."""
    return {**server().audience.communities.executors(), **names()}


def unit(found: UnitView, push: PushView, called: Mapping[str, str]) -> dict[str, Any]:
    """A call with its recipients and attempts."""
    first = found.attempts[0].started_at if found.attempts else None
    return {
        "number": found.number,
        "state": found.state,
        "reason": translate(found.reason) if found.reason else "",
        # A channel's code helps to look a fault up; a cancel's only repeats its reason.
        "code": found.code if found.code.lstrip("-").isdigit() else "",
        "advice": advice(found.code) if found.state == UnitState.HELD else "",
        "sender": called.get(found.sender, found.sender),
        "lateness": (first - push.due_at).total_seconds() if first else None,
        "not_before": found.not_before if found.state in _MOVING and not first else None,
        "next_try": found.not_before if found.state == UnitState.RETRY_WAIT else None,
        "look_at": found.look_at if found.state == UnitState.UNKNOWN else None,
        "looks": found.looks,
        "can_be_looked_up": found.can_be_looked_up,
        "last_look": attempts_shown.last_look(found.attempts) if found.can_be_looked_up else None,
        "in_vain": attempts_shown.last_in_vain(found.attempts) if found.look_at else None,
        "targets": [
            {
                "name": target.name or target.key,
                "state": target.state,
                "reason": translate(target.reason) if target.reason else "",
                "follows": follows(target.state, target.waits_for, target.until),
                "until": target.until,
                "changed_at": target.changed_at,
            }
            for target in found.targets
        ],
        "attempts": [attempts_shown.attempt(each, called) for each in found.attempts],
    }


DOORS = {
    "back": _("Looked at again at once"),
    "wait": _("Not before a later time"),
    "yield": _("Gave way to another push"),
    "hold": _("Waits for a person"),
    "drop": _("Not sent"),
    "part": _("Some recipients apart from the rest"),
}
_QUIET_DOORS = ("back", "part")
"""Answers that only say that the question is asked anew; they tell an operator nothing."""


def gate(push: PushView) -> list[dict[str, Any]]:
    """What the last door has answered so far besides "send", in words."""
    return [
        {
            "door": translate(DOORS.get(each.door, each.door)),
            "tone": {"hold": "orange", "drop": "grey"}.get(each.door, "blue"),
            "reason": translate(each.reason),
            "n": each.answers,
            "last_at": each.last_at,
        }
        for each in server().delivery.gate_answers(push.id)
        if each.door not in _QUIET_DOORS
    ]


def revision_of(push: PushView) -> RevisionView | None:
    """The version of the material that the push carries."""
    return next((each for each in revisions_of(push) if each.id == push.revision_id), None)


def revisions_of(push: PushView) -> list[RevisionView]:
    """All versions of the push's material, none for a test."""
    if push.material_id is None:
        return []
    material = server().library.materials.by_key(push.material_id)
    return list(server().library.materials.revisions(material.id))


def preview(push: PushView, revision: RevisionView | None, units: list[UnitView]) -> dict[str, Any]:
    """The message as it looks in the chat of the first recipient."""
    first = units[0].targets[0] if units and units[0].targets else None
    name = first.name if first else ""
    shop = server().config.server.shop_name
    sender = senders().get(units[0].sender, units[0].sender) if units else ""
    return {
        "sender": sender or shop,
        "chat": name,
        "at": push.due_at,
        "text": _filled(revision.content.body, name, shop)
        if revision
        else push.title
        if push.is_test
        else "",
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
