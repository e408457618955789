"""Reads and expands RFC 5545 recurrence rules, with the faults told in words a person can act on.

In one thing it is kinder than the RFC: a day that a month does not have is that month's last (`month_days`).
"""

import calendar as months
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from lanmu.i18n import _
from lanmu.interfaces.errors import Invalid
from lanmu.schedule.month_days import LateDays, by_months, late_days

_DAYS = frozenset(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_EXAMPLE = _("Write it as FREQ=MONTHLY;BYMONTHDAY=1 (RFC 5545, section 3.3.10).")

# RFC 5545, section 3.3.10: where a part must not stand. BYSETPOS with DAILY could only ever mean the one day,
# and a rule that never matches would be searched for until the year 9999.
_FORBIDDEN = {
    "DAILY": {"BYYEARDAY", "BYWEEKNO", "BYSETPOS", "BYEASTER"},
    "WEEKLY": {"BYYEARDAY", "BYWEEKNO", "BYMONTHDAY", "BYSETPOS", "BYEASTER"},
    "MONTHLY": {"BYYEARDAY", "BYWEEKNO", "BYEASTER"},
    "YEARLY": {"BYEASTER"},
}


def read_rule(text: str, place: str = "rrule") -> tuple[str, datetime | None]:
    """The bare rule (`FREQ=…;…`) and the local start that a DTSTART before it gives, if there is one.

    RFC 5545 puts the two on lines of their own; blanks do as well, since a form's field has one line.
    """
    start: datetime | None = None
    rule = ""
    for line in text.replace("\\n", "\n").upper().split():
        name, colon, value = line.rpartition(":")
        if name == "DTSTART":
            start = _local_time(value, f"{place}.DTSTART")
        else:
            if rule or (colon and name != "RRULE"):
                raise Invalid(
                    place,
                    _("“%(line)s” is not understood."),
                    _("Give one rule, with a line DTSTART:20260101T200000 before it where it needs one."),
                    line=line,
                )
            rule = value
    _check(_parts(rule, place), place)
    return rule, start


def expand(
    rule: str, start: datetime, first: datetime, last: datetime, zone: ZoneInfo, place: str
) -> list[datetime]:
    """The rule's local wall times from `first` to `last`, both included; all times naive."""
    return _compiled(rule, start, zone, place).between(first, last, inc=True)


def ends_before(rule: str, start: datetime, wall: datetime, zone: ZoneInfo) -> bool:
    """Whether the rule comes round no more after a local wall time (naive)."""
    parts = _parts(rule, "rrule")
    if not parts.keys() & {"COUNT", "UNTIL"}:
        return False  # and so need not be searched for
    return _compiled(rule, start, zone, "rrule").after(wall) is None


def names_late_day(rule: str, start: datetime) -> bool:
    """Whether the rule names a day that some months lack, so that it comes on their last day."""
    return bool(late_days(_parts(rule, "rrule"), start))


@lru_cache(maxsize=256)
def _compiled(rule: str, start: datetime, zone: ZoneInfo, place: str) -> rrule | LateDays:
    parts = _parts(rule, place)
    _check(parts, place)
    if "UNTIL" in parts:
        parts["UNTIL"] = _until(parts["UNTIL"], zone, place)
    days = late_days(parts, start)
    if not days:
        return _read(parts, start, place)
    count = int(parts["COUNT"]) if "COUNT" in parts else None
    until = _local_time(parts["UNTIL"], place) if "UNTIL" in parts else None
    monthly, first = by_months(parts, start)
    return LateDays(_read(monthly, first, place), tuple(days), start, count, until)


def _read(parts: dict[str, str], start: datetime, place: str) -> rrule:
    try:
        compiled = rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=start)
    except (ValueError, TypeError) as error:
        raise Invalid(place, _("the rule is not valid: %(error)s."), _EXAMPLE, error=str(error)) from error
    if not isinstance(compiled, rrule):
        raise Invalid(place, _("more than one rule is given."), _EXAMPLE)
    return compiled


