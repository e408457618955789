"""`verify` for deliveries: counts every push anew, and looks for what no crash may have left behind.

The numbers are those of the list of invariants. Each check reads the rows once, in the order of their ids, so
that its cost grows with their number and no faster.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, not_, or_, select
from sqlalchemy.orm import Session

from lanmu.delivery.door.limit_models import LimitUse, SendLimit
from lanmu.delivery.door.limits import counted_in, rule_of
from lanmu.delivery.intake import Recipient, approval_hash, audience_hash, text_hash
from lanmu.delivery.models import Attempt, Portion, Push, Unit, UnitTarget
from lanmu.delivery.states import COUNTED_AS_SENT, FINISHED_PUSHES, OPEN, OUT, SAID_SENT, PushState, UnitState
from lanmu.i18n import Filled, _
from lanmu.library.models import Revision
from lanmu.storage import Database
from lanmu.storage.checking import Check, Look, Looked, run_checks, stream

POSITIVE = ("accepted", "handed_over")
"""Outcomes of an attempt that say it is out, by the channel's word, a lookup's or a person's."""

_TOLD = ("delivered", "undelivered", "skipped", "failed", "cancelled")
_FITTING: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(OPEN - {UnitState.UNKNOWN}, ("planned", "undelivered")),
    UnitState.UNKNOWN: ("unknown", "undelivered"),
    UnitState.ACCEPTED: ("accepted", "handed_over", "postponed", *_TOLD),
    UnitState.HANDED_OVER: ("accepted", "handed_over", "postponed", *_TOLD),
    **dict.fromkeys((UnitState.DELIVERED, UnitState.PARTIAL, UnitState.UNDELIVERED), _TOLD),
    UnitState.FAILED: ("failed", "undelivered"),
    UnitState.SKIPPED: ("skipped",),
    UnitState.CANCELLED: ("cancelled", "undelivered"),
}
"""What may have become of a recipient by its unit's state; `undelivered` are those refused one by one."""


_COUNTED_ANYWAY = (COUNTED_AS_SENT, SAID_SENT)
"""Codes of units that count as out although no attempt of theirs is known to be."""

_EXPANDED = (*FINISHED_PUSHES, PushState.SCHEDULED, PushState.RUNNING)
"""Where every recipient is in a unit, unless the push was cancelled."""

_NOT_COUNTED = (UnitState.PENDING, UnitState.LEASED, UnitState.RETRY_WAIT, UnitState.HELD, UnitState.SKIPPED)


def verify(database: Database, now: datetime | None = None) -> Iterable[Check]:
    """Check all deliveries, one answer after the other; stops each check at its first wrong row.

    `now` tells which periods of the limits are running: without it the latest that is counted.
    """

    def limits(session: Session) -> Looked:
        yield from _counted(session, now)

    checks = [*_CHECKS, ("I13", _("What is used of the limits is what the messages come to"), limits)]
    return run_checks(database, sorted(checks, key=lambda check: check[0]), _WAYS_OUT)


_WAYS_OUT = {
    "I11": _(
        "Let nothing more of this push go out, hold its list of recipients against who should get it, and"
        " make a new push for who is missing."
    ),
    "I12": _(
        "Let nothing more of this push go out, and look into the chats: its recipients may have it twice,"
        " or not at all. Only then send to those who lack it."
    ),
    "I13": _(
        "Switch this limit off and on again on the page of limits: that counts anew what is used of it. "
        "Where a push is named, cancel it, then say what became of that batch."
    ),
    "I14": _(
        "Let nothing more of this push go out, and hold what was sent against what was approved; the "
        "audit log tells who changed what. Whatever else writes to the database must stop."
    ),
}


