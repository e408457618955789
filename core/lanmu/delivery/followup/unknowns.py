"""The rows of units in doubt: taken to be looked into, told what was found, and kept for a person."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, and_, case, func, insert, select, text, update
from sqlalchemy.orm import Session

from lanmu.delivery.carried import Claimed
from lanmu.delivery.models import ATTEMPT, UNIT, Attempt, Push, Unit, UnitTarget, WorkerRecord
from lanmu.delivery.sending.queue import as_claimed
from lanmu.delivery.states import UnitState
from lanmu.i18n import to_store
from lanmu.interfaces.channels import Request

BATCH = 20

ASKED, REPEATED = "asked", "repeated"
"""Why an attempt was followed by another although it may be out, see `Attempt.again`."""

_REFERENCES = 7_225_001  # any number that no other advisory lock of ours has


@dataclass(frozen=True, slots=True)
class Doubt:
    """A unit in doubt with its last attempt, as it was when it was taken.

    `intent_at` is when that attempt's intent was stored, `first_at` when the first attempt with the same
    bytes was; `written` counts the attempts with these bytes. `finished_at` is None where the worker never
    said what it saw. `taken_until` tells whether somebody else has taken it up since.
    """

    unit: Claimed
    push: str
    looks: int
    deaths: int
    deadline_at: datetime
    request: Request
    sha256: str
    owner: str
    intent_at: datetime
    first_at: datetime
    written: int
    finished_at: datetime | None
    taken_until: datetime

    @property
    def ended_at(self) -> datetime | None:
        """When the worker was done with that attempt; None where it is not known, or the clock was set back
        meanwhile, so that the end stands before the beginning."""
        if self.finished_at is None or self.finished_at < self.intent_at:
            return None
        return self.finished_at


def take(session: Session, now: datetime, lease: timedelta, without: Collection[str] = ()) -> list[Doubt]:
    """The doubts that are due, but those of the channels `without`, nobody else's for the length of a lease.

    One without an attempt has no request to look for: only a person can tell.
    """
    until = now + lease
    rows = session.execute(
        select(Unit, Push.deadline_at, Push.public_id)
        .join(Push, Push.id == Unit.push_id)
        .where(text("unit.state = 'unknown'"), Unit.look_at <= now, Unit.channel.not_in(without))
        .order_by(Unit.look_at, Unit.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True, of=Unit)
    ).all()
    ids = [unit.id for unit, _deadline, _push in rows]
    if not ids:
        return []
    attempts: dict[int, list[Attempt]] = {unit_id: [] for unit_id in ids}
    for attempt in session.scalars(
        select(Attempt).where(Attempt.unit_id.in_(ids)).order_by(Attempt.unit_id, Attempt.fence)
    ):
        attempts[attempt.unit_id].append(attempt)
    targets: dict[int, list[UnitTarget]] = {unit_id: [] for unit_id in ids}
    for target in session.scalars(
        select(UnitTarget).where(UnitTarget.unit_id.in_(ids)).order_by(UnitTarget.id)
    ):
        targets[target.unit_id].append(target)
    session.execute(
        update(UNIT)
        .where(UNIT.c.id.in_([unit_id for unit_id in ids if attempts[unit_id]]))
        .values(look_at=until)
    )
    session.execute(
        update(UNIT)
        .where(UNIT.c.id.in_([unit_id for unit_id in ids if not attempts[unit_id]]))
        .values(look_at=None)
    )
    return [
        _doubt(unit, deadline, push, attempts[unit.id], targets[unit.id], until)
        for unit, deadline, push in rows
        if attempts[unit.id]
    ]


def _doubt(
    unit: Unit,
    deadline: datetime,
    push: str,
    attempts: Sequence[Attempt],
    targets: Sequence[UnitTarget],
    until: datetime,
) -> Doubt:
    last = attempts[-1]
    same = [each for each in attempts if each.request_sha256 == last.request_sha256]
    # A lookup that finds nothing proves nothing against an attempt before the one that it is about.
    asked = any(each.again == ASKED for each in attempts[:-1])
    claimed = as_claimed(unit, targets)._replace(counted=asked)
    return Doubt(
        claimed,
        push,
        unit.looks,
        unit.deaths,
        deadline,
        Request(
            last.call, last.request, tuple(each.recipient_key for each in targets), unit.sender, last.meta
        ),
        last.request_sha256,
        last.owner,
        last.started_at,
        same[0].started_at,
        len(same),
        last.finished_at,
        until,
    )


def look_again(session: Session, doubt: Doubt, at: datetime, looks: int) -> None:
    """Look into it once more then, if it is still in doubt and nobody else has taken it up."""
    session.execute(_if_still(doubt).values(look_at=at, looks=looks))


def keep_to_person(session: Session, doubt: Doubt, code: str, why: str) -> None:
    """Nothing more can be found out: the unit stays unknown until a person says what shall be."""
    session.execute(_if_still(doubt).values(look_at=None, code=code, reason=to_store(why)))


def _if_still(doubt: Doubt) -> Any:
    return update(UNIT).where(
        UNIT.c.id == doubt.unit.id,
        UNIT.c.fence == doubt.unit.fence,
        UNIT.c.state == UnitState.UNKNOWN,
        UNIT.c.look_at == doubt.taken_until,
    )


def intend_again(
    session: Session, doubt: Doubt, now: datetime, owner: str, lease: timedelta
) -> Claimed | None:
    """The durable intent to write the same bytes once more; None where somebody else has taken it up."""
    fence = doubt.unit.fence + 1
    calling = _if_still(doubt).values(
        state=UnitState.CALLING, fence=fence, owner=owner, lease_until=now + lease, look_at=None
    )
    if cast(CursorResult[Any], session.execute(calling)).rowcount != 1:
        return None
    session.execute(
        update(ATTEMPT)
        .where(
            ATTEMPT.c.unit_id == doubt.unit.id,
            ATTEMPT.c.request_sha256 == doubt.sha256,
            ATTEMPT.c.again == "",
        )
        .values(again=REPEATED)
    )
    session.execute(
        insert(ATTEMPT).values(
            unit_id=doubt.unit.id,
            fence=fence,
            owner=owner,
            call=doubt.request.call,
            request=doubt.request.body,
            request_sha256=doubt.sha256,
            meta=dict(doubt.request.meta),
            started_at=now,
        )
    )
    return doubt.unit._replace(fence=fence, counted=True)


def add_evidence(session: Session, doubt: Doubt, found: dict[str, Any], outcome: str = "") -> None:
    """Keep what was found out with the attempt that it is about, beside what was seen at the time.

    The caller holds the lock of the push.
    """
    attempt = session.scalar(
        select(Attempt)
        .where(Attempt.unit_id == doubt.unit.id, Attempt.fence <= doubt.unit.fence)
        .order_by(Attempt.fence.desc())
        .limit(1)
        .with_for_update()
    )
    if attempt is not None:
        before = attempt.evidence or {}
        attempt.evidence = {**before, "lookups": [*before.get("lookups", ())[-9:], found]}
        attempt.outcome = outcome or attempt.outcome
        session.flush()


def lock_references(session: Session) -> None:
    """Let nobody else adopt a reference meanwhile: one message must not settle two doubts."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_REFERENCES)))


