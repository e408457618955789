"""What a person should know about a column: its pool, changes of the clock, days that months may lack."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from lanmu.i18n import _
from lanmu.library.views import Candidate
from lanmu.schedule.calendar import Moment, RuleSlot, Slot, moments_of
from lanmu.schedule.columns import ColumnView, PoolDraft, calendar_slot
from lanmu.schedule.planning import as_candidate
from lanmu.schedule.problem import Pool
from lanmu.schedule.recurrence import names_late_day
from lanmu.web.pages.acts import say
from lanmu.web.people import server

_AHEAD = timedelta(days=366)


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


def has_late_days(column: ColumnView) -> bool:
    """Whether a slot of the column names a day that some months do not have."""
    rules = (slot for slot in _slots(column) if isinstance(slot, RuleSlot))
    return any(names_late_day(rule.rule, rule.start) for rule in rules)


def pool_of(draft: PoolDraft, classes: Iterable[str], materials: Sequence[Candidate]) -> dict[str, int]:
    """How many approved materials fit, by class."""
    pool = Pool(frozenset(draft.tags), frozenset(draft.kinds), frozenset(draft.zones), every_tag=True)
    wanted = set(classes)
    counts = {
        term.code: 0 for term in server().library.taxonomy().classes if not wanted or term.code in wanted
    }
    for material in map(as_candidate, materials):
        if material.content_class in counts and pool.takes(material):
            counts[material.content_class] += 1
    return counts


def pool_shown(draft: PoolDraft, counts: dict[str, int]) -> dict[str, Any]:
    """The pool as its part of the page wants it."""
    whole = not (draft.tags or draft.kinds or draft.zones)
    return {
        "pool": [{"code": code, "n": n} for code, n in counts.items()],
        "pool_size": sum(counts.values()),
        "whole_library": whole,
    }


def _slots(column: ColumnView) -> list[Slot]:
    return [calendar_slot(slot, column.draft.zone, column.created_at) for slot in column.draft.slots]
