"""What a person should know about a column: its pool, changes of the clock, days that months may lack."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from lanmu.delivery.door.quiet import AT_ANY_HOUR, QuietHours
from lanmu.i18n import _
from lanmu.interfaces.errors import LanmuError
from lanmu.library.views import Candidate
from lanmu.schedule.calendar import Moment, RuleSlot, Slot, moments_of
from lanmu.schedule.columns import ColumnDraft, ColumnView, PoolDraft, calendar_slot
from lanmu.schedule.occurrences import OccurrenceFilter
from lanmu.schedule.planning import as_candidate
from lanmu.schedule.problem import Pool
from lanmu.schedule.recurrence import names_late_day
from lanmu.web.pages.acts import say
from lanmu.web.pages.calendar import elsewhere, not_filled
from lanmu.web.pages.formats import zone_name
from lanmu.web.pages.happenings import is_full
from lanmu.web.pages.homes import home_of
from lanmu.web.people import locale, server

_AHEAD = timedelta(days=366)
_TWO_MONTHS = timedelta(days=62)


class Place(NamedTuple):
    """What a place of a column has: its material, "" where none fits or the day is full."""

    material: str
    is_full: bool


Plan = dict[tuple[str, str], Place]
"""What a column has on the calendar, by local time and community."""


def plan_of(column: str) -> Plan:
    """The column's places to come."""
    now = server().clock.now()
    until = now + timedelta(days=server().config.schedule.horizon_days + 1)
    found = server().schedule.occurrences.between(now, until, OccurrenceFilter(column=column))
    return {
        (each.local_time, each.community_id): Place(
            each.material if each.state != "empty" else "", is_full(each)
        )
        for each in found
        if each.state != "skipped"
    }


def plan_anew(column: str, name: str, before: Plan) -> str:
    """Plan a column anew, and say what that has changed for it, and for others where it did."""
    others = elsewhere(server().schedule.plan_ahead([column]))
    return "\n".join([_planned_words(name, before, plan_of(column)), *others])


def _planned_words(name: str, before: Plan, after: Plan) -> str:
    """What saving or planning a column has changed for this one alone."""
    full = sum(place.is_full for place in after.values())
    empty = sum(not place.material for place in after.values()) - full
    told = [say(_("“%(column)s”: %(n)s places in the coming days."), column=name, n=len(after))]
    told += not_filled(empty, full)
    new, gone = len(after.keys() - before.keys()), len(before.keys() - after.keys())
    other = sum(after[key] != before[key] for key in after.keys() & before.keys())
    if before and (new or gone or other):
        told.append(
            say(
                _("New: %(new)s; dropped: %(gone)s; other material: %(other)s; the rest is as before."),
                new=new,
                gone=gone,
                other=other,
            )
        )
    elif before:
        told.append(say(_("Nothing on the calendar has changed.")))
    return "\n".join(told)


def clock_changes(column: ColumnView) -> list[str]:
    """In words, each of the coming year's times that a change of the clock leaves out or brings twice."""
    now = server().clock.now()
    coming = moments_of(_slots(column), now, now + _AHEAD)
    return [_told(moment) for moment in coming if moment.shifted or moment.ambiguous]


def _told(moment: Moment) -> str:
    at = moment.wall.isoformat(" ", "minutes")
    if moment.shifted:
        text = _("%(at)s does not exist in %(zone)s, where the clocks change: it goes out at %(local)s.")
        return say(text, at=at, zone=moment.zone, local=moment.local.strftime("%H:%M"))
    text = _("%(at)s comes twice in %(zone)s, where the clocks change: it goes out once, the first time.")
    return say(text, at=at, zone=moment.zone)


