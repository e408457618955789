"""The periods of the limits: calendar days, weeks and months of the shop's zone, and how much they allow."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Window:
    """One calendar period of the shop's zone: its first day, and the instant at which the next begins."""

    starts_on: date
    ends_at: datetime


def window_of(period: str, instant: datetime, zone: ZoneInfo) -> Window:
    """The period (day, week from Monday, or month) that holds the instant.

    Days are the calendar's: one on which clocks change has 23 or 25 hours.
    """
    today = instant.astimezone(zone).date()
    match period:
        case "day":
            first, after = today, today + timedelta(days=1)
        case "week":
            first = today - timedelta(days=today.weekday())
            after = first + timedelta(days=7)
        case "month":
            first = today.replace(day=1)
            after = first + timedelta(days=_days_of_month(first))
        case _:
            raise ValueError(f"not a period: {period}")
    return Window(first, datetime.combine(after, time(), zone).astimezone(UTC))


def allowed(most: int | None, starts_on: date) -> int:
    """How many the period allows; where no number is set, as many as its month has days."""
    return _days_of_month(starts_on) if most is None else most


def _days_of_month(day: date) -> int:
    return monthrange(day.year, day.month)[1]
