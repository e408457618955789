"""The last door (最后一道门): one function decides, with the intent, whether a message may go out now.

It is asked in the same transaction that stores the intent, so that nothing can change in between.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lanmu.i18n import _


class Door(StrEnum):
    """The gate's answer."""

    SEND = "send"
    HOLD = "hold"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Answer:
    """What to do, and why in words that the push page shows. `code` names the reason for counting."""

    door: Door
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What the gate looks at: the push as it stands in the transaction, and what pre-flight rendered."""

    now: datetime
    due_at: datetime
    deadline_at: datetime
    late_after: timedelta
    late_policy: str
    push_state: str
    cancel_requested: bool
    approved_hash: str
    rendered_hash: str
    content_valid_until: datetime | None
    late_decided: bool


SEND = Answer(Door.SEND)


def ask(question: Question) -> Answer:
    """Whether the message may go out, in the order in which a person would want to know."""
    if question.cancel_requested or question.push_state == "cancelled":
        return Answer(Door.DROP, "cancelled", _("The push was cancelled."))
    if question.push_state in ("paused", "held"):
        return Answer(Door.HOLD, "paused", _("The push is paused."))
    if question.now < question.due_at:
        return Answer(Door.HOLD, "early", _("Its time has not come."))
    if not question.approved_hash or question.approved_hash != question.rendered_hash:
        return Answer(
            Door.HOLD,
            "not_approved",
            _("What would be sent is not what was approved. Review it and approve again."),
        )
    if question.content_valid_until is not None and question.now >= question.content_valid_until:
        return Answer(Door.HOLD, "expired_content", _("The material's validity or licence has ended."))
    if question.now >= question.deadline_at:
        return Answer(Door.DROP, "expired", _("Its deadline has passed."))
    if question.now - question.due_at > question.late_after and not question.late_decided:
        if question.late_policy == "skip":
            return Answer(Door.DROP, "late", _("Too late, and the push says to skip what is late."))
        if question.late_policy == "ask":
            return Answer(
                Door.HOLD, "late", _("Its time has passed while nothing could be sent. Send it now, or not?")
            )
    return SEND
