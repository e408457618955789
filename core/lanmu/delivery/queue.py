"""The moves of units between states in the database: claim, intend, record; each under its fence.

Written with statements, not objects: a message should cost little more than its rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, or_, select, text, tuple_, update
from sqlalchemy.orm import Session

from lanmu.delivery.models import Attempt, Push, Unit, UnitTarget
from lanmu.delivery.outcomes import Next
from lanmu.delivery.states import AWAITED, TARGET_STATE_OF_UNIT, PushState, UnitState
from lanmu.interfaces.channels import Observation, Request, Target

CLAIM_AT_MOST = 20  # keeps the write lock short (delivery.md 2.4)
_SENDING = (PushState.SCHEDULED, PushState.RUNNING)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A unit that this worker holds under `fence`, with the targets it is for."""

    id: int
    push_id: int
    number: int
    channel: str
    sender: str
    token: str
    fence: int
    tries: int
    targets: tuple[Target, ...]
    community_id: int | None
    member_id: int | None


def next_due(session: Session) -> datetime | None:
    """When the next unit may be claimed, past or future; None where none waits."""
    return session.scalar(
        select(func.min(Unit.not_before))
        .join(Push, Push.id == Unit.push_id)
        .where(_waiting(), Push.state.in_(_SENDING))
    )


def claim(session: Session, now: datetime, owner: str, lease: timedelta, limit: int) -> list[Claimed]:
    """Take units that are due and nobody's: each gets a new fence, which voids whoever held it before."""
    due = (
        select(Unit.id)
        .join(Push, Push.id == Unit.push_id)
        .where(_waiting(), Unit.not_before <= now, Push.state.in_(_SENDING), Push.cancel_requested.is_(False))
        .order_by(Unit.not_before, Unit.id)
        .limit(min(limit, CLAIM_AT_MOST))
    )
    if session.get_bind().dialect.name == "postgresql":
        due = due.with_for_update(skip_locked=True, of=Unit)
    rows = session.execute(
        update(Unit)
        .where(Unit.id.in_(due))
        .values(state=UnitState.LEASED, fence=Unit.fence + 1, owner=owner, lease_until=now + lease)
        .returning(
            Unit.id, Unit.push_id, Unit.number, Unit.channel, Unit.sender, Unit.token, Unit.fence, Unit.tries
        )
        .execution_options(synchronize_session=False)
    ).all()
    if not rows:
        return []
    session.execute(
        update(Push)
        .where(Push.id.in_({row.push_id for row in rows}), Push.state == PushState.SCHEDULED)
        .values(state=PushState.RUNNING)
        .execution_options(synchronize_session=False)
    )
    targets = _targets_of(session, [row.id for row in rows])
    claimed = []
    for row in sorted(rows, key=lambda row: int(row.id)):
        mine = targets[row.id]
        claimed.append(
            Claimed(
                row.id,
                row.push_id,
                row.number,
                row.channel,
                row.sender,
                row.token,
                row.fence,
                row.tries,
                tuple(
                    Target(t.recipient_key, t.name, "community" if t.community_id else "member") for t in mine
                ),
                mine[0].community_id if len(mine) == 1 else None,
                mine[0].member_id if len(mine) == 1 else None,
            )
        )
    return claimed


def _waiting() -> Any:
    # In the very words of the partial index: SQLite cannot tell that parameters mean the same.
    return text("unit.state IN ('pending','retry_wait')")