def _all_accounted_for(session: Session) -> Looked:
    to_come = select(func.sum(Portion.recipients)).where(Portion.push_id == Push.id).scalar_subquery()
    counted = (
        select(
            *(Push.public_id, Push.planned, func.count(UnitTarget.id)),
            *(func.coalesce(to_come, 0), Push.state, Push.cancel_requested),
        )
        .outerjoin(UnitTarget, UnitTarget.push_id == Push.id)
        .group_by(Push.id)
        .order_by(Push.id)
    )
    for push, planned, there, waiting, push_state, cancelled in stream(session, counted):
        if waiting and push_state in _EXPANDED and not cancelled:
            yield Filled(
                _("push %(push)s is %(push_state)s, and %(waiting)s of its recipients were not prepared"),
                push=push,
                push_state=push_state,
                waiting=waiting,
            )
            continue
        found = there + waiting
        yield (
            None
            if planned == found
            else Filled(
                _("push %(push)s: %(planned)s recipients were planned, %(found)s are there"),
                push=push,
                planned=planned,
                found=found,
            )
        )
    open_ = (
        _units(Unit.state, Push.state).where(Push.state.in_(FINISHED_PUSHES), Unit.state.in_(OPEN)).limit(1)
    )
    for push, unit, state, push_state in stream(session, open_):
        yield Filled(
            _("push %(push)s is %(push_state)s, and its unit %(unit)s still %(state)s"),
            push=push,
            unit=unit,
            state=state,
            push_state=push_state,
        )
    alone = _units().where(not_(exists().where(UnitTarget.unit_id == Unit.id))).limit(1)
    for push, unit in stream(session, alone):
        yield Filled(_("push %(push)s, unit %(unit)s: has no recipient"), push=push, unit=unit)
    strange = (
        _units(Unit.state, UnitTarget.recipient_key, UnitTarget.state)
        .join(UnitTarget, UnitTarget.unit_id == Unit.id)
        .where(or_(not_(_fits()), UnitTarget.push_id != Unit.push_id))
        .limit(1)
    )
    for push, unit, state, recipient, target_state in stream(session, strange):
        yield Filled(
            _("push %(push)s, unit %(unit)s is %(state)s, and its recipient %(recipient)s %(target_state)s"),
            push=push,
            unit=unit,
            state=state,
            recipient=recipient,
            target_state=target_state,
        )


def _once_and_proven(session: Session) -> Looked:
    """An attempt that was followed by another on purpose may be out beside that one, see `Attempt.again`."""
    positive = Attempt.outcome.in_(POSITIVE)
    last = func.count(case((and_(positive, Attempt.again == ""), 1)))
    proven = (
        _units(Unit.state, Unit.code, func.count(case((positive, 1))), last)
        .outerjoin(Attempt, Attempt.unit_id == Unit.id)
        .group_by(Push.public_id, Unit.id)
    )
    for push, unit, state, code, proofs, alone in stream(session, proven):
        out = state in OUT or (state == UnitState.CALLING and proofs and not alone)
        if (alone <= 1 and bool(proofs) == out) or (not proofs and out and code in _COUNTED_ANYWAY):
            yield None
        elif alone > 1:
            yield Filled(
                _("push %(push)s, unit %(unit)s: %(proofs)s attempts say that it went out"),
                push=push,
                unit=unit,
                proofs=proofs,
            )
        elif proofs:
            yield Filled(
                _("push %(push)s, unit %(unit)s: is %(state)s, and an attempt says that it went out"),
                push=push,
                unit=unit,
                state=state,
            )
        else:
            yield Filled(
                _("push %(push)s, unit %(unit)s: is %(state)s, and no attempt proves it"),
                push=push,
                unit=unit,
                state=state,
            )
    twice = (
        select(Push.public_id, UnitTarget.recipient_key, func.count())
        .join(Push, Push.id == UnitTarget.push_id)
        .group_by(Push.public_id, UnitTarget.push_id, UnitTarget.account, UnitTarget.recipient_key)
        .having(func.count() > 1)
        .order_by(UnitTarget.push_id)
        .limit(1)
    )
    for push, recipient, times in stream(session, twice):
        yield Filled(
            _("push %(push)s: recipient %(recipient)s is in it %(times)s times"),
            push=push,
            recipient=recipient,
            times=times,
        )


def _counted(session: Session, now: datetime | None) -> Looked:
    """The limits in force, in their running period: what is kept against what the units add up to."""
    at = now or session.scalar(select(func.max(Unit.counted_at)))
    if at is not None:
        for limit in session.scalars(select(SendLimit).where(SendLimit.enabled).order_by(SendLimit.id)).all():
            yield from _used(session, limit, at)
    sent_again = exists().where(Attempt.unit_id == Unit.id, Attempt.again != "")
    counted = (Unit.counted_at.is_not(None), Unit.state.in_(_NOT_COUNTED))
    free = _units(Unit.state).where(*counted, not_(sent_again)).limit(1)
    for push, unit, state in stream(session, free):
        yield Filled(
            _("push %(push)s, unit %(unit)s: is %(state)s, so not out, and still counts against the limits"),
            push=push,
            unit=unit,
            state=state,
        )


