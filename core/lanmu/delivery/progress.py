"""How far a push is: counted from its units each time, so that there is no second truth to drift."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, select, text, update
from sqlalchemy.orm import Session

from lanmu.delivery.models import Push, Unit, UnitTarget
from lanmu.delivery.states import FINISHED_PUSHES, PushState, push_state_from_units


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


def lock_pushes(session: Session, push_ids: Collection[int]) -> None:
    """Keep others from moving these pushes until the transaction ends; SQLite has one writer anyway.

    Without it, two workers that each finish one of the last two units would both see the other's as open.
    """
    if session.get_bind().dialect.name != "sqlite":
        session.execute(select(Push.id).where(Push.id.in_(push_ids)).order_by(Push.id).with_for_update())


# One probe of a partial index, in its very words: counting would cost more with each unit of the push.
_HAS_OPEN = exists().where(
    Unit.push_id == Push.id,
    text("unit.state IN ('pending','leased','calling','retry_wait','unknown','held')"),
)


def settle(session: Session, now: datetime, push_ids: Collection[int]) -> list[int]:
    """Finish the pushes that have nothing open any more; answers which. The caller holds their lock.

    A push that had finished is open again once a person has one of its units sent anew.
    """
    looked_at = session.execute(
        select(Push.id, Push.state, _HAS_OPEN.label("open")).where(Push.id.in_(push_ids))
    ).all()
    reopened = [
        row.id
        for row in looked_at
        if row.open and (row.state == PushState.SCHEDULED or row.state in FINISHED_PUSHES)
    ]
    if reopened:
        _move(session, reopened, PushState.RUNNING, None)
    done = {row.id: row.state for row in looked_at if not row.open}
    if not done:
        return []
    counted: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for push_id, state, count in session.execute(
        select(Unit.push_id, Unit.state, func.count())
        .where(Unit.push_id.in_(done))
        .group_by(Unit.push_id, Unit.state)
    ):
        counted[push_id][state] = count
    ends: defaultdict[PushState, list[int]] = defaultdict(list)
    for push_id, before in done.items():
        after = push_state_from_units(counted[push_id])
        if after != before:
            ends[after].append(push_id)
    for state, ended in ends.items():
        _move(session, ended, state, now)
    return list(done)


def _move(
    session: Session, push_ids: Collection[int], state: PushState, finished_at: datetime | None
) -> None:
    session.execute(
        update(Push)
        .where(Push.id.in_(push_ids))
        .values(state=state, finished_at=finished_at)
        .execution_options(synchronize_session=False)
    )
