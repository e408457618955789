"""When each column should come, worked out by plain dates and wall clocks, and not by the planner's code.

A check that asked the planner would agree with whatever the planner does. Only the reading of RFC 5545 rules
is shared: what days a rule names, not which instants they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lanmu.rehearsal.comparing import Place
from lanmu.rehearsal.people import Recipient, takes
from lanmu.schedule.columns import ColumnView, SlotDraft
from lanmu.schedule.recurrence import expand, read_rule

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def expected(
    columns: Sequence[ColumnView],
    recipients: Sequence[Recipient],
    start: datetime,
    until: datetime,
    special: Mapping[date, bool],
) -> set[Place]:
    """Who should get which column when, in `[start, until)`. `special`: day → whether people work on it."""
    found = set()
    for column in columns:
        mine = [one.key for one in recipients if takes(column, one.profile)]
        for at in moments(column, start, until, special):
            found |= {Place(column.id, key, at) for key in mine}
    return found


def moments(
    column: ColumnView, start: datetime, until: datetime, special: Mapping[date, bool]
) -> list[datetime]:
    """A column's instants: as much later where the clock skips an hour, the first where it repeats one."""
    zone = ZoneInfo(column.draft.zone)
    first = start.astimezone(zone).replace(tzinfo=None) - timedelta(days=1)
    last = until.astimezone(zone).replace(tzinfo=None) + timedelta(days=1)
    found = set()
    for slot in column.draft.slots:
        for wall in _walls(slot, column, first, last, special, zone):
            instant = wall.replace(tzinfo=zone).astimezone(UTC)
            if start <= instant < until:
                found.add(instant)
    return sorted(found)


def _walls(
    slot: SlotDraft,
    column: ColumnView,
    first: datetime,
    last: datetime,
    special: Mapping[date, bool],
    zone: ZoneInfo,
) -> Iterator[datetime]:
    if slot.rrule:
        rule, begin = read_rule(slot.rrule)
        if begin is None:
            begin = column.created_at.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
        if slot.time:
            begin = datetime.combine(begin.date(), _time(slot.time))
        yield from expand(rule, begin, first, last, zone, "rrule")
        return
    words = {word.strip().lower() for word in slot.weekdays.split(",")}
    for number in range((last.date() - first.date()).days + 1):
        day = first.date() + timedelta(days=number)
        works = special.get(day, day.weekday() < 5)
        if words & {_DAYS[day.weekday()], "daily", "workday" if works else "restday"}:
            yield datetime.combine(day, _time(slot.time))


def _time(text: str) -> time:
    hour, _colon, minute = text.partition(":")
    return time(int(hour), int(minute))