def _used(session: Session, limit: SendLimit, at: datetime) -> Looked:
    rule = rule_of(limit)
    starts_on = rule.window(at).starts_on
    uses = select(LimitUse).where(LimitUse.limit_id == limit.id, LimitUse.starts_on == starts_on)
    kept = {use.subject: use.used for use in session.scalars(uses)}
    found = counted_in(session, rule, at)
    for subject in sorted(kept.keys() | found.keys()):
        yield (
            None
            if kept.get(subject, 0) == found.get(subject, 0)
            else Filled(
                _("limit %(limit)s, %(subject)s from %(day)s: %(kept)s counted, %(found)s went out"),
                limit=limit.code,
                subject=subject,
                day=starts_on.isoformat(),
                kept=kept.get(subject, 0),
                found=found.get(subject, 0),
            )
        )


def _in_time_and_as_approved(session: Session) -> Looked:
    written = (
        _units(
            Unit.fence,
            Push.due_at,
            Push.deadline_at,
            Push.approved_at,
            Push.binding,
            *(getattr(Attempt, name) for name in ("started_at", "fence", "request", "request_sha256")),
        )
        .join(Attempt, Attempt.unit_id == Unit.id)
        .order_by(None)
        .order_by(Attempt.id)
    )
    for push, unit, given, due, deadline, approved, binding, at, fence, request, digest in stream(
        session, written
    ):
        # What was proven not to be out may be given another time: what was tried before had its former one.
        before = binding > 1 and (approved is None or at <= approved)
        if not before and not due <= at < deadline:
            yield Filled(
                _("push %(push)s, unit %(unit)s: written at %(at)s, allowed from %(due)s until %(deadline)s"),
                push=push,
                unit=unit,
                at=at.isoformat(),
                due=due.isoformat(),
                deadline=deadline.isoformat(),
            )
        elif fence > given:
            yield Filled(
                _("push %(push)s, unit %(unit)s: written under fence %(fence)s, which nobody was given"),
                push=push,
                unit=unit,
                fence=fence,
            )
        elif sha256(request).hexdigest() != digest:
            yield Filled(
                _("push %(push)s, unit %(unit)s: the stored request is not the one that was written"),
                push=push,
                unit=unit,
            )
        else:
            yield None
    for push, approved, derived in _approvals(session):
        yield (
            None
            if approved == derived
            else Filled(
                _("push %(push)s: its text, recipients, channel or time are not those that were approved"),
                push=push,
            )
        )


def _approvals(session: Session) -> Iterator[tuple[str, str, str]]:
    """Of each push of which something was written: its id, its approval's hash, and what it should be."""
    begun = select(Unit.push_id).join(Attempt, Attempt.unit_id == Unit.id).distinct()
    pushes = (
        select(Push, Revision.content_hash)
        .outerjoin(Revision, Revision.id == Push.revision_id)
        .where(Push.id.in_(begun), Push.state.not_in((PushState.DRAFT, PushState.IN_REVIEW)))
        .order_by(Push.id)
    )
    recipients = (
        select(UnitTarget.push_id, UnitTarget.recipient_key, Unit.sender)
        .join(Unit, Unit.id == UnitTarget.unit_id)
        .where(UnitTarget.push_id.in_(begun))
        .order_by(UnitTarget.push_id)
    )
    groups = groupby(stream(session, recipients), key=lambda row: int(row.push_id))
    group = next(groups, None)
    for push, revision_hash in stream(session, pushes):
        while group is not None and group[0] < push.id:
            group = next(groups, None)
        mine: Iterable[Any] = group[1] if group is not None and group[0] == push.id else ()
        audience = audience_hash(Recipient(row.recipient_key, "", row.sender) for row in mine)
        content = text_hash(push.test_text) if push.test_text else revision_hash or ""
        derived = approval_hash(content, audience, push.channel, push.due_at, push.options)
        yield push.public_id, push.approved_hash, derived
        session.expunge(push)


def _units(*more: Any) -> Select[Any]:
    """Units named as people see them, by push and number, in the order of their rows."""
    return (
        select(Push.public_id, Unit.number, *more)
        .select_from(Unit)
        .join(Push, Push.id == Unit.push_id)
        .order_by(Unit.id)
    )


def _fits() -> ColumnElement[bool]:
    return or_(
        *(and_(Unit.state == state, UnitTarget.state.in_(fitting)) for state, fitting in _FITTING.items())
    )


_CHECKS: tuple[tuple[str, str, Look], ...] = (
    (
        "I11",
        _("Every planned recipient is accounted for, and a finished push has none open"),
        _all_accounted_for,
    ),
    ("I12", _("What is out is proven by one attempt, and nobody is in a push twice"), _once_and_proven),
    ("I14", _("Everything was written in its time, as it was approved"), _in_time_and_as_approved),
)
