"""What is told of a push's recipients, one by one: the true word, why, whom it waits for, and until when.

A target's own state only says what became of it. While it waits, the word is that of whatever it waits for:
its unit, its push, or a person.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from lanmu.delivery.expansion import still_packed
from lanmu.delivery.models import Attempt, Push, Unit, UnitTarget
from lanmu.delivery.states import COUNTED_AFTER, TARGET_STATE_OF_UNIT, PushState, UnitState
from lanmu.i18n import _

PLANNED, CHECKING, PREPARING = "planned", "checking", "expanding"
"""Still to go; in doubt and being looked up; not in a unit yet. The other words are states."""

_OF_PUSH = {
    PushState.HELD: "held",
    PushState.PAUSED: "paused",
    PushState.IN_REVIEW: "in_review",
    PushState.DRAFT: "draft",
}
_WHY = {
    "paused": _("The push is paused."),
    "in_review": _("A change of the push waits for approval."),
    "draft": _("The push is a draft."),
    PREPARING: _("Still being put into batches; nothing goes out before all are."),
}
_PAGE = 2000


class Waits(StrEnum):
    """Whom a recipient waits for: nobody (what became of it is told, or it is its turn), a time, the channel
    that is asked what became of it, or a person."""

    NOBODY = ""
    TIME = "time"
    CHANNEL = "channel"
    PERSON = "person"


_PERSON = frozenset({*_OF_PUSH.values(), "unknown"})


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with a recipient. `until` belongs to `waits_for`: not before that time, asked again at
    that time, or decided by then: what is held cannot go out after it, what is in doubt counts as sent.
    """

    state: str
    reason: str = ""
    waits_for: Waits = Waits.NOBODY
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecipientLine:
    """One recipient of a push, as a list for a spreadsheet has it."""

    unit: int
    sender: str
    key: str
    name: str
    standing: Standing
    changed_at: datetime | None


def word_of(target: str, unit: str | None, looked_up: bool, push: str) -> str:
    """The word for a recipient by its own state, its unit's and its push's; `unit` is None while it has none.

    `looked_up` tells whether a unit in doubt is looked up at the channel, so that it waits for nobody.
    """
    if target == "unknown":
        return CHECKING if looked_up else target
    if target != PLANNED:
        return target
    if unit in (UnitState.HELD, UnitState.CALLING):
        return str(unit)
    if push in _OF_PUSH:
        return _OF_PUSH[PushState(push)]
    if unit is None:
        return PREPARING
    return str(unit) if unit == UnitState.RETRY_WAIT else PLANNED


def standing_of(
    target: UnitTarget, unit: Any, push: Push, begun_at: datetime | None, now: datetime
) -> Standing:
    """How it stands with a target. `begun_at` is when its unit's last attempt began."""
    state = word_of(target.state, unit.state, unit.look_at is not None, push.state)
    reason = target.reason
    if not reason and target.state in (PLANNED, TARGET_STATE_OF_UNIT.get(unit.state)):
        reason = unit.reason
    if target.state == PLANNED and unit.state != UnitState.HELD:
        reason = _of_push(state, push) or reason
    if state in (PLANNED, UnitState.RETRY_WAIT):
        waits = unit.not_before > now
        return Standing(state, reason, *((Waits.TIME, unit.not_before) if waits else ()))
    if state == CHECKING:
        return Standing(state, reason, Waits.CHANNEL, unit.look_at)
    if state == "unknown":
        begun = begun_at or unit.counted_at
        return Standing(state, reason, Waits.PERSON, begun and begun + COUNTED_AFTER)
    if state in _PERSON:
        return Standing(state, reason or push.held_reason, Waits.PERSON, push.deadline_at)
    return Standing(state, reason)


def _of_push(state: str, push: Push) -> str:
    return push.held_reason if state == "held" else _WHY.get(state, "")


def recipient_lines(session: Session, push_id: int, now: datetime) -> Iterator[RecipientLine]:
    """Every recipient of a push, in the order in which they were planned, read in portions.

    Those that are in no unit yet are among them, so that a list taken meanwhile is as whole as one taken
    later.
    """
    push = session.get_one(Push, push_id)
    # Looked at first: what leaves the portions meanwhile is then met twice, and not missed.
    packed = still_packed(session, push_id)
    met: set[str] = set()
    begun = select(func.max(Attempt.started_at)).where(Attempt.unit_id == Unit.id).scalar_subquery()
    last = 0
    while True:
        rows = session.execute(
            select(UnitTarget, Unit, case((Unit.state == UnitState.UNKNOWN, begun)))
            .join(Unit, Unit.id == UnitTarget.unit_id)
            .where(UnitTarget.push_id == push_id, UnitTarget.id > last)
            .order_by(UnitTarget.id)
            .limit(_PAGE)
        ).all()
        for target, unit, begun_at in rows:
            if packed:
                met.add(target.recipient_key)
            yield RecipientLine(
                unit.number,
                unit.sender,
                target.recipient_key,
                target.name,
                standing_of(target, unit, push, begun_at, now),
                target.changed_at,
            )
        if len(rows) < _PAGE:
            break
        last = rows[-1][0].id
        session.expunge_all()  # a long list need not stay in memory twice
        push = session.get_one(Push, push_id)
    state = "cancelled" if push.cancel_requested else word_of(PLANNED, None, False, push.state)
    reason = _("The push was cancelled.") if push.cancel_requested else _of_push(state, push)
    waits = (Waits.PERSON, push.deadline_at) if state in _PERSON else ()
    for each in packed:
        if each.key not in met:
            yield RecipientLine(
                each.unit, each.sender, each.key, each.name, Standing(state, reason, *waits), None
            )
