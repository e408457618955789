"""A clock that a simulation moves: time passes, machines sleep, and people set the wall clock both ways."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
"""A Monday morning in the shop's zone, a week before the month ends: caps of a month hold for a whole run."""

_REMEMBERED = 60.0
"""Seconds of boot time for which a wall clock that was set away still counts as having been right."""


class SimClock:
    """Wall time is true time plus a skew; boot time is true time, counted in suspend too.

    `set_at` is at which boot times the wall clock was set.
    """

    def __init__(self) -> None:
        self.boot = 1000.0
        self._skew = 0.0
        self._skews: list[tuple[float, float]] = []
        self.set_at: list[float] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.boot - 1000.0 + self._skew)

    def boottime(self) -> float:
        return self.boot

    def true(self) -> datetime:
        """The time at the far end, whose clock nobody here sets."""
        return START + timedelta(seconds=self.boot - 1000.0)

    def pass_by(self, seconds: float) -> None:
        self.boot += seconds

    @property
    def skew(self) -> float:
        """Seconds by which the wall clock is ahead."""
        return self._skew

    def set_ahead(self, seconds: float) -> None:
        """Set the wall clock to be so far ahead of the truth, or behind it."""
        if seconds == self._skew:
            return
        self.set_at.append(self.boot)
        recent = self.boot - _REMEMBERED
        self._skews = [each for each in self._skews if each[0] >= recent]
        self._skews.append((self.boot, self._skew))
        self._skew = seconds

    def walls(self) -> tuple[datetime, datetime]:
        """The earliest and the latest of what the wall clock shows or has just shown before it was set."""
        skews = [self._skew, *(skew for until, skew in self._skews if until >= self.boot - _REMEMBERED)]
        true = self.true()
        return true + timedelta(seconds=min(skews)), true + timedelta(seconds=max(skews))
