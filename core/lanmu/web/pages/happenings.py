"""Occurrences as people look at them: one entry for a column at a time, however many communities it feeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from flask import url_for

from lanmu.i18n import _
from lanmu.schedule.occurrences import OccurrenceFilter, OccurrenceView
from lanmu.schedule.problem import WHY_EMPTY, EmptyReason
from lanmu.web.pages.acts import say
from lanmu.web.pages.homes import home_of
from lanmu.web.pages.standing import Standing, standings_of, together
from lanmu.web.people import server

# The state that wants a person's eyes comes first, for an entry shows one state for many communities.
_WORST_FIRST = (
    "missed", "in_doubt", "held", "finished_with_issues", "expired", "empty", "full", "to_approve",
    "in_review", "draft", "checking", "running", "expanding", "paused", "awaits_person", "awaits_confirm",
    "planned", "approved", "scheduled", "handed_over", "unconfirmed", "finished", "cancelled", "skipped",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Happening:
    """An entry of the calendar, the board's line, or a community's list."""

    at: datetime
    zone: str
    column: str
    content_class: str
    state: str
    state_group: str
    title: str
    titles: int
    communities: int
    channel: str
    pinned: bool
    past: bool
    url: str
    standing: Standing | None
    mixed: bool
    """Whether `state` is that of a part alone: the worst of several."""
    full: bool
    """Whether it is empty because the day has all the messages it may have, and not for want of material."""
    held_until: datetime | None
    """When the quiet hours of all are over in which it is due for some, where it is still to come."""


_ALL = OccurrenceFilter()
_GOES_OUT = ("planned", "approved", "handed_over")


def between(since: datetime, until: datetime, wanted: OccurrenceFilter = _ALL) -> list[OccurrenceView]:
    """What goes out in `[since, until)` as things stand: a changed time of a push counts."""
    occurrences = server().schedule.occurrences
    found = occurrences.between(since, until, wanted) + occurrences.moved_into(since, until, wanted)
    return [each for each in found if since <= each.goes_out_at < until]


def gather(occurrences: Sequence[OccurrenceView], now: datetime) -> list[Happening]:
    """The occurrences of one column at one time as one entry, in the order of time."""
    ordered = sorted(occurrences, key=lambda each: (each.goes_out_at, each.column, each.column_id))
    standings = standings_of(occurrences, now)
    return [
        _happening(list(group), now, standings)
        for _key, group in groupby(ordered, key=lambda each: (each.goes_out_at, each.column_id))
    ]


def each_alone(occurrences: Sequence[OccurrenceView], now: datetime) -> list[Happening]:
    """Every occurrence as an entry of its own."""
    standings = standings_of(occurrences, now)
    return [_happening([each], now, standings) for each in occurrences]


def state_of(occurrence: OccurrenceView, standings: Mapping[str, Standing]) -> tuple[str, str]:
    """The state to show and its group of words: how its push stands, once it has one."""
    if occurrence.push_id:
        return standings[occurrence.push_id].code, "push"
    if occurrence.needs_approval:
        return "to_approve", "occurrence"
    if is_full(occurrence):
        return "full", "occurrence"
    return occurrence.state, "occurrence"


def url_of(occurrence: OccurrenceView) -> str:
    """Where an occurrence is looked at: its push, once it has one, else its place in the column."""
    return _url([occurrence])


def is_full(occurrence: OccurrenceView) -> bool:
    """Whether the place is empty because its day has all the messages it may have."""
    return occurrence.state == "empty" and occurrence.why.get("empty") == EmptyReason.DAILY_CAP


def why_lines(occurrence: OccurrenceView) -> list[str]:
    """Why this material was picked, or why none was, in sentences."""
    lines = _why(occurrence)
    if before := occurrence.why.get("moved_from"):
        at = datetime.fromisoformat(before).astimezone(ZoneInfo(occurrence.zone))
        lines.append(
            say(
                _("The rules of its time zone have changed: it was moved from %(at)s to keep its wall time."),
                at=at.strftime("%Y-%m-%d %H:%M"),
            )
        )
    return lines


def _why(occurrence: OccurrenceView) -> list[str]:
    why = occurrence.why
    if why.get("chosen"):
        return [say(_("A person chose it."))]
    if why.get("missed"):
        return [say(str(why["missed"]))]
    if "empty" in why:
        return _why_empty(dict(why))
    if "shortfall" not in why:
        return []
    lines = []
    shortfall = float(why["shortfall"])
    if why.get("repaired"):
        lines.append(say(_("This class keeps the weeks as a whole nearest to the mix.")))
    elif shortfall > 0:
        lines.append(say(_("Its class was %(n)s slots below its share of the week."), n=f"{shortfall:.1f}"))
    else:
        lines.append(say(_("No class with material here was further below its share.")))
    if why.get("passed_over"):
        lines.append(say(_("Classes that were owed more had no material to offer.")))
    if why.get("last_used"):
        lines.append(say(_("This community last got it on %(day)s."), day=why["last_used"]))
    else:
        lines.append(say(_("It is new to this community.")))
    lines.append(say(_("%(n)s materials of this class fit the column."), n=why.get("pool_size", 0)))
    return lines


def _why_empty(why: dict[str, object]) -> list[str]:
    lines = [say(WHY_EMPTY.get(str(why["empty"]), str(why["empty"])))]
    if why.get("matched"):
        lines.append(
            say(
                _("%(matched)s fit the column, %(approved)s of them approved, %(valid)s valid at the time."),
                matched=why["matched"],
                approved=why.get("approved", 0),
                valid=why.get("valid", 0),
            )
        )
    return lines


def _happening(
    group: Sequence[OccurrenceView], now: datetime, standings: Mapping[str, Standing]
) -> Happening:
    first = group[0]
    states = {state_of(each, standings) for each in group}
    state, state_group = min(states, key=_rank)
    titles = list(dict.fromkeys(each.material for each in group if each.material))
    pushes = dict.fromkeys(each.push_id for each in group if each.push_id)
    return Happening(
        at=first.goes_out_at,
        zone=first.zone,
        column=first.column,
        content_class=_most(each.content_class for each in group if each.content_class),
        state=state,
        state_group=state_group,
        title=titles[0] if titles else "",
        titles=len(titles),
        communities=len({each.community_id for each in group}),
        channel=first.channel,
        pinned=any(each.pinned and each.state != "skipped" for each in group),
        past=first.goes_out_at <= now,
        url=_url(group),
        standing=together([standings[push] for push in pushes]),
        mixed=len(states) > 1,
        full=state == "full",
        held_until=max((over for each in group if (over := _quiet_until(each, now))), default=None),
    )


def _quiet_until(occurrence: OccurrenceView, now: datetime) -> datetime | None:
    """Until when quiet hours will hold it back where its recipients live; None where they will not."""
    quiet, at = server().quiet_hours(), occurrence.goes_out_at
    if quiet is None or occurrence.at_any_hour or at <= now or occurrence.state not in _GOES_OUT:
        return None
    over = quiet.over_at(at, home_of(occurrence.community_zone))
    return over if over > at else None


def _url(group: Sequence[OccurrenceView]) -> str:
    pushes = {each.push_id for each in group if each.push_id}
    if len(pushes) == 1:
        return url_for("pushes.detail", push=pushes.pop())
    first = group[0]
    return url_for("columns.detail", column=first.column_id, day=first.local_time[:10]) + f"#{first.id}"


def _rank(state: tuple[str, str]) -> int:
    return _WORST_FIRST.index(state[0]) if state[0] in _WORST_FIRST else len(_WORST_FIRST)


def _most(codes: Iterable[str]) -> str:
    counted: dict[str, int] = {}
    for code in codes:
        counted[code] = counted.get(code, 0) + 1
    return max(counted, key=lambda code: counted[code], default="")
