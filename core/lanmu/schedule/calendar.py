"""Turns a column's slots into moments on the calendar: local wall times and the instants they mean."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import Literal, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid
from lanmu.schedule.recurrence import ends_before, expand, read_rule

DayRule = Literal["any", "workday", "restday"]


class Weekday(IntEnum):
    """ISO 8601: Monday is 1 and Sunday is 7.

    Programs disagree on what a bare number means (cron counts Sunday as 0, others Monday), so text names
    the day and never counts it.
    """

    MONDAY = 1
    TUESDAY = 2
    WEDNESDAY = 3
    THURSDAY = 4
    FRIDAY = 5
    SATURDAY = 6
    SUNDAY = 7


EVERY_DAY = frozenset(Weekday)
_BY_NAME = {day.name[:3].lower(): day for day in Weekday}
_DAY_RULES: dict[str, DayRule] = {"daily": "any", "workday": "workday", "restday": "restday"}


class Workdays(Protocol):
    """Tells workdays from days of rest; the shop's own table stands behind it."""

    def is_workday(self, day: date) -> bool:
        """True where people in the shop's country go to work on this day."""
        ...


@dataclass(frozen=True, slots=True)
class MondayToFriday:
    """The plain fallback where no holiday table was given."""

    def is_workday(self, day: date) -> bool:
        """True from Monday to Friday."""
        return day.isoweekday() <= 5


@dataclass(frozen=True, slots=True)
class HolidayTable:
    """A table of public holidays and of the weekend days that are worked instead (调休).

    China's State Council announces both each autumn for the next year; outside the table a day is judged by
    its weekday alone.
    """

    rest: frozenset[date] = frozenset()
    work: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        if both := self.rest & self.work:
            raise Invalid(
                "holidays",
                _("%(day)s is listed as a day of rest and as a workday."),
                _("Keep one of the two."),
                day=min(both).isoformat(),
            )

    def is_workday(self, day: date) -> bool:
        """True on a listed workday, False on a listed day of rest, else True from Monday to Friday."""
        if day in self.work:
            return True
        return day not in self.rest and day.isoweekday() <= 5


@dataclass(frozen=True, slots=True)
class WeeklySlot:
    """Days of the week at a local time; `day_rule` narrows them to workdays or to days of rest."""

    at: time
    zone: str
    days: frozenset[Weekday] = EVERY_DAY
    day_rule: DayRule = "any"


@dataclass(frozen=True, slots=True)
class RuleSlot:
    """An RFC 5545 recurrence rule that counts from `start`, a local wall time in `zone`."""

    rule: str
    start: datetime
    zone: str
    except_days: frozenset[date] = field(default=frozenset())


Slot = WeeklySlot | RuleSlot


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """One time a slot comes round.

    `wall` is the local time that was asked for and `instant` (UTC) the one that is meant by it. In the
    hour that a change to summer time leaves out, `shifted` says how far the moment was moved forward; in the
    hour that comes twice, `ambiguous` is True and the first of the two is meant, so `fold` is always 0.
    """

    instant: datetime
    wall: datetime
    zone: str
    fold: int = 0
    shifted: timedelta = timedelta(0)
    ambiguous: bool = False

    @property
    def local(self) -> datetime:
        """What a clock on the wall shows at the instant (naive)."""
        return self.wall + self.shifted


