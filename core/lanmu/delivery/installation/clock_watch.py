"""Watches the machine's clock: while it cannot be trusted nothing starts, and nothing is taken for overdue.

Wall time is paired with boot time, which nobody sets, and with the latest wall time in the database. The
pairing stands in the database too, so that a process that starts after a jump knows of it.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from lanmu.delivery.installation.instance_models import ClockAnchor, ClockRecord
from lanmu.i18n import Filled, _
from lanmu.interfaces.clock import Clock, FarTime

log = logging.getLogger(__name__)

OFF = timedelta(seconds=120)
"""How far the wall may stand from where boot time puts it; a time server's corrections are far smaller."""
BEHIND = timedelta(seconds=5)
"""How far the wall may be behind the latest that was ever seen."""
AGREES = timedelta(seconds=60)
"""How near the far end's clock must be to bear ours out."""
GOOD_TICKS = 3
_STEADY = timedelta(seconds=2)
_HEARD_LONG_AGO = 3600.0
_CREEP = 0.001  # of the time that passes: twice what a time server may slew, so that drift is followed
_LONG_GONE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Pairing:
    """Where the wall stands beside boot time, followed so slowly that small steps cannot add up unseen."""

    wall: datetime
    boot: float

    def gap(self, wall: datetime, boot: float) -> timedelta:
        """How far the wall is ahead of where boot time puts it; negative where it is behind."""
        return wall - (self.wall + timedelta(seconds=boot - self.boot))

    def follow(self, wall: datetime, boot: float) -> "Pairing":
        """The pairing now, with what may be drift taken on."""
        passed = timedelta(seconds=boot - self.boot)
        most = abs(passed) * _CREEP
        return Pairing(self.wall + passed + max(-most, min(most, self.gap(wall, boot))), boot)

    def put_down(self, session: Session, boot_id: str) -> None:
        """Write it into the database, for all processes of this boot of this machine."""
        anchor = session.get(ClockAnchor, boot_id)
        if anchor is None:
            session.execute(delete(ClockAnchor).where(ClockAnchor.wall < self.wall - _LONG_GONE))
            anchor = ClockAnchor(boot_id=boot_id)
            session.add(anchor)
        anchor.wall, anchor.boot = self.wall, self.boot


def fault_of(gap: timedelta, behind: timedelta, lag: timedelta = timedelta(0)) -> str:
    """What is wrong with a clock that jumped by `gap` and is `behind` the latest time seen; "" if nothing.

    `lag` is how far behind it was when the far end's clock bore it out.
    """
    if gap > OFF:
        return Filled(_("The clock of this machine jumped ahead by %(seconds)s s."), seconds=_seconds(gap))
    if behind > BEHIND + lag:
        return Filled(
            _("The clock of this machine is %(seconds)s s behind the latest time it has shown."),
            seconds=_seconds(behind),
        )
    if gap < -OFF:
        return Filled(_("The clock of this machine was set back by %(seconds)s s."), seconds=_seconds(-gap))
    return ""


def _seconds(span: timedelta) -> int:
    return round(span.total_seconds())


@dataclass(frozen=True, slots=True)
class _Tick:
    wall: datetime
    boot: float
    gap: timedelta