def _parts(rule: str, place: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for piece in rule.strip().strip(";").upper().split(";"):
        name, equals, value = (word.strip() for word in piece.partition("="))
        if not equals or not name or not value:
            raise Invalid(place, _("“%(piece)s” is not a part of a rule."), _EXAMPLE, piece=piece)
        if name in parts:
            raise Invalid(place, _("%(name)s is given twice."), _("Keep one of the two."), name=name)
        parts[name] = value
    return parts


def _check(parts: dict[str, str], place: str) -> None:
    """Refuse what the library would misread, search for without end, or fire more than once a minute."""
    frequency = parts.get("FREQ", "")
    if frequency not in FREQUENCIES:
        raise Invalid(
            place,
            _("FREQ is “%(frequency)s”."),
            _("Use DAILY, WEEKLY, MONTHLY or YEARLY; several times a day are several slots or BYHOUR."),
            frequency=frequency,
        )
    for name in sorted(_FORBIDDEN[frequency] & parts.keys()):
        raise Invalid(
            place,
            _("%(name)s cannot stand with FREQ=%(frequency)s."),
            _("Leave it out, or use FREQ=YEARLY or MONTHLY."),
            name=name,
            frequency=frequency,
        )
    if "BYSECOND" in parts:
        raise Invalid(place, _("BYSECOND is given; slots count in minutes."), _("Leave it out."))
    if "COUNT" in parts and "UNTIL" in parts:
        raise Invalid(place, _("COUNT and UNTIL are both given."), _("Keep one of the two."))
    for name, low, high in (
        ("INTERVAL", 1, 1000),
        ("COUNT", 1, 100_000),
        ("BYMONTH", 1, 12),
        ("BYHOUR", 0, 23),
        ("BYMINUTE", 0, 59),
    ):
        _numbers(parts, name, low, high, place)
    for name, limit in (("BYMONTHDAY", 31), ("BYYEARDAY", 366), ("BYWEEKNO", 53), ("BYSETPOS", 366)):
        if 0 in _numbers(parts, name, -limit, limit, place):
            raise Invalid(place, _("%(name)s is 0."), _("Count from 1, or from -1 at the end."), name=name)
    ordinal = re.compile(r"[+-]?[1-5](?=[A-Z])" if frequency == "MONTHLY" else r"[+-]?\d+(?=[A-Z])")
    for word in parts.get("BYDAY", "").split(","):
        name = word if frequency in ("DAILY", "WEEKLY") else ordinal.sub("", word)
        if word and name not in _DAYS:
            raise Invalid(
                place,
                _("BYDAY has “%(word)s”."),
                _("Use MO,TU,WE,TH,FR,SA,SU; by the month also 1MO to 5MO and -1MO."),
                word=word,
            )
    days = _numbers(parts, "BYMONTHDAY", -31, 31, place)
    in_months = _numbers(parts, "BYMONTH", 1, 12, place)
    # 2024 is a leap year, so 29 February counts as a day that exists.
    if days and in_months and min(map(abs, days)) > max(months.monthrange(2024, m)[1] for m in in_months):
        raise Invalid(place, _("the rule never comes round: no such month has such a day."), _EXAMPLE)


def _numbers(parts: dict[str, str], name: str, low: int, high: int, place: str) -> list[int]:
    try:
        numbers = [int(value) for value in parts.get(name, "").split(",") if value]
    except ValueError:
        numbers = [high + 1]
    if any(not low <= number <= high for number in numbers):
        raise Invalid(
            place,
            _("%(name)s is “%(value)s”."),
            _("Give whole numbers from %(low)s to %(high)s."),
            name=name,
            value=parts[name],
            low=low,
            high=high,
        )
    return numbers


def _until(text: str, zone: ZoneInfo, place: str) -> str:
    """The end as a local wall time: RFC 5545 writes it in UTC, the rule is expanded in local time.

    A bare date means the whole of that day.
    """
    if len(text) == 8:
        end = _local_time(text, place) + timedelta(days=1, seconds=-1)
    elif text.endswith("Z"):
        end = _local_time(text[:-1], place).replace(tzinfo=UTC).astimezone(zone)
    else:
        end = _local_time(text, place)
    return end.strftime("%Y%m%dT%H%M%S")


def _local_time(text: str, place: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y%m%d" if len(text) == 8 else "%Y%m%dT%H%M%S")  # noqa: DTZ007
    except ValueError as error:
        raise Invalid(
            place,
            _("“%(text)s” is not a date and time."),
            _("Write it as 20260101T200000, in local time."),
            text=text,
        ) from error
