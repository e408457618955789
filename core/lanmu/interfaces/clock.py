"""The clock that is handed in everywhere, so that time can be chosen in a test."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable


class Clock(Protocol):
    """Where all of Lanmu reads the time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...

    def boottime(self) -> float:
        """Seconds since the machine started, counting the time it slept.

        Unlike a monotonic clock it does not stop in suspend, so a gap in it shows that a worker slept
        between two lines of code.
        """
        ...


@dataclass(frozen=True, slots=True)
class FarTime:
    """What the clock of a far end said (`at`), and this machine's boot time when that was heard."""

    at: datetime
    heard_boot: float


@runtime_checkable
class TellsTime(Protocol):
    """A channel that can say what its far end's clock showed; any channel may, none must."""

    def far_time(self) -> FarTime | None:
        """The latest that was heard, such as the `Date` header of an answer; None before the first."""
        ...


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """An aware UTC instant, to write one down shortly."""
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
