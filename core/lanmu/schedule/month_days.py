"""Days of the month that a month may not have: the 31st is the last day of a shorter month, never skipped."""

import calendar as months
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby, islice

from dateutil.rrule import rrule

_SHORTEST = 28


def late_days(parts: dict[str, str], start: datetime) -> list[int]:
    """The days of the month that a rule names, where some month may lack one of them; else nothing.

    RFC 5545 would skip such a month, and so would a customer's monthly reminder. A rule that counts days in
    another way as well (weekdays, weeks, days of the year, positions) is left as the RFC has it.
    """
    if parts.get("FREQ") not in ("MONTHLY", "YEARLY") or parts.keys() & {
        "BYDAY",
        "BYSETPOS",
        "BYYEARDAY",
        "BYWEEKNO",
    }:
        return []
    days = [int(day) for day in parts["BYMONTHDAY"].split(",")] if "BYMONTHDAY" in parts else [start.day]
    return days if any(abs(day) > _SHORTEST for day in days) else []


def by_months(parts: dict[str, str], start: datetime) -> tuple[dict[str, str], datetime]:
    """The rule and start that come round on the first of each month that the rule means."""
    monthly = {name: value for name, value in parts.items() if name != "COUNT"} | {"BYMONTHDAY": "1"}
    if parts["FREQ"] == "YEARLY" and not parts.keys() & {"BYMONTH", "BYMONTHDAY"}:
        monthly["BYMONTH"] = str(start.month)
    return monthly, start.replace(day=1)


@dataclass(frozen=True, slots=True)
class LateDays:
    """A rule by days of the month, each at most the month's last; asked like dateutil's own rules.

    `monthly` comes round on the first of each month. Where two of the days are one in a short month it comes
    once.
    """

    monthly: rrule
    days: tuple[int, ...]
    start: datetime
    count: int | None
    until: datetime | None

    def between(self, first: datetime, last: datetime, inc: bool = True) -> list[datetime]:
        """Its times from `first` to `last`, both included."""
        found = []
        for wall in self:
            if wall > last:
                break
            if wall >= first:
                found.append(wall)
        return found

    def after(self, wall: datetime) -> datetime | None:
        """Its first time after another; None where there is none."""
        return next((each for each in self if each > wall), None)

    def __iter__(self) -> Iterator[datetime]:
        by_month = groupby(self.monthly, key=lambda first: (first.year, first.month))
        walls = chain.from_iterable(self._in_month(list(firsts)) for _month, firsts in by_month)
        return islice(walls, self.count)

    def _in_month(self, firsts: list[datetime]) -> list[datetime]:
        length = months.monthrange(firsts[0].year, firsts[0].month)[1]
        days = {min(day, length) if day > 0 else max(length + 1 + day, 1) for day in self.days}
        walls = sorted(first.replace(day=day) for day in days for first in firsts)
        return [wall for wall in walls if wall >= self.start and (self.until is None or wall <= self.until)]
