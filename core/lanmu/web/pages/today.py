"""今日待推送: all that is still to go out today, from the calendar and from pushes under way."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, url_for

from lanmu.delivery.service import PushFilter
from lanmu.interfaces.access import requires
from lanmu.web.pages.happenings import gather
from lanmu.web.pages.standing import is_asked_still, kind_of, sending_of, standing
from lanmu.web.people import server

blueprint = Blueprint("today", __name__)

_PUSHES = 500
_TO_COME = ("planned", "approved")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is still to go out: to `left` recipients, which are all of a kind or of several ("")."""

    at: datetime
    title: str
    column: str
    content_class: str
    channel: str
    left: int
    kind: str
    state: str
    state_group: str
    url: str


@blueprint.get("/today")
@requires("push.view")
def index() -> str:
    now = server().clock.now()
    start = now.astimezone(ZoneInfo(server().config.server.zone)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    end = start + timedelta(days=1)
    lines = sorted(_planned(now, end) + _pushes(start, end, now), key=lambda line: line.at)
    return render_template("today.html", lines=lines, left=sum(line.left for line in lines))


def _planned(now: datetime, end: datetime) -> list[Line]:
    """What the calendar still has for today; it becomes pushes shortly before its time."""
    occurrences = server().schedule.occurrences.between(now, end)
    to_come = [each for each in occurrences if each.state in _TO_COME]
    return [
        Line(
            each.at, each.title, each.column, each.content_class, each.channel, each.communities, "community",
            each.state, each.state_group, each.url,
        )
        for each in gather(to_come, now)
    ]  # fmt: skip


def _pushes(start: datetime, end: datetime, now: datetime) -> list[Line]:
    found = server().delivery.pushes(PushFilter(since=start, until=end), _PUSHES)
    return [
        Line(
            push.due_at,
            push.title,
            push.column,
            push.content_class,
            push.channel,
            left,
            kind_of(push.progress),
            standing(
                push.state,
                push.progress,
                sending_of(push.channel),
                asked_still=is_asked_still(push.due_at, now),
            ).code,
            "push",
            url_for("pushes.detail", push=push.id),
        )
        for push in found
        if not push.is_test and (left := push.progress.targets.get("planned", 0))
    ]
