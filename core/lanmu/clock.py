"""The real clock: the one place that asks the machine for the time."""

import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def boottime(self) -> float:
        # Linux has a clock that goes on in suspend; elsewhere the monotonic one is the best there is.
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
