"""How far a push is: counted from its units each time, so that there is no second truth to drift."""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, Update, and_, case, exists, func, literal_column, select, text, update
from sqlalchemy.orm import Session

from lanmu.delivery.expansion import left
from lanmu.delivery.models import PUSH, UNIT, Push, Unit, UnitTarget
from lanmu.delivery.recipients import word_of
from lanmu.delivery.states import (
    FINISHED_PUSHES,
    STOPPABLE,
    UNWANTED,
    PushState,
    UnitState,
    push_state_from_units,
)
from lanmu.i18n import _
from lanmu.storage.rows import Keys, Rows

TAKEN = ("accepted", "handed_over", "postponed")
"""A target that the channel, or a person, has been given: nobody can say yet what became of it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Units and targets of a push by state. Σ targets = planned, at all times.

    `awaited` are targets that the channel has and of which it will still tell what became, `doubts` units of
    which only a person can tell whether they went out, `communities` and `members` the targets that are such.
    `preparing` are recipients that are to become targets yet; they are among those that are planned.
    `recipients` counts the same as `targets`, by the word that each is told by, see `word_of`.
    """

    planned: int
    units: dict[str, int]
    targets: dict[str, int]
    awaited: int = 0
    doubts: int = 0
    communities: int = 0
    members: int = 0
    preparing: int = 0
    recipients: dict[str, int] = field(default_factory=dict)

    @property
    def out(self) -> int:
        """Targets that the channel has accepted, or a person has been handed."""
        return sum(self.targets.get(state, 0) for state in (*TAKEN, "delivered", "undelivered"))


def progress(session: Session, push_id: int) -> Progress:
    """The push's units and targets, counted."""
    return progress_by_push(session, [push_id])[push_id]


def progress_by_push(session: Session, pushes: Collection[int]) -> dict[int, Progress]:
    """The units and targets of these pushes, counted in two queries however many they are."""
    units: defaultdict[int, dict[str, int]] = defaultdict(dict)
    targets: defaultdict[int, Counter[str]] = defaultdict(Counter)
    words: defaultdict[int, Counter[str]] = defaultdict(Counter)
    awaited: Counter[int] = Counter()
    doubts: Counter[int] = Counter()
    communities: Counter[int] = Counter()
    members: Counter[int] = Counter()
    looked_up = Unit.look_at.is_not(None)
    for push_id, state, is_looked_up, count in session.execute(
        select(Unit.push_id, Unit.state, looked_up, func.count())
        .where(Unit.push_id.in_(pushes))
        .group_by(Unit.push_id, Unit.state, looked_up)
    ):
        units[push_id][str(state)] = units[push_id].get(str(state), 0) + int(count)
        if state == UnitState.UNKNOWN and not is_looked_up:
            doubts[push_id] += int(count)
    asked = Unit.results_at.is_not(None)
    community, member = UnitTarget.community_id.is_not(None), UnitTarget.member_id.is_not(None)
    stand = (UnitTarget.state, Unit.state, looked_up, Push.state)
    for push_id, state, *told_by, is_asked, is_community, is_member, count in session.execute(
        select(UnitTarget.push_id, *stand, asked, community, member, func.count())
        .join(Unit, Unit.id == UnitTarget.unit_id)
        .join(Push, Push.id == UnitTarget.push_id)
        .where(UnitTarget.push_id.in_(pushes))
        .group_by(UnitTarget.push_id, *stand, asked, community, member)
    ):
        targets[push_id][str(state)] += int(count)
        words[push_id][_word(state, *told_by)] += int(count)
        if is_asked and state in TAKEN:
            awaited[push_id] += int(count)
        if is_community:
            communities[push_id] += int(count)
        elif is_member:
            members[push_id] += int(count)
    to_come = left(session, pushes)
    for push_id, rest in to_come.items():
        state = "cancelled" if rest.cancelled else "planned"
        targets[push_id][state] += rest.recipients
        words[push_id][word_of(state, None, False, rest.push_state)] += rest.recipients
        communities[push_id] += rest.communities
        members[push_id] += rest.members
    return {
        push_id: Progress(
            targets[push_id].total(),
            units[push_id],
            dict(targets[push_id]),
            awaited[push_id],
            doubts[push_id],
            communities[push_id],
            members[push_id],
            to_come[push_id].recipients if push_id in to_come and not to_come[push_id].cancelled else 0,
            dict(words[push_id]),
        )
        for push_id in pushes
    }


def _word(target: str, *told_by: Any) -> str:
    return word_of(target, *told_by)


def lock_pushes(session: Session, push_ids: Collection[int]) -> None:
    """Keep others from moving these pushes until the transaction ends; SQLite has one writer anyway.

    Without it, two workers that each finish one of the last two units would both see the other's as open.
    """
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        dialect = connection.dialect.name
        connection.execute(_locked(dialect), _IDS.pack(dialect, push_ids))


