"""What pages and programs are shown of deliveries: plain values, read in one go."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.delivery.models import Attempt, Push, Unit, UnitTarget
from lanmu.delivery.progress import Progress


@dataclass(frozen=True, slots=True)
class PushView:
    """A push in a list: what, when, through which channel, and how far."""

    id: str
    row: int
    title: str
    column: str
    content_class: str
    channel: str
    state: str
    held_reason: str
    due_at: datetime
    zone: str
    progress: Progress
    revision_id: int | None
    material_id: int | None
    options: Mapping[str, str]
    approved_by: str
    approved_at: datetime | None
    late_policy: str
    deadline_at: datetime
    created_by: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One intent and what was seen of it."""

    number: int
    call: str
    request: str
    sha256: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TargetView:
    """One recipient of a unit."""

    key: str
    name: str
    state: str
    reason: str
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class UnitView:
    """A unit with its recipients and attempts."""

    id: int
    number: int
    sender: str
    state: str
    reason: str
    code: str
    not_before: datetime
    ref: str
    tries: int
    targets: Sequence[TargetView]
    attempts: Sequence[AttemptView]


def push_view(push: Push, counted: Progress) -> PushView:
    return PushView(
        id=push.public_id,
        row=push.id,
        title=push.title,
        column=push.column_name,
        content_class=push.content_class,
        channel=push.channel,
        state=push.state,
        held_reason=push.held_reason,
        due_at=push.due_at,
        zone=push.zone,
        progress=counted,
        revision_id=push.revision_id,
        material_id=push.material_id,
        options=push.options,
        approved_by=push.approved_by,
        approved_at=push.approved_at,
        late_policy=push.late_policy,
        deadline_at=push.deadline_at,
        created_by=push.created_by,
        created_at=push.created_at,
        finished_at=push.finished_at,
    )


_REQUEST_SHOWN = 4000


def unit_views(
    session: Session, push_id: int, limit: int, after: int = 0, states: Collection[str] = ()
) -> list[UnitView]:
    """The push's units in order from number `after` on, each with its recipients and attempts.

    `states` leaves out all that are in none of them.
    """
    query = (
        select(Unit).where(Unit.push_id == push_id, Unit.number > after).order_by(Unit.number).limit(limit)
    )
    if states:
        query = query.where(Unit.state.in_(states))
    units = session.scalars(query).all()
    ids = [unit.id for unit in units]
    targets: dict[int, list[TargetView]] = {unit_id: [] for unit_id in ids}
    for target in session.scalars(
        select(UnitTarget).where(UnitTarget.unit_id.in_(ids)).order_by(UnitTarget.id)
    ):
        targets[target.unit_id].append(
            TargetView(target.recipient_key, target.name, target.state, target.reason, target.changed_at)
        )
    attempts: dict[int, list[AttemptView]] = {unit_id: [] for unit_id in ids}
    for attempt in session.scalars(
        select(Attempt).where(Attempt.unit_id.in_(ids)).order_by(Attempt.unit_id, Attempt.fence)
    ):
        before = attempts[attempt.unit_id]
        before.append(
            AttemptView(
                len(before) + 1,
                attempt.call,
                attempt.request[:_REQUEST_SHOWN].decode("utf-8", "replace"),
                attempt.request_sha256,
                attempt.started_at,
                attempt.finished_at,
                attempt.outcome,
                attempt.evidence or {},
            )
        )
    return [
        UnitView(
            unit.id,
            unit.number,
            unit.sender,
            unit.state,
            unit.reason,
            unit.code,
            unit.not_before,
            unit.ref,
            unit.tries,
            targets[unit.id],
            attempts[unit.id],
        )
        for unit in units
    ]
