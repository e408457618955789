"""A person's word on units in doubt: what became of them, or that the channel shall be asked once more.

Whoever calls holds the lock of the push.
"""

from datetime import datetime

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from lanmu.delivery.followup.unknowns import note_decision
from lanmu.delivery.models import Attempt, Push, Unit, UnitTarget
from lanmu.delivery.progress import settle
from lanmu.delivery.states import RESTORED, SAID_SENT, UnitState
from lanmu.i18n import _
from lanmu.interfaces.channels import Channel
from lanmu.interfaces.errors import Conflict

OUTCOMES = {
    "sent": (UnitState.ACCEPTED, "accepted"),
    "again": (UnitState.PENDING, "planned"),
    "give_up": (UnitState.FAILED, "failed"),
}
"""A person's answers, and what they make of a unit and of its targets."""


def decide(
    session: Session, now: datetime, push: Push, unit_number: int, answer: str, by: str, why: str
) -> None:
    """What became of a unit, as `DeliveryService.decide` has it."""
    state, target_state = OUTCOMES[answer]
    unit = _in_doubt(session, push, unit_number)
    if answer == "again":
        if push.cancel_requested:
            raise Conflict(push.title, _("was cancelled, so nothing of it can be sent again."))
        if now >= push.deadline_at:
            raise Conflict(push.title, _("its deadline has passed, so nothing of it can be sent again."))
        if unit.look_at is not None:
            raise Conflict(
                push.title,
                _("the channel is still being asked whether this went out."),
                _("Wait for its answer: it comes by itself, within a day at most."),
            )
        push.late_decided = True  # the person sees how late it is
    told = {"answer": answer, "by": by, "why": why, "at": now.isoformat()}
    if not note_decision(session, unit.id, told) and answer == "sent":
        unit.code = SAID_SENT
    unit.state, unit.fence, unit.look_at = state, unit.fence + 1, None
    unit.accepted_at = now if answer == "sent" else None
    unit.finished_at = now if answer == "give_up" else None
    session.execute(
        update(UnitTarget)
        .where(UnitTarget.unit_id == unit.id)
        .values(state=target_state, changed_at=now)
        .execution_options(synchronize_session=False)
    )
    session.flush()
    settle(session, now, [push.id])


def can_be_asked(channel: Channel | None) -> bool:
    """Whether a lookup of this channel's is a question alone: where the same bytes would be sent again
    instead, nobody is asked."""
    return channel is not None and channel.abilities.lookup and channel.abilities.idempotency is None


def look_again(
    session: Session, now: datetime, push: Push, channel: Channel | None, unit_number: int | None
) -> int:
    """Let the next look ask about one unit, or about all that wait for a person; answers how many.

    What was not found before does not count: the looks begin anew. The stand-in for what the original of a
    copy may have sent is left to a person: nobody knows when that was, so that a lookup would miss it.
    """
    if channel is None:
        raise Conflict(
            push.title,
            _("its channel is not running, so it cannot be asked."),
            _("See the plugins page, then try again."),
        )
    if not can_be_asked(channel):
        raise Conflict(push.title, _("its channel cannot be asked what became of it."), _LOOK_THERE)
    if unit_number is not None and _in_doubt(session, push, unit_number).look_at is not None:
        raise Conflict(push.title, _("the channel is being asked already."))
    last = (
        select(Attempt.owner)
        .where(Attempt.unit_id == Unit.id)
        .order_by(Attempt.fence.desc())
        .limit(1)
        .scalar_subquery()
    )
    asked = (
        update(Unit)
        .where(Unit.push_id == push.id, text("unit.state = 'unknown'"), Unit.look_at.is_(None))
        .where(last != RESTORED)
    )
    if unit_number is not None:
        asked = asked.where(Unit.number == unit_number)
    moved = session.scalars(
        asked.values(look_at=now, looks=0).returning(Unit.id).execution_options(synchronize_session=False)
    ).all()
    if not moved:
        raise Conflict(push.title, _("nothing of it can be asked about at its channel."), _LOOK_THERE)
    return len(moved)


_LOOK_THERE = _("Look into the chat, then say what you saw.")


def _in_doubt(session: Session, push: Push, unit_number: int) -> Unit:
    unit = session.scalar(select(Unit).where(Unit.push_id == push.id, Unit.number == unit_number))
    if unit is None or unit.state != UnitState.UNKNOWN:
        raise Conflict(push.title, _("this unit is not in doubt any more; load the page again."))
    return unit