def owned_by_others(session: Session, doubt: Doubt, refs: Sequence[str]) -> list[str]:
    """Those of the references that another unit of the channel has."""
    owned = select(Unit.ref).where(
        text("unit.ref <> ''"),
        Unit.channel == doubt.unit.channel,
        Unit.ref.in_(refs),
        Unit.id != doubt.unit.id,
    )
    return list(session.scalars(owned))


def rivals(session: Session, doubt: Doubt) -> bool:
    """Whether another unit that may be out, and has no reference yet, was sent with the same bytes."""
    query = (
        select(Attempt.id)
        .join(Unit, and_(Unit.id == Attempt.unit_id, Unit.id != doubt.unit.id))
        .where(
            text("unit.state IN ('calling','unknown')"),
            Unit.channel == doubt.unit.channel,
            Attempt.request_sha256 == doubt.sha256,
        )
        .limit(1)
    )
    return session.scalar(query) is not None


def worker_seen(session: Session, owner: str) -> tuple[datetime | None, bool]:
    """When a worker last said that it lives, and whether it has stopped of its own will."""
    row = session.get(WorkerRecord, owner)
    return (None, False) if row is None else (row.heartbeat_at, row.stopped_at is not None)


def note_decision(session: Session, unit_id: int, said: dict[str, str]) -> bool:
    """Keep a person's word with the attempt that it is about: the last of which nobody knows. Answers whether
    there is any. The caller holds the lock of the push."""
    unclear = case((Attempt.outcome.in_(("", UnitState.UNKNOWN)), 1), else_=0)
    attempt = session.scalar(
        select(Attempt)
        .where(Attempt.unit_id == unit_id)
        .order_by(unclear.desc(), Attempt.fence.desc())
        .limit(1)
    )
    if attempt is None:
        return False
    attempt.evidence = {**(attempt.evidence or {}), "decided": said}
    if said["answer"] == "sent":
        attempt.outcome = "accepted"
    elif said["answer"] == "again":
        attempt.again = ASKED
    return True