def quiet_times(draft: ColumnDraft, created: datetime | None = None) -> list[str]:
    """In words, each of its times of day that lies in the quiet hours of communities that it feeds, unless
    the column is meant for them. Slots that cannot be read have none."""
    quiet = server().quiet_hours()
    if quiet is None or draft.options.get(AT_ANY_HOUR) == "yes":
        return []
    now = server().clock.now()
    try:
        coming = moments_of(_slots_of(draft, created or now), now, now + _TWO_MONTHS)
    except LanmuError:
        return []
    told: dict[str, None] = {}
    zones = server().schedule.zones(draft) or {draft.zone: 0}
    for moment in sorted(coming, key=lambda each: each.local.time()):
        for name, communities in sorted(zones.items(), key=lambda each: (each[0] != draft.zone, each[0])):
            zone = home_of(name)
            over = quiet.over_at(moment.instant, zone)
            if over > moment.instant:
                told[_kept_back(moment, zone, over, quiet, communities)] = None
    return list(told)


def _kept_back(moment: Moment, zone: ZoneInfo, over: datetime, quiet: QuietHours, communities: int) -> str:
    at, there, until = moment.local.time(), moment.instant.astimezone(zone), over.astimezone(zone)
    if there.replace(tzinfo=None, fold=0) == moment.local.replace(fold=0):
        text = _("%(at)s lies in the quiet hours (%(since)s–%(end)s): it is held and goes out at %(until)s.")
        since, end = f"{quiet.since:%H:%M}", f"{quiet.until:%H:%M}"
        return say(text, at=f"{at:%H:%M}", since=since, end=end, until=f"{until:%H:%M}")
    text = _(
        "%(at)s is %(there)s in %(zone)s (communities: %(n)s), which lies in the quiet hours there: it is "
        "held for them and goes out at %(until)s by their clock."
    )
    called = zone_name(zone.key, locale(), moment.instant)
    return say(
        text, at=f"{at:%H:%M}", there=f"{there:%H:%M}", zone=called, n=communities, until=f"{until:%H:%M}"
    )


def has_late_days(column: ColumnView) -> bool:
    """Whether a slot of the column names a day that some months do not have."""
    rules = (slot for slot in _slots(column) if isinstance(slot, RuleSlot))
    return any(names_late_day(rule.rule, rule.start) for rule in rules)


class Stock:
    """The approved materials, read once to see how many of them fit this column or that."""

    def __init__(self) -> None:
        self._classes = [term.code for term in server().library.taxonomy().classes]
        self._materials = [as_candidate(each) for each in server().library.materials.candidates()]

    def fitting(self, draft: PoolDraft, classes: Iterable[str]) -> dict[str, int]:
        """How many fit a pool, by class."""
        pool = Pool(frozenset(draft.tags), frozenset(draft.kinds), frozenset(draft.zones), every_tag=True)
        wanted = set(classes) or set(self._classes)
        counts = {code: 0 for code in self._classes if code in wanted}
        for material in self._materials:
            if material.content_class in counts and pool.takes(material):
                counts[material.content_class] += 1
        return counts


def fits(draft: ColumnDraft, material: Candidate) -> bool:
    """Whether a column may use a material, by its class and the column's pool."""
    pool = Pool(
        frozenset(draft.pool.tags), frozenset(draft.pool.kinds), frozenset(draft.pool.zones), every_tag=True
    )
    return (not draft.classes or material.content_class in draft.classes) and pool.takes(
        as_candidate(material)
    )


def pool_shown(draft: PoolDraft, counts: dict[str, int]) -> dict[str, Any]:
    """The pool as its part of the page wants it."""
    whole = not (draft.tags or draft.kinds or draft.zones)
    return {
        "pool": [{"code": code, "n": n} for code, n in counts.items()],
        "pool_size": sum(counts.values()),
        "whole_library": whole,
    }


def _slots(column: ColumnView) -> list[Slot]:
    return _slots_of(column.draft, column.created_at)


def _slots_of(draft: ColumnDraft, created: datetime) -> list[Slot]:
    return [calendar_slot(slot, draft.zone, created) for slot in draft.slots]
