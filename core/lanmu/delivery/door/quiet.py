"""Quiet hours (免打扰时段): when nobody is to be disturbed, by the wall clock where the recipients live."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

AT_ANY_HOUR = "at_any_hour"
"""The option of a push that is meant for quiet hours too ("yes"), such as the demo's that reaches nobody."""

_MINUTE = timedelta(minutes=1)


def zone_called(name: str, default: ZoneInfo) -> ZoneInfo:
    """The zone of that name; the default where it is empty or this machine does not know it."""
    try:
        return ZoneInfo(name) if name else default
    except (KeyError, ValueError, OSError):
        return default


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `since` until before `until` each day; over midnight where `until` is the earlier."""

    since: time
    until: time

    def holds_at(self, wall: time) -> bool:
        """Whether a wall clock that shows this shows a quiet hour."""
        if self.since < self.until:
            return self.since <= wall < self.until
        return wall >= self.since or wall < self.until

    def over_at(self, instant: datetime, zone: ZoneInfo) -> datetime:
        """The first instant from this one on at which it is not quiet: itself, where it is not quiet now.

        What counts is what the wall clock shows. Where clocks go forward over the end, quiet ends with the
        jump; where they go back, it may be quiet once more for as long as the clock shows it.
        """
        local = instant.astimezone(zone)
        if not self.holds_at(local.time()):
            return instant
        day = local.date()
        if self.since >= self.until and local.time() >= self.since:
            day += timedelta(days=1)
        ends = sorted(
            datetime.combine(day, self.until, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1)
        )
        for end in ends:
            if end > instant and end.astimezone(zone).time() == self.until:
                return end
        return self._jump(max(instant, ends[0]), zone)

    def open_for(self, instant: datetime, span: timedelta, zone: ZoneInfo) -> datetime:
        """The instant by which, from this one on, it has not been quiet for so long in all."""
        at = self.over_at(instant, zone)
        while (begins := self._begins_after(at, zone)) - at < span:
            span -= begins - at
            at = self.over_at(begins, zone)
        return at + span

    def _begins_after(self, instant: datetime, zone: ZoneInfo) -> datetime:
        """The first instant after one that is not quiet at which it gets quiet, by that day's clock."""
        day = instant.astimezone(zone).date()
        for each in (day, day + timedelta(days=1)):
            begins = datetime.combine(each, self.since, zone).astimezone(UTC)
            if begins > instant:
                return begins
        return instant + timedelta(days=1)

    def _jump(self, instant: datetime, zone: ZoneInfo) -> datetime:
        """The end where no clock ever shows it: the minute at which clocks jump over it."""
        at = instant.astimezone(UTC).replace(second=0, microsecond=0)
        while at < instant or self.holds_at(at.astimezone(zone).time()):
            at += _MINUTE
        return at
