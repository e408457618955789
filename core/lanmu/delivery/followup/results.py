"""What became of each recipient, asked for ever less often; and taking back what a cancelled push has out."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select, text, update
from sqlalchemy.orm import Session

from lanmu.delivery.door import limits
from lanmu.delivery.models import Attempt, Push, Unit, UnitTarget
from lanmu.delivery.progress import lock_pushes, settle
from lanmu.delivery.sending import asking
from lanmu.delivery.states import AWAITED, UnitState
from lanmu.i18n import _
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

_SILENCES = 3
"""After so many questions in a row that got no answer the rest of a batch stays due for the next poll: who
waits in vain for each of them has no hand free for other channels meanwhile."""

_TOLD_AGAIN = 60.0

REFUSED = "cancel_refused"
"""The code of a unit that its channel did not take back, so that it is not asked to again."""

_TARGET_STATES = {
    TargetState.DELIVERED: "delivered",
    TargetState.UNDELIVERED: "undelivered",
    TargetState.SKIPPED: "skipped",
    TargetState.POSTPONED: "postponed",
}
_SETTLED = ("delivered", "undelivered", "skipped", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class _Awaited:
    """A unit whose channel will be asked. `unwanted`: its push was cancelled, so it shall be taken back."""

    id: int
    push_id: int
    channel: str
    ref: Ref
    accepted_at: datetime
    unwanted: bool


class Results:
    """Asks the channels for results, and stores what they say.

    `elsewhere` names the channels that are left to other workers.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        channels: Mapping[str, Channel],
        elsewhere: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._database = database
        self._clock = clock
        self._channels = channels
        self._elsewhere = elsewhere
        self._told: dict[tuple[str, str], float] = {}

    def poll(self, push_id: int | None = None, stop: Callable[[], bool] = lambda: False) -> int:
        """Ask for every unit whose next look is due, or for those of one push; answers how many those are.

        What a cancelled push still has at a channel that can take it back is taken back first.
        """
        now, elsewhere = self._clock.now(), self._elsewhere()
        with self._database.read() as session:
            awaited = _awaited(session, now, push_id, elsewhere)
        silences: Counter[str] = Counter()
        for unit in awaited:
            if stop():
                break
            channel = self._channels.get(unit.channel)
            if channel is not None and channel.abilities.cancel and unit.unwanted and unit.ref.id:
                self._take_back(unit, channel)
            elif channel is None:  # it may run again: what it can tell is asked for then
                self._store(unit, (), last=False)
            elif channel.abilities.acceptance != "async":
                self._store(unit, (), last=True)
            elif silences[unit.channel] < _SILENCES:
                said = self._said(unit, channel)
                silences[unit.channel] = silences[unit.channel] + 1 if said is None else 0
                self._store(unit, said or (), last=False)
        return len(awaited)

    def _said(self, unit: _Awaited, channel: Channel) -> tuple[TargetResult, ...] | None:
        """What the channel says of each recipient; None where it cannot be asked, which loses nothing."""
        if channel.abilities.acceptance != "async":
            return ()
        try:
            return asking.results(channel, unit.ref)
        except (NotConnected, asking.ChannelFault) as error:
            self._tell("no results", unit, error.reason)
            return None

    def _tell(self, what: str, unit: _Awaited, why: str) -> None:
        """Log it once a minute for each channel: it is asked for thousands of units, every few seconds."""
        now = self._clock.boottime()
        told = self._told.get((what, unit.channel))
        if told is None or now - told >= _TOLD_AGAIN:
            self._told[what, unit.channel] = now
            log.warning(what, extra={"channel": unit.channel, "unit": unit.id, "why": why})

    def _take_back(self, unit: _Awaited, channel: Channel) -> None:
        """Cancel at the channel what is not confirmed there, and see who has had it already.

        Where either cannot be learnt now, all of it is tried again: to cancel twice does no harm.
        """
        refused = None
        try:
            answer = asking.cancelled(channel, unit.ref)
            results = self._said(unit, channel)
            refused = None if answer.cancelled else answer.reason
        except (NotConnected, asking.ChannelFault) as error:
            self._tell("not cancelled", unit, error.reason)
            results = None
        if refused is not None:
            self._store(unit, results or (), last=False, refused=refused)
        elif results is None:
            self._store(unit, (), last=False)
        else:
            self._store(unit, results, last=False, taken_back=True)

    def ask_soon(self, channel: str, ref: str) -> None:
        """Let the next poll ask for this reference, because its channel says that there is news."""
        with self._database.write() as session:
            session.execute(
                update(Unit)
                .where(Unit.channel == channel, Unit.ref == ref, Unit.accepted_at.is_not(None))
                .values(results_at=self._clock.now())
                .execution_options(synchronize_session=False)
            )

    def _store(
        self,
        unit: _Awaited,
        results: Sequence[TargetResult],
        *,
        last: bool,
        taken_back: bool = False,
        refused: str | None = None,
    ) -> None:
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
            if taken_back:
                session.execute(
                    update(UnitTarget)
                    .where(UnitTarget.unit_id == unit.id, UnitTarget.state.not_in(_SETTLED))
                    .values(state="cancelled", reason=_("It was taken back in time."), changed_at=now)
                    .execution_options(synchronize_session=False)
                )
            values = _after_look(session, unit, now, last)
            if refused is not None:
                values |= {"code": REFUSED, "reason": refused}
            if values.get("state") is UnitState.CANCELLED:  # nobody got it: its place is free again
                limits.release(session, [unit.id])
                session.execute(
                    update(Attempt)
                    .where(Attempt.unit_id == unit.id, Attempt.outcome.in_(AWAITED))
                    .values(outcome="cancelled")
                    .execution_options(synchronize_session=False)
                )
            session.execute(
                update(Unit)
                .where(Unit.id == unit.id, Unit.state.in_(AWAITED))
                .values(values)
                .execution_options(synchronize_session=False)
            )
            settle(session, now, [unit.push_id])