_IDS = Keys("ids")
_MOVES = Rows("moves", id=int, state=str, finished_at=datetime)


@cache
def _locked(dialect: str) -> Select[Any]:
    return select(PUSH.c.id).where(_IDS.hold(dialect, PUSH.c.id)).order_by(PUSH.c.id).with_for_update()


@cache
def _look(dialect: str) -> Select[Any]:
    """One probe of a partial index, in its very words: counting would cost more with each unit of a push."""
    waits = exists().where(
        UNIT.c.push_id == PUSH.c.id,
        text("unit.state IN ('pending','leased','calling','retry_wait','unknown','held')"),
    )
    return select(PUSH.c.id, PUSH.c.state, PUSH.c.cancel_requested, waits.label("open")).where(
        _IDS.hold(dialect, PUSH.c.id)
    )


@cache
def _count(dialect: str) -> Select[Any]:
    return (
        select(
            UNIT.c.push_id,
            UNIT.c.state,
            func.count().label("units"),
            func.count(case((UNIT.c.code.in_([literal_column(f"'{code}'") for code in UNWANTED]), 1))).label(
                "unwanted"
            ),
        )
        .where(_IDS.hold(dialect, UNIT.c.push_id))
        .group_by(UNIT.c.push_id, UNIT.c.state)
    )


@cache
def _move(dialect: str) -> Update:
    moves = _MOVES.table(dialect)
    return (
        update(PUSH)
        .where(PUSH.c.id == moves.c.id)
        .values(state=moves.c.state, finished_at=moves.c.finished_at)
    )


def _cancel_open(session: Session, now: datetime, push_ids: Collection[int]) -> None:
    """Cancel what is certainly not written, whether it waited at the cancel or came back from a try since.

    What still counts against the limits was to be sent again, and its earlier attempt may be out: that is
    not stopped, but in doubt as before.
    """
    waits = and_(Unit.push_id.in_(push_ids), Unit.state.in_(STOPPABLE))
    freed = {"fence": Unit.fence + 1, "owner": "", "lease_until": None}
    doubted = session.scalars(
        update(Unit)
        .where(waits, Unit.counted_at.is_not(None))
        .values(
            state=UnitState.UNKNOWN,
            look_at=None,
            reason=_("The push was cancelled before it went out again. An earlier attempt of it may be out."),
            code="in_doubt",
            **freed,
        )
        .returning(Unit.id)
        .execution_options(synchronize_session=False)
    ).all()
    stopped = session.scalars(
        update(Unit)
        .where(waits)
        .values(
            state=UnitState.CANCELLED,
            reason=_("The push was cancelled."),
            code="cancelled",
            finished_at=now,
            **freed,
        )
        .returning(Unit.id)
        .execution_options(synchronize_session=False)
    ).all()
    for ids, state in ((doubted, "unknown"), (stopped, "cancelled")):
        if ids:
            session.execute(
                update(UnitTarget)
                .where(UnitTarget.unit_id.in_(ids))
                .values(state=state, changed_at=now)
                .execution_options(synchronize_session=False)
            )


def settle(session: Session, now: datetime, push_ids: Collection[int]) -> list[int]:
    """Finish the pushes that have nothing open any more; answers which. The caller holds their lock.

    A push that had finished is open again once a person has one of its units sent anew. What waits in a push
    that was cancelled is cancelled with it.
    """
    connection = session.connection()
    dialect = connection.dialect.name
    ids = _IDS.pack(dialect, push_ids)
    looked_at = connection.execute(_look(dialect), ids).all()
    if cancelled := [row.id for row in looked_at if row.open and row.cancel_requested]:
        _cancel_open(session, now, cancelled)
        looked_at = connection.execute(_look(dialect), ids).all()
    moves: list[tuple[int, PushState, datetime | None]] = []
    done = {row.id: row.state for row in looked_at if not row.open}
    for row in looked_at:
        if row.open and (row.state == PushState.SCHEDULED or row.state in FINISHED_PUSHES):
            moves.append((row.id, PushState.RUNNING, None))
    if done:
        counted: defaultdict[int, dict[str, int]] = defaultdict(dict)
        unwanted: Counter[int] = Counter()
        for row in connection.execute(_count(dialect), _IDS.pack(dialect, done)):
            counted[row.push_id][row.state] = row.units
            unwanted[row.push_id] += row.unwanted
        for push_id, before in done.items():
            after = push_state_from_units(counted[push_id], unwanted[push_id])
            if after != before:
                moves.append((push_id, after, now))
    if moves:
        connection.execute(_move(dialect), _MOVES.pack(dialect, moves))
    return list(done)
