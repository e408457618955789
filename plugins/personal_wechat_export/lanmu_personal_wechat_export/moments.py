"""Times as an executor reads and chooses them, in the executors' zone."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

_EVENING = time(20, 0)
_MORNING = time(9, 0)
_NOT_AFTER = time(22, 0)  # what is sent later wakes people up


@dataclass(frozen=True, slots=True)
class Near:
    """A time as short as it can be told apart: on which day, and the clock."""

    day: Literal["today", "tomorrow", "yesterday", "other"]
    date: str
    clock: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A time to which a recipient may be postponed with one tap."""

    word: Literal["hour", "evening", "morning"]
    at: datetime
    clock: str


def near(at: datetime, now: datetime, zone: ZoneInfo) -> Near:
    """How to write `at` for somebody who reads it at `now`."""
    local = at.astimezone(zone)
    days = (local.date() - now.astimezone(zone).date()).days
    words: dict[int, Literal["today", "tomorrow", "yesterday"]] = {0: "today", 1: "tomorrow", -1: "yesterday"}
    return Near(words.get(days, "other"), f"{local:%m-%d}", f"{local:%H:%M}")


def choices(now: datetime, deadline: datetime | None, zone: ZoneInfo) -> tuple[Choice, ...]:
    """An hour from now, this evening, tomorrow morning: those that are ahead, up to the deadline."""
    local = now.astimezone(zone)
    found: list[Choice] = []

    def offer(word: Literal["hour", "evening", "morning"], at: datetime) -> None:
        if at > now and (deadline is None or at <= deadline):
            found.append(Choice(word, at, f"{at.astimezone(zone):%H:%M}"))

    hour = (local + timedelta(hours=1)).replace(second=0, microsecond=0)
    evening = datetime.combine(local.date(), _EVENING, zone)
    if hour.time() <= _NOT_AFTER and hour.date() == local.date():
        offer("hour", hour)
    if evening - local >= timedelta(minutes=90):  # nearer than that it is the same as an hour from now
        offer("evening", evening)
    offer("morning", datetime.combine(local.date() + timedelta(days=1), _MORNING, zone))
    return tuple(found)


def chosen(text: str, zone: ZoneInfo) -> datetime | None:
    """A time from a form: an instant with its offset, or wall time in the zone; None where it is neither."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)


def start_of_day(now: datetime, zone: ZoneInfo) -> datetime:
    """Midnight of the executors' day."""
    return datetime.combine(now.astimezone(zone).date(), time(), zone)