@lru_cache(maxsize=64)
def zone_of(name: str, place: str = "zone") -> ZoneInfo:
    """The IANA zone of this name; `Invalid` where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(
            place,
            _("“%(name)s” is not a time zone."),
            _("Give an IANA name such as Asia/Shanghai."),
            name=name,
        ) from error


def parse_days(text: str, place: str = "weekdays") -> tuple[frozenset[Weekday], DayRule]:
    """Read `mon,wed,fri`, `daily`, `workday` or `restday`."""
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if len(words) == 1 and words[0] in _DAY_RULES:
        return EVERY_DAY, _DAY_RULES[words[0]]
    way_out = _("Name days as mon,tue,wed,thu,fri,sat,sun, or write daily, workday or restday.")
    if not words:
        raise Invalid(place, _("no day is given."), way_out)
    for word in words:
        if word not in _BY_NAME:
            raise Invalid(place, _("“%(word)s” is not a day of the week."), way_out, word=word)
    return frozenset(_BY_NAME[word] for word in words), "any"


def parse_time(text: str, place: str = "time") -> time:
    """Read `HH:MM`, 24 hours."""
    hours, colon, minutes = text.strip().partition(":")
    numbers = (hours.isascii() and hours.isdigit(), minutes.isascii() and minutes.isdigit())
    if not colon or len(hours) not in (1, 2) or len(minutes) != 2 or not all(numbers):
        raise Invalid(place, _("“%(text)s” is not a time of day."), _("Write it as 20:00."), text=text)
    if int(hours) > 23 or int(minutes) > 59:
        raise Invalid(place, _("“%(text)s” is not a time of day."), _("The last one is 23:59."), text=text)
    return time(int(hours), int(minutes))


def slot_from(
    *,
    zone: str,
    weekdays: str = "",
    at: str = "",
    rrule: str = "",
    start: datetime | None = None,
    place: str = "slot",
) -> Slot:
    """A checked slot from what a form or a file says: weekdays and a time, or a recurrence rule.

    A rule counts from its own DTSTART or from `start` (naive local time); where `at` is given too, it sets
    the time of day. Faults are told at `place` + `.zone`, `.weekdays`, `.time` or `.rrule`.
    """
    zone_of(zone, f"{place}.zone")
    if not rrule.strip():
        days, day_rule = parse_days(weekdays, f"{place}.weekdays")
        return WeeklySlot(parse_time(at, f"{place}.time"), zone, days, day_rule)
    if weekdays.strip():
        raise Invalid(
            f"{place}.weekdays",
            _("weekdays and a recurrence rule are both given."),
            _("Keep one of the two; a rule names days with BYDAY."),
        )
    rule, own_start = read_rule(rrule, f"{place}.rrule")
    begin = own_start or start
    if begin is None:
        raise Invalid(
            f"{place}.rrule", _("the rule has no beginning."), _("Add DTSTART:20260101T200000 before it.")
        )
    if at.strip():
        begin = datetime.combine(begin.date(), parse_time(at, f"{place}.time"))
    slot = RuleSlot(rule, begin.replace(microsecond=0), zone)
    expand(rule, slot.start, slot.start, slot.start, zone_of(zone), f"{place}.rrule")
    return slot


def resolve(wall: datetime, zone: str) -> Moment:
    """The moment that a local wall time (naive) means in a zone.

    A time that a change of the clock leaves out is moved forward by the length of the gap; of a time that
    comes twice the first is taken. Both are what PEP 495 gives for fold 0.
    """
    info = zone_of(zone)
    first = wall.replace(tzinfo=info, fold=0)
    instant = first.astimezone(UTC)
    shifted = instant.astimezone(info).replace(tzinfo=None, fold=0) - wall
    twice = not shifted and wall.replace(tzinfo=info, fold=1).utcoffset() != first.utcoffset()
    return Moment(instant, wall, zone, 0, shifted, twice)


def moments(slot: Slot, since: datetime, until: datetime, workdays: Workdays | None = None) -> list[Moment]:
    """Every moment of the slot in `[since, until)` (aware instants), in order, each instant once."""
    for name, value in (("since", since), ("until", until)):
        if value.tzinfo is None:
            raise Invalid(name, _("the time has no zone."), _("Give an instant in UTC."))
    found: dict[datetime, Moment] = {}
    for wall in _walls(slot, since, until, workdays or MondayToFriday()):
        moment = resolve(wall, slot.zone)
        if since <= moment.instant < until:
            # A rule may name both the hour that is left out and the one it is moved to: one firing.
            found.setdefault(moment.instant, moment)
    return [found[instant] for instant in sorted(found)]


def is_over(slot: Slot, now: datetime) -> bool:
    """Whether the slot comes round no more after an instant; days of the week always do."""
    if isinstance(slot, WeeklySlot):
        return False
    zone = zone_of(slot.zone)
    return ends_before(slot.rule, slot.start, now.astimezone(zone).replace(tzinfo=None), zone)


def moments_of(
    slots: Iterable[Slot], since: datetime, until: datetime, workdays: Workdays | None = None
) -> list[Moment]:
    """The moments of several slots of one column, in order; slots that meet at one instant fire once."""
    found: dict[datetime, Moment] = {}
    for slot in slots:
        for moment in moments(slot, since, until, workdays):
            found.setdefault(moment.instant, moment)
    return [found[instant] for instant in sorted(found)]


def _walls(slot: Slot, since: datetime, until: datetime, workdays: Workdays) -> Iterator[datetime]:
    """Wall times that may fall into the horizon: with a day to spare, as a clock change moves some."""
    info = zone_of(slot.zone)
    spare = timedelta(days=1)
    first = since.astimezone(info).replace(tzinfo=None) - spare
    last = until.astimezone(info).replace(tzinfo=None) + spare
    if isinstance(slot, RuleSlot):
        for wall in expand(slot.rule, slot.start, first, last, info, "rrule"):
            if wall.date() not in slot.except_days:
                yield wall
        return
    # Calendar days, never steps of 24 hours: a day of 23 or 25 hours would move the wall time.
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(ordinal)
        if day.isoweekday() not in slot.days:
            continue
        if slot.day_rule != "any" and workdays.is_workday(day) is not (slot.day_rule == "workday"):
            continue
        yield datetime.combine(day, slot.at)
