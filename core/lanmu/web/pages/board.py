"""看板: what must be decided, today's line, the mix, what needs a person, and what will happen next."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from lanmu.delivery.listing import Decision, Group
from lanmu.i18n import _, told
from lanmu.interfaces.access import requires
from lanmu.interfaces.channels import Sending
from lanmu.interfaces.errors import LanmuError
from lanmu.reports.service import MIX_WINDOW, Need
from lanmu.schedule.occurrences import OccurrenceView
from lanmu.web.pages.acts import in_words, say
from lanmu.web.pages.gauge import furthest_off, mix_of, shares_from
from lanmu.web.pages.happenings import Happening, between, gather, url_of
from lanmu.web.pages.standing import sending_of
from lanmu.web.pages.words import word
from lanmu.web.people import server, signed_in, translate

blueprint = Blueprint("board", __name__)

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Dot:
    """A happening on today's line: `x` in per cent of the day, `lane` from the bottom."""

    happening: Happening
    x: float
    lane: int


@dataclass(frozen=True, slots=True)
class Todo:
    """Something that waits for a person."""

    icon: str
    tone: str
    text: str
    detail: str
    url: str


@blueprint.get("/")
@requires("push.view")
def index() -> str:
    now = server().clock.now()
    start = now.astimezone(ZoneInfo(server().config.server.zone)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    end = start + _DAY
    occurrences = between(start, now + MIX_WINDOW)
    decisions = server().delivery.decisions(_DECISIONS + 1)
    today = gather([each for each in occurrences if each.goes_out_at < end], now)
    ahead = [each for each in gather(occurrences, now) if not each.past and each.state != "skipped"]
    figures = server().reports.day(start, end)
    awaited = server().delivery.awaited(start, end)
    needs = server().reports.needs()
    dots = _dots(today, start)
    reports = server().reports
    order = list(server().library.taxonomy().shares)
    mix = mix_of(reports.mix(sent=False), reports.mix(sent=True), order)
    return render_template(
        "board.html",
        stats={
            "due_today": figures.to_go,
            "sent_today": figures.gone - awaited,
            "awaited_today": awaited,
            "to_review": sum(need.count for need in needs if need.kind == "to_review"),
            "issues": server().delivery.undecided(),
        },
        decisions=[_decision(each) for each in decisions[:_DECISIONS]],
        more_decisions=len(decisions) > _DECISIONS,
        today=dots,
        lanes=max((dot.lane + 1 for dot in dots), default=1),
        now_x=round((now - start) / _DAY * 100, 2),
        mix=mix,
        off=_communities_off([each for each in occurrences if each.due_at >= now]),
        todo=[
            *_hasty_lookups(),
            *(_todo(need) for need in needs if need.kind in _TODO),
            *_awaited(),
            *_holidays(),
        ],
        coming=[{"at": each.at, "url": each.url, "text": _told_ahead(each)} for each in ahead[:6]],
        next_in=next(((each.at - now).total_seconds() for each in ahead if each.at < end), None),
    )


@blueprint.post("/clock/trust")
@requires("settings.edit")
def trust_clock() -> Response:
    """A person has looked at the clock and found it right: sending goes on."""

    try:
        server().home.trust(signed_in().username)  # it writes into the audit log itself
    except LanmuError as error:
        flash(in_words(error), "error")
    else:
        flash(say(_("The clock is trusted again; what is due goes out.")), "success")
    return redirect(url_for("board.index"), 303)


@blueprint.get("/occurrences/<occurrence>")
@requires("schedule.view")
def occurrence(occurrence: str) -> Response:
    """A place on the calendar, for links that know no more than its id."""
    found = server().schedule.occurrences.get(occurrence)
    return redirect(url_of(found))


def _dots(today: list[Happening], start: datetime) -> list[Dot]:
    dots: list[Dot] = []
    for each in today:
        x = (each.at - start) / _DAY * 100
        # Two dots nearer than 2.4 % of the width would cover each other on a phone, so they are stacked.
        taken = {dot.lane for dot in dots if abs(dot.x - x) < 2.4}
        lane = next(number for number in range(len(dots) + 1) if number not in taken)
        dots.append(Dot(each, round(x, 2), lane))
    return dots


def _communities_off(occurrences: list[OccurrenceView]) -> list[dict[str, object]]:
    """The communities whose coming mix is furthest from its goal, the worst first."""
    house = server().library.taxonomy().shares
    classes: dict[int, list[str]] = {}
    for each in occurrences:
        if each.content_class and each.state in ("planned", "approved", "handed_over"):
            classes.setdefault(each.community_key, []).append(each.content_class)
    found = []
    for community in server().audience.communities.find():
        planned = classes.get(community.row, [])
        if len(planned) < 5:  # fewer slots than that cannot come near any mix, and nobody could help it
            continue
        worst = furthest_off(shares_from(planned, dict(community.mix or house), list(house)))
        if worst:
            url = url_for("communities.detail", community=community.id)
            found.append(
                {"name": community.name, "url": url, "code": worst.code, "off": worst.share - worst.target}
            )
    return sorted(found, key=lambda each: -abs(float(str(each["off"]))))[:4]


_DECISIONS = 12
_KINDS: dict[str, tuple[str, str, str]] = {
    "late": ("hourglass", "red", _("Late: shall it still go out?")),
    "doubt": ("help-circle", "red", _("Outcome unknown")),
    "held": ("player-pause", "orange", _("On hold")),
    "review": ("checkup-list", "orange", _("A change waits for approval")),
}


def _decision(each: Decision) -> dict[str, object]:
    """A push that waits for a person's word, with the link to where it is given."""
    icon, tone, what = _KINDS[each.kind]
    return {
        "icon": icon,
        "tone": tone,
        "what": translate(what),
        "title": each.title,
        "reason": translate(each.reason) if each.reason else "",
        "due_at": each.due_at,
        "calls": each.units,
        "recipients": each.recipients,
        "url": url_for("pushes.detail", push=each.push) + "#decide",
    }


_TODO: dict[str, tuple[str, str, str]] = {
    "missed": ("hourglass", "red", _("Missed slots: %(n)s")),
    "empty": ("circle-dashed", "orange", _("Slots without material: %(n)s")),
    "full": ("alert-triangle", "orange", _("Slots of days that are full already: %(n)s")),
    "to_approve": ("calendar-event", "orange", _("Slots that wait for approval: %(n)s")),
    "to_review": ("checkup-list", "orange", _("Materials that wait for review: %(n)s")),
}


def _todo(need: Need) -> Todo:
    icon, tone, text = _TODO[need.kind]
    if need.kind == "to_review":
        url = (
            url_for("materials.detail", material=need.id) if need.count == 1 else url_for("materials.review")
        )
    elif need.kind == "full":
        url = url_for("calendar.week")  # where it says who competes
    else:
        url = url_for("board.occurrence", occurrence=need.id)
    return Todo(icon, tone, say(text, n=need.count), need.title, url)


def _awaited() -> list[Todo]:
    """The pushes that wait for employees and executors, who may want a reminder."""
    count = server().delivery.groups()[Group.AWAITED]
    if not count:
        return []
    text = say(_("Pushes that employees or executors still have to send: %(n)s"), n=count)
    return [Todo("user-check", "orange", text, "", url_for("pushes.index", state=Group.AWAITED))]


def _holidays() -> list[Todo]:
    """Days off that ought to be known by now, where a column goes by them."""
    zone = ZoneInfo(server().config.server.zone)
    missing = server().schedule.special_days.missing(server().clock.now().astimezone(zone).date())
    columns = server().schedule.by_workdays() if missing else []
    if not columns or not signed_in().may("schedule.view"):
        return []
    text = say(_("The days off of %(year)s are missing"), year=say(_(", ")).join(map(str, missing)))
    detail = say(
        _("%(columns)s: Monday to Friday count as workdays there, whatever holidays there are."),
        columns=say(_(", ")).join(columns),
    )
    return [Todo("calendar-event", "orange", text, detail, url_for("workdays.index"))]


def _hasty_lookups() -> list[Todo]:
    """A setting for the sandbox that stands where people are reached."""
    hasty = server().hasty_lookups()
    if hasty is None or not signed_in().may("settings.edit"):
        return []
    text = say(_("“Not found” counts too soon"))
    return [Todo("alert-triangle", "red", text, translate(told(hasty)), url_for("settings.plugins"))]


_WAITS_FOR_NOBODY = ("scheduled", "expanding", "running", "planned", "approved", "handed_over")
_AHEAD = {
    Sending.AUTO: _("%(column)s goes out by itself (communities: %(n)s)"),
    Sending.CONFIRM: _("%(column)s goes out once an employee has confirmed (communities: %(n)s)"),
    Sending.PERSON: _("%(column)s is handed to a person (communities: %(n)s)"),
}


def _told_ahead(each: Happening) -> str:
    if each.full:
        return say(
            _("%(column)s: the day has all the messages it may have (communities: %(n)s)"),
            column=each.column,
            n=each.communities,
        )
    if each.state == "empty":
        return say(
            _("%(column)s has no material (communities: %(n)s)"), column=each.column, n=each.communities
        )
    if each.state == "to_approve":
        return say(
            _("%(column)s waits for approval, and does not go out without it (communities: %(n)s)"),
            column=each.column,
            n=each.communities,
        )
    if each.state not in _WAITS_FOR_NOBODY:
        state = translate(word(each.state, each.state_group))
        if each.mixed:
            return say(_("%(column)s goes out in part; the rest: %(state)s"), column=each.column, state=state)
        return say(_("%(column)s does not go out as it stands: %(state)s"), column=each.column, state=state)
    if not each.titles:
        return each.column
    text = _AHEAD[sending_of(each.channel)]
    return say(text, column=each.column, n=each.communities)
