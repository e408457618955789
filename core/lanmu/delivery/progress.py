"""How far a push is: counted from its units each time, so that there is no second truth to drift."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from lanmu.delivery.models import Push, Unit, UnitTarget
from lanmu.delivery.states import FINISHED_PUSHES, OPEN, PushState, push_state_from_units


@dataclass(frozen=True, slots=True)
class Progress:
    """Units and targets of a push by state. Σ targets = planned, at all times."""

    planned: int
    units: dict[str, int]
    targets: dict[str, int]

    @property
    def out(self) -> int:
        """Targets that the channel has accepted, or a person has been handed."""
        return sum(
            self.targets.get(state, 0)
            for state in ("accepted", "handed_over", "delivered", "undelivered", "postponed")
        )


def progress(session: Session, push_id: int) -> Progress:
    """The push's units and targets, counted."""
    units = session.execute(
        select(Unit.state, func.count()).where(Unit.push_id == push_id).group_by(Unit.state)
    ).all()
    targets = session.execute(
        select(UnitTarget.state, func.count()).where(UnitTarget.push_id == push_id).group_by(UnitTarget.state)
    ).all()
    by_state = {str(state): int(count) for state, count in targets}
    return Progress(sum(by_state.values()), {str(state): int(count) for state, count in units}, by_state)


def settle(session: Session, now: datetime, push_ids: Iterable[int]) -> list[int]:
    """Finish the pushes that have nothing open any more; answers which.

    A push that had finished is open again once a person has one of its units sent anew.
    """
    finished = []
    for push_id in push_ids:
        # One probe of an index while units are open: counting them each time would cost more with each unit.
        still_open = session.scalar(
            select(Unit.id).where(Unit.push_id == push_id, Unit.state.in_(OPEN)).limit(1)
        )
        if still_open is not None:
            change = update(Push).where(Push.id == push_id, Push.state.in_(FINISHED_PUSHES))
            change = change.values(state=PushState.RUNNING, finished_at=None)
        else:
            counts = session.execute(
                select(Unit.state, func.count()).where(Unit.push_id == push_id).group_by(Unit.state)
            ).all()
            state = push_state_from_units({str(unit_state): int(count) for unit_state, count in counts})
            change = update(Push).where(Push.id == push_id, Push.state != state)
            change = change.values(state=state, finished_at=now)
            finished.append(push_id)
        session.execute(change.execution_options(synchronize_session=False))
    return finished
