"""A clock that moves only when it is told to."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Starts at 2026-11-23 08:00 in Shanghai, a Monday, unless told otherwise."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._boot = 1000.0

    def now(self) -> datetime:
        return self._now

    def boottime(self) -> float:
        return self._boot

    def advance(self, step: timedelta) -> None:
        """Let time pass: wall time and boot time alike."""
        self._now += step
        self._boot += step.total_seconds()

    def jump(self, step: timedelta) -> None:
        """Set the wall clock forward or back, as a person or a time server does; no time passes."""
        self._now += step

    def set(self, instant: datetime) -> None:
        self.advance(instant - self._now)
