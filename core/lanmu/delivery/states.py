"""The states of pushes, units and targets, in words that say what may have happened (delivery.md 2.3)."""

from datetime import timedelta
from enum import StrEnum


class PushState(StrEnum):
    """Where a push stands."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    EXPANDING = "expanding"
    RUNNING = "running"
    PAUSED = "paused"
    HELD = "held"
    FINISHED = "finished"
    FINISHED_WITH_ISSUES = "finished_with_issues"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class UnitState(StrEnum):
    """Where a unit stands. Only in CALLING and after it may a network write have happened."""

    PENDING = "pending"
    LEASED = "leased"
    CALLING = "calling"
    RETRY_WAIT = "retry_wait"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    HANDED_OVER = "handed_over"
    DELIVERED = "delivered"
    PARTIAL = "partial"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    HELD = "held"


UNSENT = frozenset({UnitState.PENDING, UnitState.LEASED, UnitState.RETRY_WAIT})
"""Certainly nothing was written."""

OPEN = UNSENT | {UnitState.CALLING, UnitState.UNKNOWN, UnitState.HELD}
"""Something is still to be done or decided: a push with such a unit is not finished."""

AWAITED = frozenset({UnitState.ACCEPTED, UnitState.HANDED_OVER})
"""The channel has it; results per target may still come."""

OUT = (
    UnitState.ACCEPTED,
    UnitState.HANDED_OVER,
    UnitState.DELIVERED,
    UnitState.PARTIAL,
    UnitState.UNDELIVERED,
)
"""It went out, whatever became of it there."""

STOPPABLE = UNSENT | {UnitState.HELD}
"""May be cancelled: nothing was written, or what was is proven to have had no effect."""

WELL = frozenset({UnitState.ACCEPTED, UnitState.HANDED_OVER, UnitState.DELIVERED, UnitState.SKIPPED})
"""A push that ends with these alone has finished without issues."""

FINISHED_PUSHES = frozenset(
    {PushState.FINISHED, PushState.FINISHED_WITH_ISSUES, PushState.CANCELLED, PushState.EXPIRED}
)

COUNTED_AS_SENT = "counted_as_sent"
"""The code of a unit that nobody could tell of for three days."""

COUNTED_AFTER = timedelta(hours=72)
"""A doubt that nobody has settled by then counts as sent."""

SAID_SENT = "said_sent"
"""The code of a unit without an attempt of its own, of which a person says that it is out."""

RESTORED = "restored"
"""The owner of an attempt that stands for what the original of a copy may have sent: nobody knows when."""

TARGET_STATE_OF_UNIT: dict[UnitState, str] = {
    UnitState.ACCEPTED: "accepted",
    UnitState.HANDED_OVER: "handed_over",
    UnitState.FAILED: "failed",
    UnitState.SKIPPED: "skipped",
    UnitState.CANCELLED: "cancelled",
    UnitState.UNKNOWN: "unknown",
}
"""What a unit's end means for each of its targets, where the channel says nothing of them one by one."""


OBJECTION = "objection"
"""The code of a unit that a plugin keeps back until a person has looked at it."""

EXIT = "exit"
"""The code of a unit that a plugin's exit rule has ended, see `Objection.ends`."""

UNWANTED = ("opted_out", "switched_off", EXIT)
"""Codes of units that were skipped because nobody wants them; all others were skipped for being late."""


def push_state_from_units(counts: dict[str, int], unwanted: int = 0) -> PushState:
    """What a running push is, by how many of its units are in which state, and of how many skipped nobody
    wanted the message.

    One that was cancelled before it was expanded has none.
    """
    present = {UnitState(state) for state, count in counts.items() if count}
    if present & OPEN:
        return PushState.RUNNING
    if not present or UnitState.CANCELLED in present:
        return PushState.CANCELLED
    if present == {UnitState.SKIPPED} and not unwanted:
        return PushState.EXPIRED  # nothing went out at all, because it came too late
    return PushState.FINISHED if present <= WELL else PushState.FINISHED_WITH_ISSUES
