"""What pages and programs are shown of deliveries: plain values, read in one go."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.delivery.door.limit_models import GateCount
from lanmu.delivery.models import Attempt, Push, Unit, UnitTarget
from lanmu.delivery.progress import Progress
from lanmu.delivery.recipients import Waits, standing_of
from lanmu.delivery.states import RESTORED, UnitState
from lanmu.i18n import from_store


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
    late_after: timedelta = timedelta(0)
    late_decided: bool = False
    cancel_requested: bool = False
    is_test: bool = False
    binding: int = 1
    edited_by: str = ""
    cloned_from: str = ""

    def late_by(self, now: datetime) -> timedelta | None:
        """How late it is, where that is more than it may be without a person's word; None otherwise."""
        behind = now - self.due_at
        return behind if behind > self.late_after and not self.late_decided else None


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
    """One recipient of a unit; `state`, `reason`, `waits_for` and `until` as in `recipients.Standing`."""

    key: str
    name: str
    state: str
    reason: str
    changed_at: datetime | None
    kind: str = ""
    waits_for: Waits = Waits.NOBODY
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """How often the last door gave an answer for a push other than to send, and when last."""

    door: str
    code: str
    reason: str
    answers: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class UnitView:
    """A unit with its recipients and attempts. `can_be_looked_up`: it waits for a person, and a lookup of its
    last attempt would be about what was sent."""

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
    look_at: datetime | None = None
    looks: int = 0
    can_be_looked_up: bool = False


CLONE = "clone:"
"""Begins the source key of a push that a person made of another: the other's id follows, and a colon."""


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
        late_after=timedelta(seconds=push.late_after),
        late_decided=push.late_decided,
        cancel_requested=push.cancel_requested,
        is_test=bool(push.test_text),
        binding=push.binding,
        edited_by=push.edited_by,
        cloned_from=push.source_key.split(":")[1] if push.source_key.startswith(CLONE) else "",
    )


def gate_answers(session: Session, push_id: int) -> list[GateAnswer]:
    """What the last door has answered so far, the most frequent first."""
    rows = session.scalars(
        select(GateCount)
        .where(GateCount.push_id == push_id)
        .order_by(GateCount.answers.desc(), GateCount.last_at.desc())
    )
    return [GateAnswer(row.door, row.code, row.reason, row.answers, row.last_at) for row in rows]


_REQUEST_SHOWN = 4000


def unit_views(
    session: Session, push_id: int, now: datetime, limit: int, after: int = 0, states: Collection[str] = ()
) -> list[UnitView]:
    """The push's units in order from number `after` on, each with its recipients and attempts.

    `states` leaves out all that are in none of them.
    """
    push = session.get_one(Push, push_id)
    query = (
        select(Unit).where(Unit.push_id == push_id, Unit.number > after).order_by(Unit.number).limit(limit)
    )
    if states:
        query = query.where(Unit.state.in_(states))
    units = {unit.id: unit for unit in session.scalars(query)}
    attempts: dict[int, list[AttemptView]] = {unit_id: [] for unit_id in units}
    owners: dict[int, str] = {}
    for attempt in session.scalars(
        select(Attempt).where(Attempt.unit_id.in_(units)).order_by(Attempt.unit_id, Attempt.fence)
    ):
        owners[attempt.unit_id] = attempt.owner
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
                _evidence(attempt),
            )
        )
    targets: dict[int, list[TargetView]] = {unit_id: [] for unit_id in units}
    for target in session.scalars(
        select(UnitTarget).where(UnitTarget.unit_id.in_(units)).order_by(UnitTarget.id)
    ):
        begun_at = max((each.started_at for each in attempts[target.unit_id]), default=None)
        stands = standing_of(target, units[target.unit_id], push, begun_at, now)
        targets[target.unit_id].append(
            TargetView(
                target.recipient_key,
                target.name,
                stands.state,
                stands.reason,
                target.changed_at,
                "community" if target.community_id else "member" if target.member_id else "",
                stands.waits_for,
                stands.until,
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
            unit.look_at,
            unit.looks,
            unit.state == UnitState.UNKNOWN
            and unit.look_at is None
            and owners.get(unit.id, RESTORED) != RESTORED,
        )
        for unit in units.values()
    ]


def _evidence(attempt: Attempt) -> dict[str, Any]:
    """What was seen of it and found out later; why a lookup failed can be translated where it is shown."""
    evidence = dict(attempt.evidence or {})
    if "fault" in evidence:
        evidence["fault"] = _told(evidence["fault"])
    if "lookups" in evidence:
        told = [{name: _told(value) for name, value in each.items()} for each in evidence["lookups"]]
        evidence["lookups"] = told
    return evidence


def _told(value: object) -> object:
    return from_store(value) if isinstance(value, str) else value
