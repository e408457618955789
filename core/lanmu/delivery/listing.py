"""Pushes in a list, by what is to be done about them: counted and filtered by one SQL expression."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select, text
from sqlalchemy.orm import Session

from lanmu.delivery.models import Portion, Push, Unit, UnitTarget
from lanmu.delivery.progress import TAKEN
from lanmu.delivery.states import PushState, UnitState


class Group(StrEnum):
    """What is to be done about a push; each push is in one of these.

    DECIDE waits for a person's decision (held, in doubt, or a change to be approved), AWAITED for the people
    who send or confirm.
    """

    AHEAD = "ahead"
    SENDING = "sending"
    DECIDE = "decide"
    AWAITED = "awaited"
    ISSUES = "issues"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Decision:
    """A push that waits for a person. `kind` is held, late, doubt or review; the counts are what waits."""

    push: str
    title: str
    kind: str
    reason: str
    due_at: datetime
    units: int
    recipients: int


# In the very words of the partial indexes, so that a look costs nothing for all that has been sent before.
_OPEN = "unit.state IN ('pending','leased','calling','retry_wait','unknown','held')"
_AWAITED = "unit.state IN ('accepted','handed_over') AND unit.results_at IS NOT NULL"
# A unit in doubt that the far end can be asked about needs nobody: its channel is asked first.
_IN_DOUBT = and_(Unit.state == UnitState.UNKNOWN, Unit.look_at.is_(None))
_UNDECIDED = or_(Unit.state == UnitState.HELD, _IN_DOUBT)
_WAITING = (PushState.HELD, PushState.IN_REVIEW)
"""The states in which a push as a whole waits for a person's word."""


def group_of(people: Collection[str]) -> ColumnElement[Any]:
    """The group of a push, in SQL; `people` are the channels through which people send or confirm."""
    undecided = select(Unit.push_id).where(text(_OPEN), _UNDECIDED)
    awaited = select(Unit.push_id).where(text(_AWAITED), Unit.channel.in_(people))
    ended = (PushState.FINISHED, PushState.FINISHED_WITH_ISSUES)
    ahead = (
        *(PushState.DRAFT, PushState.IN_REVIEW, PushState.APPROVED),
        *(PushState.EXPANDING, PushState.SCHEDULED),
    )
    moving = (PushState.RUNNING, PushState.PAUSED)
    return case(
        (
            and_(
                or_(Push.state.in_(_WAITING), Push.id.in_(undecided)),
                or_(Push.cancel_requested.is_(False), Push.id.in_(undecided.where(_IN_DOUBT))),
            ),
            Group.DECIDE,
        ),
        (and_(Push.state.in_(ended), Push.id.in_(awaited)), Group.AWAITED),
        (Push.state.in_(ahead), Group.AHEAD),
        (Push.state.in_(moving), Group.SENDING),
        (Push.state == PushState.FINISHED_WITH_ISSUES, Group.ISSUES),
        else_=Group.DONE,
    )


def count_groups(session: Session, people: Collection[str], channel: str = "") -> dict[Group, int]:
    """How many pushes each group has."""
    inner = select(group_of(people).label("kind"))
    if channel:
        inner = inner.where(Push.channel == channel)
    grouped = inner.subquery()
    rows = session.execute(select(grouped.c.kind, func.count()).group_by(grouped.c.kind))
    counted = {str(kind): int(count) for kind, count in rows}
    return {group: counted.get(group, 0) for group in Group}


def count_undecided(session: Session) -> int:
    """How many pushes are in the group DECIDE, from what is still open alone."""
    units = (
        select(Unit.push_id)
        .join(Push, Push.id == Unit.push_id)
        .where(
            text(_OPEN),
            or_(_UNDECIDED, Push.state.in_(_WAITING)),
            or_(Push.cancel_requested.is_(False), _IN_DOUBT),
        )
    )
    to_come = (
        select(Portion.push_id)
        .join(Push, Push.id == Portion.push_id)
        .where(Push.state.in_(_WAITING), Push.cancel_requested.is_(False))
    )
    return session.scalar(select(func.count()).select_from(units.union(to_come).subquery())) or 0


def decisions(session: Session, limit: int) -> list[Decision]:
    """What a person must decide: doubts, what is held and why, what is late, and changes to be approved."""
    waiting = (
        select(
            Unit.push_id,
            func.sum(case((Unit.state == UnitState.UNKNOWN, 1), else_=0)).label("doubts"),
            func.sum(case((Unit.state == UnitState.HELD, 1), else_=0)).label("held"),
            func.min(case((Unit.state == UnitState.HELD, Unit.id))).label("first"),
        )
        .where(text(_OPEN), _UNDECIDED)
        .group_by(Unit.push_id)
        .subquery()
    )
    first = select(Unit.id, Unit.reason, Unit.code).subquery()
    rows = session.execute(
        select(Push, waiting.c.doubts, waiting.c.held, first.c.reason, first.c.code)
        .outerjoin(waiting, waiting.c.push_id == Push.id)
        .outerjoin(first, first.c.id == waiting.c.first)
        .where(
            or_(Push.state.in_(_WAITING), waiting.c.push_id.is_not(None)),
            Push.cancel_requested.is_(False) | (waiting.c.doubts > 0),
        )
        .order_by(Push.due_at, Push.id)
        .limit(limit)
    ).all()
    open_targets = _open_targets(session, [push.id for push, *_rest in rows])
    found = []
    for push, doubts, held, reason, code in rows:

        def of(kind: str, why: str, units: int, recipients: int, push: Push = push) -> Decision:
            return Decision(push.public_id, push.title, kind, why, push.due_at, units, recipients)

        unknown, planned = open_targets.get((push.id, True), 0), open_targets.get((push.id, False), 0)
        if doubts:
            found.append(of("doubt", "", doubts, unknown))
        if push.state == PushState.IN_REVIEW:
            found.append(of("review", "", 0, planned))
        elif held or (push.state == PushState.HELD and (planned or not doubts)):
            kind = "late" if code == "late" else "held"
            found.append(of(kind, push.held_reason or reason or "", held or 0, planned))
    return found


def _open_targets(session: Session, pushes: Collection[int]) -> dict[tuple[int, bool], int]:
    """How many recipients are in doubt (True) and not reached yet (False), by their push."""
    doubtful = UnitTarget.state == "unknown"
    rows = session.execute(
        select(UnitTarget.push_id, doubtful, func.count())
        .where(UnitTarget.push_id.in_(pushes), UnitTarget.state.in_(("planned", "unknown")))
        .group_by(UnitTarget.push_id, doubtful)
    )
    return {(push_id, bool(is_doubtful)): int(count) for push_id, is_doubtful, count in rows}


def count_awaited(session: Session, people: Collection[str], since: datetime, until: datetime) -> int:
    """How many recipients of the pushes due in `[since, until)` wait for a person to send or confirm."""
    found = session.scalar(
        select(func.count())
        .select_from(UnitTarget)
        .join(Unit, Unit.id == UnitTarget.unit_id)
        .join(Push, Push.id == Unit.push_id)
        .where(
            text(_AWAITED),
            Unit.channel.in_(people),
            UnitTarget.state.in_(TAKEN),
            Push.due_at >= since,
            Push.due_at < until,
        )
    )
    return found or 0
