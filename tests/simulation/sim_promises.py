"""What must be true of each message at the instant at which it reaches people."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.simulation.far_end import Effect
from tests.simulation.sim_clock import START, SimClock
from tests.simulation.sim_material import is_quiet_for

from lanmu.delivery.sending.dispatcher import GUARD_GAP

QUIET_FROM, QUIET_UNTIL = START + timedelta(minutes=10), START + timedelta(minutes=30)
"""The quiet hours of the first day, which come back every day; in the zone of the shop."""

_GUARD = timedelta(seconds=GUARD_GAP + 1)
_DAY = timedelta(days=1)


class Promises:
    """Holds each message against the time of its push. `clock_most`: how far a trusted clock may be wrong."""

    def __init__(self, clock: SimClock, clock_most: float) -> None:
        self._clock = clock
        self._wrong_by = timedelta(seconds=clock_most + 1)
        self.due: dict[str, tuple[datetime, datetime]] = {}

    def broken_by(self, effect: Effect) -> Iterator[str]:
        """What is wrong with a message that takes effect now.

        By the wall clock, which a worker goes by, and which may have been set while it was on its way; and by
        the true time, from which a clock that is trusted is never far.
        """
        earliest, latest = self._clock.walls()
        true = self._clock.true()
        due, deadline = self.due[effect.targets[0].partition("/")[0]]
        if latest < due:
            yield f"early: {effect.token} due {due} at {latest}"
        elif true < due - self._wrong_by:
            yield f"early: {effect.token} due {due} in truth at {true}"
        if earliest > deadline + _GUARD:
            yield f"after its deadline: {effect.token} {deadline} at {earliest}"
        elif true > deadline + _GUARD + self._wrong_by:
            yield f"after its deadline: {effect.token} {deadline} in truth at {true}"
        if any(is_quiet_for(key) for key in effect.targets):
            since = (earliest - QUIET_FROM) % _DAY
            if since > _GUARD and since + (latest - earliest) < QUIET_UNTIL - QUIET_FROM:
                yield f"in quiet hours: {effect.token} at {earliest}"
