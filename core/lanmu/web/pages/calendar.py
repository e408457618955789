"""日历: a week of occurrences, by day, with filters."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request, url_for
from werkzeug.wrappers import Response

from lanmu.i18n import _
from lanmu.interfaces.access import requires
from lanmu.schedule.occurrences import OccurrenceFilter
from lanmu.schedule.planning import PlanReport
from lanmu.schedule.special_days import SpecialDayView
from lanmu.web.pages import choices
from lanmu.web.pages.acts import act, say
from lanmu.web.pages.crowds import in_words
from lanmu.web.pages.formats import month_day
from lanmu.web.pages.happenings import Happening, between, gather, is_full
from lanmu.web.people import locale, server

blueprint = Blueprint("calendar", __name__)


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the week board."""

    date: date
    today: bool
    rest: bool
    note: str
    gone: bool
    """Whether it is over and nothing went out on it: a phone, which lists days, leaves it out."""
    events: Sequence[Happening]
    over: int
    """How many messages find no place on it under the daily limits."""


@blueprint.get("/calendar")
@requires("schedule.view")
def week() -> str:
    zone = ZoneInfo(server().config.server.zone)
    now = server().clock.now()
    today = now.astimezone(zone).date()
    monday = _monday(request.args.get("week", ""), today)
    chosen = {name: request.args.get(name, "") for name in ("column", "community", "channel")}
    since = datetime.combine(monday, time(), zone)
    until = datetime.combine(monday + timedelta(days=7), time(), zone)
    found = between(since, until, OccurrenceFilter(**chosen))
    events = gather(found, now)
    special = {
        each.day: each for each in server().schedule.special_days.between(monday, monday + timedelta(days=7))
    }
    crowded = server().schedule.crowded(max(monday, today), max(0, (monday - max(monday, today)).days + 7))
    days = []
    for number in range(7):
        day = monday + timedelta(days=number)
        own = [event for event in events if event.at.astimezone(zone).date() == day]
        rest, note = _rest(number, special.get(day))
        over = sum(each.empty + each.held for each in crowded if each.period == "day" and each.day == day)
        days.append(Day(day, day == today, rest, note, day < today and not own, own, over))
    return render_template(
        "calendar.html",
        week={
            "title": _title(monday),
            "iso": _iso(monday),
            "prev_url": _url(monday - timedelta(days=7), chosen),
            "next_url": _url(monday + timedelta(days=7), chosen),
            "this_url": _url(today, chosen),
            "is_this": monday <= today < monday + timedelta(days=7),
        },
        days=days,
        columns=[(column.id, column.draft.name) for column in server().schedule.columns.everything()],
        communities=[(each.id, each.name) for each in server().audience.communities.find()],
        channels=choices.channels(),
        chosen=chosen,
        crowded=in_words(crowded),
        totals={
            "planned": len(found),
            "empty": sum(each.state == "empty" and not is_full(each) for each in found),
            "full": sum(map(is_full, found)),
        },
    )


@blueprint.post("/calendar/plan")
@requires("schedule.plan")
def plan() -> Response:
    return act(plan_again, url_for("calendar.week"), permission="schedule.plan")


def plan_again(anew: Collection[str] = ()) -> str:
    """Plan the coming days, these columns anew; answers what came of it in words."""
    report = server().schedule.plan_ahead(anew)
    text = _("Places with material: %(planned)s; set by people or handed over, and left alone: %(kept)s.")
    told = [say(text, planned=report.planned, kept=report.kept)]
    told += not_filled(report.empty - report.full, report.full)
    own = report.replaced - report.elsewhere
    if own:
        told.append(say(_("%(n)s picks not yet approved were exchanged."), n=own))
    return "\n".join([*told, *elsewhere(report)])


def not_filled(empty: int, full: int) -> list[str]:
    """How many places have nothing, for want of material or of room on their day."""
    told = [say(_("Without material: %(n)s."), n=empty)] if empty else []
    if full:
        told.append(say(_("Empty because the day is full: %(n)s."), n=full))
    return told


def elsewhere(report: PlanReport) -> list[str]:
    """What planning has changed in columns that were not to be planned anew, and why."""
    exchanged = report.elsewhere - report.elsewhere_full - report.elsewhere_empty
    texts = {
        _("%(n)s picks of other columns were exchanged, because a rule no longer allowed them."): exchanged,
        _("Places of other columns that are empty now, because the day is full: %(n)s."): (
            report.elsewhere_full
        ),
        _("Places of other columns that are empty now, because no material fits any more: %(n)s."): (
            report.elsewhere_empty
        ),
    }
    return [say(text, n=n) for text, n in texts.items() if n]


def _rest(weekday: int, special: SpecialDayView | None) -> tuple[bool, str]:
    """Whether people rest on a day, and why in a word where its weekday does not say so."""
    if special is None:
        return weekday > 4, ""
    if special.works:
        return False, say(_("Workday"))
    return True, special.name or say(_("Day off"))


def _monday(text: str, today: date) -> date:
    year, dash, number = text.partition("-W")
    try:
        if dash:
            return date.fromisocalendar(int(year), int(number), 1)
    except ValueError:
        pass  # an address that somebody has mistyped shows this week
    return today - timedelta(days=today.weekday())


def _iso(day: date) -> str:
    year, number, _weekday = day.isocalendar()
    return f"{year}-W{number:02d}"


def _url(day: date, chosen: dict[str, str]) -> str:
    kept: dict[str, Any] = {name: value for name, value in chosen.items() if value}
    return url_for("calendar.week", week=_iso(day), **kept)


def _title(monday: date) -> str:
    sunday = monday + timedelta(days=6)
    if locale() == "en":
        return f"{month_day(monday, 'en')} – {month_day(sunday, 'en')} {sunday.year}"
    last = f"{sunday.day}日" if sunday.month == monday.month else month_day(sunday, "zh-CN")
    return f"{monday.year}年{month_day(monday, 'zh-CN')} – {last}"