class ClockWatch:
    """One process's watch; what it finds stands in the database, for all of them.

    `boot_id` names this boot of this machine; without one the pairing ends with the process.
    """

    def __init__(
        self, clock: Clock, far_times: Callable[[], Iterable[FarTime]] = tuple, boot_id: str = ""
    ) -> None:
        self._clock = clock
        self._far_times = far_times
        self._boot_id = boot_id
        wall, boot = clock.now(), clock.boottime()
        self._pairing = Pairing(wall, boot)
        self._latest = wall - BEHIND
        self._lag = timedelta(0)
        self._last = _Tick(wall, boot, timedelta(0))
        self._suspect = True  # until the first look into the database
        self._suspicion_read = False  # whether this process has seen its suspicion stand in the database
        self._paired_in_time = False  # whether the pairing is from a time when the clock was trusted

    def sane(self) -> bool:
        """Whether the clock can be trusted this instant; without a look into the database.

        Asked before every batch, in any thread: between two ticks a jump would let what is not due look due.
        """
        wall, boot = self._clock.now(), self._clock.boottime()
        return not self._suspect and not self._fault(wall, boot)

    def tick(self, session: Session) -> None:
        """Look at the clock, and write down what is to be thought of it."""
        wall, boot = self._clock.now(), self._clock.boottime()
        row = session.scalar(select(ClockRecord).with_for_update())
        if row is None:
            row = ClockRecord(id=1, max_wall_seen=wall)
            session.add(row)
        self._latest = row.max_wall_seen
        anchored = self._take_up(session)
        gap = self._pairing.gap(wall, boot)
        steady = abs(gap - self._last.gap) <= _STEADY
        if row.suspect_since is not None:
            self._suspect = self._suspicion_read = True
        elif self._suspicion_read and (anchored or steady):  # trusted by a person, or by another process
            self._trusted(wall, boot, self._pairing if anchored else Pairing(wall, boot))
        fault = self._fault(wall, boot)
        if fault and row.suspect_since is None:
            log.error("the clock cannot be trusted, so nothing is sent: %s", fault)
            self._suspect, self._suspicion_read = True, False
            row.suspect_since, row.suspect_reason, row.good_ticks = row.max_wall_seen, fault, 0
        elif row.suspect_since is not None:
            row.good_ticks = row.good_ticks + 1 if steady else 0
            if row.good_ticks >= GOOD_TICKS and self._borne_out(wall, boot, fault):
                log.warning("the clock is trusted again")
                trust(session, row, wall)
                self._trusted(wall, boot, Pairing(wall, boot))
        if row.suspect_since is None:
            row.max_wall_seen = self._latest = max(wall, row.max_wall_seen)
            self._pairing = self._pairing.follow(wall, boot)
            if self._boot_id:
                self._pairing.put_down(session, self._boot_id)
            self._suspect, self._paired_in_time = False, True
        self._last = _Tick(wall, boot, self._pairing.gap(wall, boot))

    def _take_up(self, session: Session) -> bool:
        """Take the pairing that stands in the database for this boot; whether there is one."""
        anchor = session.get(ClockAnchor, self._boot_id) if self._boot_id else None
        if anchor is None:
            return False
        self._pairing, self._paired_in_time = Pairing(anchor.wall, anchor.boot), True
        return True

    def _fault(self, wall: datetime, boot: float) -> str:
        return fault_of(self._pairing.gap(wall, boot), self._latest - wall, self._lag)

    def _borne_out(self, wall: datetime, boot: float, fault: str) -> bool:
        """Whether a far end's clock agrees; where none is known, whether the jump was taken back."""
        heard = [each for each in self._far_times() if 0 <= boot - each.heard_boot <= _HEARD_LONG_AGO]
        if not heard:
            return not fault and self._paired_in_time
        latest = max(heard, key=lambda each: each.heard_boot)
        return abs(latest.at + timedelta(seconds=boot - latest.heard_boot) - wall) <= AGREES

    def _trusted(self, wall: datetime, boot: float, pairing: Pairing) -> None:
        self._lag = min(AGREES, max(timedelta(0), self._latest - wall))
        self._pairing = pairing
        self._last = _Tick(wall, boot, pairing.gap(wall, boot))
        self._suspect = self._suspicion_read = False


def trust(session: Session, row: ClockRecord, wall: datetime) -> None:
    """Take the clock as it stands: on a far end's word, or on a person's."""
    row.suspect_since, row.suspect_reason, row.good_ticks = None, "", 0
    row.max_wall_seen = wall
    session.execute(delete(ClockAnchor))  # each process pairs its own anew