def _awaited(
    session: Session, now: datetime, push_id: int | None, without: Collection[str]
) -> list[_Awaited]:
    query = (
        select(Unit.id, Unit.push_id, Unit.channel, Unit.ref, Unit.ref_detail, Unit.accepted_at, Unit.code)
        .add_columns(Push.cancel_requested)
        .join(Push, Push.id == Unit.push_id)
        # In the words of the partial index, see delivery.sending.queue.
        .where(
            text("unit.state IN ('accepted','handed_over') AND unit.results_at IS NOT NULL"),
            Unit.results_at <= now,
            Unit.channel.not_in(without),
        )
        .order_by(Unit.results_at)
        .limit(_BATCH)
    )
    if push_id is not None:
        query = query.where(Unit.push_id == push_id).limit(None)
    return [
        _Awaited(
            row.id,
            row.push_id,
            row.channel,
            Ref(row.ref, row.ref_detail or {}),
            row.accepted_at,
            row.cancel_requested and row.code != REFUSED,
        )
        for row in session.execute(query)
    ]


def _after_look(session: Session, unit: _Awaited, now: datetime, last: bool) -> dict[str, object]:
    """The unit's state and next look, by what its targets have come to."""
    if last:
        return {"results_at": None}
    total, settled, delivered, cancelled = session.execute(
        select(
            func.count(),
            func.sum(case((UnitTarget.state.in_(_SETTLED), 1), else_=0)),
            func.sum(case((UnitTarget.state == "delivered", 1), else_=0)),
            func.sum(case((UnitTarget.state == "cancelled", 1), else_=0)),
        ).where(UnitTarget.unit_id == unit.id)
    ).one()
    if settled == total:
        state = UnitState.UNDELIVERED
        if delivered:
            state = UnitState.DELIVERED if delivered == total else UnitState.PARTIAL
        elif cancelled:
            state = UnitState.CANCELLED
        return {"state": state, "results_at": None, "finished_at": now}
    age = now - unit.accepted_at
    pace = next((pace for limit, pace in _PACE if age < limit), None)
    return {"results_at": now + pace if pace else None}
