"""What became of the units of a batch, written down with one statement for each table."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Update, and_, bindparam, func, or_, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from lanmu.delivery.door import limits
from lanmu.delivery.door.parting import KEPT_BACK, count, part
from lanmu.delivery.models import ATTEMPT, SENDING, TARGET, UNIT, Push
from lanmu.delivery.progress import lock_pushes, settle
from lanmu.delivery.sending import doubted
from lanmu.delivery.sending.outcomes import named
from lanmu.delivery.sending.recorded import Recorded
from lanmu.delivery.states import AWAITED, TARGET_STATE_OF_UNIT, PushState, UnitState
from lanmu.i18n import to_store
from lanmu.interfaces.channels import Observation
from lanmu.storage.rows import Rows
from lanmu.storage.types import json_text


def record(session: Session, now: datetime, results: Sequence[Recorded]) -> list[Recorded]:
    """Move units on to what became of them, and their pushes too; answers those that were still ours.

    From `leased` nothing was written; from `calling` something may have been. A unit that the reaper took
    to `unknown` in the meantime is still moved to `accepted` by late evidence of the same attempt. What was
    seen of an attempt is kept in any case, and where that says that it is out, so is its unit.
    """
    if not results:
        return []
    pushes = {result.unit.push_id for result in results}
    lock_pushes(session, pushes)
    # Under the lock: of an earlier attempt another worker may be learning just now that it is out.
    results = doubted.kept_in_doubt(session, results)
    connection = session.connection()
    dialect = connection.dialect.name
    ours = set(
        connection.execute(
            _move_units(dialect), _UNITS.pack(dialect, [_unit_row(result, now) for result in results])
        )
        .scalars()
        .all()
    )
    moved = [result for result in results if result.unit.id in ours]
    at = {"at": now}
    if late := [each for each in results if each.seen is not None and each.unit.id not in ours]:
        moved += doubted.learn_late(session, now, late)
    if seen := [
        _attempt_row(result, result.seen)
        for result in results
        if result.seen is not None and result.unit.id in ours
    ]:
        connection.execute(_keep_evidence(dialect), _ATTEMPTS.pack(dialect, seen) | at)
    if targets := [row for result in moved if (row := _target_row(result)) is not None]:
        connection.execute(_move_targets(dialect), _TARGETS.pack(dialect, targets) | at)
    refused = [
        (result.unit.id, key, why)
        for result in moved
        if result.next.state in TARGET_STATE_OF_UNIT
        for key, why in named(result.next.failed, [target.key for target in result.unit.targets]).items()
    ]
    if refused:
        connection.execute(_refuse_targets(dialect), _REFUSED.pack(dialect, refused) | at)
    if unsent := [result.unit.id for result in moved if _is_proven_unsent(result)]:
        limits.release(session, unsent)
    for push_id, reason in {r.unit.push_id: r.next.reason for r in moved if r.next.hold_push}.items():
        hold_push(session, push_id, reason)
    _keep_answers(session, now, moved)
    settle(session, now, pushes)
    return moved


def _keep_answers(session: Session, now: datetime, moved: Sequence[Recorded]) -> None:
    """Count what the last door said, and part the units of which it said that."""
    answered = [(result.unit, result.next.answer) for result in moved if result.next.answer is not None]
    if answered:
        count(session, now, [(unit.push_id, answer) for unit, answer in answered])
    if parted := [(unit, answer.parted) for unit, answer in answered if answer.parted]:
        part(session, now, parted)


def compile_statements(session: Session, now: datetime) -> None:
    """Run the statements of a record over nothing, so that they are compiled before they matter."""
    connection = session.connection()
    dialect = connection.dialect.name
    lock_pushes(session, [])
    connection.execute(_move_units(dialect), _UNITS.pack(dialect, []))
    connection.execute(_keep_evidence(dialect), _ATTEMPTS.pack(dialect, []) | {"at": now})
    connection.execute(_move_targets(dialect), _TARGETS.pack(dialect, []) | {"at": now})
    settle(session, now, [])


def hold_push(session: Session, push_id: int, reason: str) -> None:
    """Stop a push for a person to look at: what was not yet written stays where it is."""
    session.execute(
        update(Push)
        .where(Push.id == push_id, SENDING)
        .values(state=PushState.HELD, held_reason=reason)
        .execution_options(synchronize_session=False)
    )


_UNITS = Rows(
    "became",
    id=int,
    fence=int,
    came_from=str,
    late=bool,
    state=str,
    reason=str,
    code=str,
    not_before=datetime,
    more_tries=int,
    ref=str,
    ref_detail=str,
    accepted_at=datetime,
    results_at=datetime,
    finished_at=datetime,
    look_at=datetime,
    kept_until=datetime,
)

_UNSENT = frozenset(
    {UnitState.PENDING, UnitState.RETRY_WAIT, UnitState.HELD, UnitState.SKIPPED, UnitState.CANCELLED}
)


def _is_proven_unsent(result: Recorded) -> bool:
    """Whether a unit that had its intent is proven not to be out: what it counted is given back.

    A failure of which an answer was seen is proven; a doubt that somebody gave up is not, nor is one of which
    an earlier attempt may be out.
    """
    if result.unit.counted:
        return False
    if result.next.state is UnitState.FAILED:
        return result.seen is not None
    had_its_intent = result.seen is not None or result.was is not None
    return had_its_intent and result.next.state in _UNSENT


def _unit_row(result: Recorded, now: datetime) -> tuple[object, ...]:
    unit, next_ = result.unit, result.next
    awaited = next_.state in AWAITED
    until = next_.answer.until if next_.answer is not None else None
    final = next_.state in (UnitState.FAILED, UnitState.SKIPPED, UnitState.CANCELLED)
    return (
        unit.id,
        unit.fence,
        result.was or (UnitState.LEASED if result.seen is None else UnitState.CALLING),
        awaited and result.seen is not None,
        next_.state,
        to_store(next_.reason),
        next_.code,
        until or (now + next_.wait if next_.wait is not None else None),
        int(next_.counts_as_try),
        next_.ref.id if next_.ref else None,
        json_text(dict(next_.ref.detail)) if next_.ref and next_.ref.detail else None,
        now if awaited else None,
        now + next_.results_after if next_.results_after is not None else None,
        now if final else None,
        now + next_.look_after if next_.look_after is not None else None,
        until if next_.code in KEPT_BACK else None,
    )


@cache
def _move_units(dialect: str) -> ReturningUpdate[Any]:
    became = _UNITS.table(dialect)
    return (
        update(UNIT)
        .where(
            UNIT.c.id == became.c.id,
            UNIT.c.fence == became.c.fence,
            or_(UNIT.c.state == became.c.came_from, and_(became.c.late, UNIT.c.state == UnitState.UNKNOWN)),
        )
        .values(
            state=became.c.state,
            reason=became.c.reason,
            code=became.c.code,
            owner="",
            lease_until=None,
            not_before=func.coalesce(became.c.not_before, UNIT.c.not_before),
            tries=UNIT.c.tries + became.c.more_tries,
            ref=func.coalesce(became.c.ref, UNIT.c.ref),
            ref_detail=func.coalesce(became.c.ref_detail, UNIT.c.ref_detail),
            accepted_at=func.coalesce(became.c.accepted_at, UNIT.c.accepted_at),
            results_at=became.c.results_at,
            finished_at=became.c.finished_at,
            look_at=became.c.look_at,
            kept_until=func.coalesce(became.c.kept_until, UNIT.c.kept_until),
            looks=0,
        )
        .returning(UNIT.c.id)
    )


_ATTEMPTS = Rows("seen", unit_id=int, fence=int, outcome=str, evidence=str)


def _attempt_row(result: Recorded, seen: Observation) -> tuple[object, ...]:
    return result.unit.id, result.unit.fence, result.next.state, json_text(doubted.evidence(seen))


@cache
def _keep_evidence(dialect: str) -> Update:
    seen = _ATTEMPTS.table(dialect)
    return (
        update(ATTEMPT)
        .where(ATTEMPT.c.unit_id == seen.c.unit_id, ATTEMPT.c.fence == seen.c.fence)
        .values(
            finished_at=bindparam("at", type_=ATTEMPT.c.finished_at.type),
            outcome=seen.c.outcome,
            evidence=seen.c.evidence,
        )
    )


_TARGETS = Rows("fared", unit_id=int, state=str, reason=str)


def _target_row(result: Recorded) -> tuple[object, ...] | None:
    state = TARGET_STATE_OF_UNIT.get(result.next.state)
    if state is None and result.was is UnitState.UNKNOWN:
        state = "planned"  # they were in doubt with it, and are so no more
    return None if state is None else (result.unit.id, state, to_store(result.next.reason))


@cache
def _move_targets(dialect: str) -> Update:
    fared = _TARGETS.table(dialect)
    return (
        update(TARGET)
        .where(TARGET.c.unit_id == fared.c.unit_id)
        .values(
            state=fared.c.state,
            reason=fared.c.reason,
            changed_at=bindparam("at", type_=TARGET.c.changed_at.type),
        )
    )


_REFUSED = Rows("refused", unit_id=int, key=str, reason=str)


@cache
def _refuse_targets(dialect: str) -> Update:
    refused = _REFUSED.table(dialect)
    return (
        update(TARGET)
        .where(TARGET.c.unit_id == refused.c.unit_id, TARGET.c.recipient_key == refused.c.key)
        .values(
            state="undelivered",
            reason=refused.c.reason,
            changed_at=bindparam("at", type_=TARGET.c.changed_at.type),
        )
    )
