"""What became of each recipient: asking the channels that tell it later, ever less often."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select, text, update
from sqlalchemy.orm import Session

from lanmu.delivery import asking
from lanmu.delivery.models import Unit, UnitTarget
from lanmu.delivery.progress import lock_pushes, settle
from lanmu.delivery.states import AWAITED, UnitState
from lanmu.interfaces.channels import Channel, NotConnected, Ref, TargetResult, TargetState
from lanmu.interfaces.clock import Clock
from lanmu.storage import Database

log = logging.getLogger(__name__)

GIVE_UP_AFTER = timedelta(days=30)
"""Results older than that do not come any more; what is known then stays."""

_PACE = (
    (timedelta(minutes=5), timedelta(seconds=5)),
    (timedelta(hours=1), timedelta(minutes=1)),
    (timedelta(days=1), timedelta(minutes=10)),
    (GIVE_UP_AFTER, timedelta(hours=2)),
)
_BATCH = 50

_TARGET_STATES = {
    TargetState.DELIVERED: "delivered",
    TargetState.UNDELIVERED: "undelivered",
    TargetState.SKIPPED: "skipped",
    TargetState.POSTPONED: "postponed",
}
_SETTLED = ("delivered", "undelivered", "skipped", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class _Awaited:
    id: int
    push_id: int
    channel: str
    ref: Ref
    accepted_at: datetime


class Results:
    """Asks the channels for results, and stores what they say."""

    def __init__(self, database: Database, clock: Clock, channels: Mapping[str, Channel]) -> None:
        self._database = database
        self._clock = clock
        self._channels = channels

    def poll(self) -> int:
        """Ask for every unit whose next look is due; answers how many were asked."""
        now = self._clock.now()
        with self._database.read() as session:
            awaited = _awaited(session, now)
        for unit in awaited:
            channel = self._channels.get(unit.channel)
            if channel is None or channel.abilities.acceptance != "async":
                self._store(unit, (), last=True)
                continue
            try:
                results = asking.results(channel, unit.ref)
            except (NotConnected, asking.ChannelFault) as error:  # asking again later loses nothing
                log.warning(
                    "no results", extra={"channel": unit.channel, "unit": unit.id, "why": error.reason}
                )
                results = ()
            self._store(unit, results, last=False)
        return len(awaited)

    def ask_soon(self, channel: str, ref: str) -> None:
        """Let the next poll ask for this reference, because its channel says that there is news."""
        with self._database.write() as session:
            session.execute(
                update(Unit)
                .where(Unit.channel == channel, Unit.ref == ref, Unit.accepted_at.is_not(None))
                .values(results_at=self._clock.now())
                .execution_options(synchronize_session=False)
            )

    def _store(self, unit: _Awaited, results: Sequence[TargetResult], *, last: bool) -> None:
        now = self._clock.now()
        with self._database.write() as session:
            lock_pushes(session, [unit.push_id])
            for result in results:
                state = _TARGET_STATES.get(result.state)
                if state is not None:
                    session.execute(
                        update(UnitTarget)
                        .where(UnitTarget.unit_id == unit.id, UnitTarget.recipient_key == result.key)
                        .values(state=state, reason=result.reason, changed_at=result.at or now)
                        .execution_options(synchronize_session=False)
                    )
            values = _after_look(session, unit, now, last)
            session.execute(
                update(Unit)
                .where(Unit.id == unit.id, Unit.state.in_(AWAITED))
                .values(values)
                .execution_options(synchronize_session=False)
            )
            settle(session, now, [unit.push_id])


def _awaited(session: Session, now: datetime) -> list[_Awaited]:
    rows = session.execute(
        select(Unit.id, Unit.push_id, Unit.channel, Unit.ref, Unit.ref_detail, Unit.accepted_at)
        # In the words of the partial index, see delivery.queue.
        .where(
            text("unit.state IN ('accepted','handed_over') AND unit.results_at IS NOT NULL"),
            Unit.results_at <= now,
        )
        .order_by(Unit.results_at)
        .limit(_BATCH)
    )
    return [
        _Awaited(row.id, row.push_id, row.channel, Ref(row.ref, row.ref_detail or {}), row.accepted_at)
        for row in rows
    ]


def _after_look(session: Session, unit: _Awaited, now: datetime, last: bool) -> dict[str, object]:
    """The unit's state and next look, by what its targets have come to."""
    if last:
        return {"results_at": None}
    total, settled, delivered = session.execute(
        select(
            func.count(),
            func.sum(case((UnitTarget.state.in_(_SETTLED), 1), else_=0)),
            func.sum(case((UnitTarget.state == "delivered", 1), else_=0)),
        ).where(UnitTarget.unit_id == unit.id)
    ).one()
    if settled == total:
        state = UnitState.UNDELIVERED
        if delivered:
            state = UnitState.DELIVERED if delivered == total else UnitState.PARTIAL
        return {"state": state, "results_at": None, "finished_at": now}
    age = now - unit.accepted_at
    pace = next((pace for limit, pace in _PACE if age < limit), None)
    return {"results_at": now + pace if pace else None}