def _targets_of(session: Session, unit_ids: Sequence[int]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {unit_id: [] for unit_id in unit_ids}
    rows = session.execute(
        select(
            UnitTarget.unit_id,
            UnitTarget.recipient_key,
            UnitTarget.name,
            UnitTarget.community_id,
            UnitTarget.member_id,
        )
        .where(UnitTarget.unit_id.in_(unit_ids))
        .order_by(UnitTarget.id)
    )
    for row in rows:
        found[row.unit_id].append(row)
    return found


def intend(session: Session, now: datetime, owner: str, ready: Sequence[tuple[Claimed, Request]]) -> set[int]:
    """Store the intent to write each request; answers the ids of the units still ours.

    Once this is committed a write may have happened, and no other worker will ever write this unit
    without a person's or a lookup's word.
    """
    held = [(unit.id, unit.fence) for unit, _request in ready]
    ours = set(
        session.scalars(
            update(Unit)
            .where(Unit.state == UnitState.LEASED, tuple_(Unit.id, Unit.fence).in_(held))
            .values(state=UnitState.CALLING)
            .returning(Unit.id)
            .execution_options(synchronize_session=False)
        )
    )
    attempts = [
        {
            "unit_id": unit.id,
            "number": unit.fence,
            "fence": unit.fence,
            "owner": owner,
            "call": request.call,
            "request": request.body,
            "request_sha256": sha256(request.body).hexdigest(),
            "meta": dict(request.meta),
            "started_at": now,
        }
        for unit, request in ready
        if unit.id in ours
    ]
    if attempts:
        session.execute(insert(Attempt), attempts)
    return ours


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is to be recorded of one unit. `seen` is None where nothing was written."""

    unit: Claimed
    next: Next
    seen: Observation | None = None


_EVIDENCE_CAP = 2000


def record(session: Session, now: datetime, results: Iterable[Recorded]) -> list[Recorded]:
    """Move units on to what became of them; answers those that were still ours to move.

    From `leased` nothing was written; from `calling` something may have been. A unit that the reaper took
    to `unknown` in the meantime is still moved to `accepted` by late evidence of the same attempt.
    """
    moved = []
    for result in results:
        if _move(session, now, result):
            moved.append(result)
    return moved


def _move(session: Session, now: datetime, result: Recorded) -> bool:
    unit, next_ = result.unit, result.next
    allowed = [UnitState.CALLING if result.seen is not None else UnitState.LEASED]
    if next_.state in AWAITED:
        allowed.append(UnitState.UNKNOWN)
    values: dict[str, Any] = {
        "state": next_.state,
        "reason": next_.reason,
        "code": next_.code,
        "owner": "",
        "lease_until": None,
        "tries": Unit.tries + 1 if next_.counts_as_try else Unit.tries,
    }
    if next_.wait is not None:
        values["not_before"] = now + next_.wait
    if next_.state in AWAITED:
        values |= {"accepted_at": now, "results_at": now + timedelta(seconds=2)}
        if next_.ref is not None:
            values |= {"ref": next_.ref.id, "ref_detail": dict(next_.ref.detail)}
    elif next_.state in TARGET_STATE_OF_UNIT and next_.state != UnitState.UNKNOWN:
        values["finished_at"] = now
    done = session.execute(
        update(Unit)
        .where(Unit.id == unit.id, Unit.fence == unit.fence, Unit.state.in_(allowed))
        .values(values)
        .returning(Unit.id)
        .execution_options(synchronize_session=False)
    ).first()
    if result.seen is not None:
        _keep_evidence(session, now, result, result.seen)
    if done is None:
        return False
    _move_targets(session, now, unit.id, next_)
    if next_.hold_push:
        hold_push(session, unit.push_id, next_.reason)
    return True


def _keep_evidence(session: Session, now: datetime, result: Recorded, seen: Observation) -> None:
    evidence = {
        "wrote": seen.wrote,
        "status": seen.status,
        "fault": seen.fault,
        "answer": seen.body[:_EVIDENCE_CAP].decode("utf-8", "replace"),
    }
    session.execute(
        update(Attempt)
        .where(Attempt.unit_id == result.unit.id, Attempt.fence == result.unit.fence)
        .values(finished_at=now, outcome=str(result.next.state), evidence=evidence)
        .execution_options(synchronize_session=False)
    )


def _move_targets(session: Session, now: datetime, unit_id: int, next_: Next) -> None:
    state = TARGET_STATE_OF_UNIT.get(next_.state)
    if state is None:
        return
    session.execute(
        update(UnitTarget)
        .where(UnitTarget.unit_id == unit_id)
        .values(state=state, reason=next_.reason, changed_at=now)
        .execution_options(synchronize_session=False)
    )
    if next_.failed:
        session.execute(
            update(UnitTarget)
            .where(UnitTarget.unit_id == unit_id, UnitTarget.recipient_key == bindparam("key"))
            .values(state="undelivered", reason=bindparam("why"), changed_at=now)
            .execution_options(synchronize_session=False),
            [{"key": key, "why": why} for key, why in next_.failed.items()],
        )


def hold_push(session: Session, push_id: int, reason: str) -> None:
    """Stop a push for a person to look at: what was not yet written stays where it is."""
    session.execute(
        update(Push)
        .where(Push.id == push_id, Push.state.in_(_SENDING))
        .values(state=PushState.HELD, held_reason=reason)
        .execution_options(synchronize_session=False)
    )


def reap(session: Session, now: datetime, dead: Sequence[str]) -> dict[str, int]:
    """Take units from owners that are dead or whose lease is over.

    `leased` goes back to wait, since nothing was written; `calling` becomes `unknown` and is never sent
    again by itself. Answers how many of each.
    """
    lost = or_(Unit.lease_until < now, Unit.owner.in_(dead)) if dead else Unit.lease_until < now
    counted = {}
    for state, values in (
        (UnitState.LEASED, {"state": UnitState.PENDING, "deaths": Unit.deaths + 1}),
        (
            UnitState.CALLING,
            {
                "state": UnitState.UNKNOWN,
                "code": "worker_died",
                "reason": "The worker stopped between its intent to send and the answer.",
                "deaths": Unit.deaths + 1,
            },
        ),
    ):
        taken = session.scalars(
            update(Unit)
            .where(and_(Unit.state == state, lost))
            .values(
                **values,
                fence=Unit.fence + (1 if state == UnitState.LEASED else 0),
                owner="",
                lease_until=None,
            )
            .returning(Unit.id)
            .execution_options(synchronize_session=False)
        ).all()
        counted[str(state)] = len(taken)
        if taken and state == UnitState.CALLING:
            session.execute(
                update(UnitTarget)
                .where(UnitTarget.unit_id.in_(taken))
                .values(state="unknown", changed_at=now)
                .execution_options(synchronize_session=False)
            )
    return counted
