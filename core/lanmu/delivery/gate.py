"""The last door (最后一道门): one function decides, with the intent, whether a push may go out now.

It is asked in the same transaction that stores the intent, so that nothing can change in between.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lanmu.i18n import _


class Door(StrEnum):
    """The gate's answer. BACK: not now, and no person is needed; pre-flight will look again."""

    SEND = "send"
    BACK = "back"
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
    """What the gate looks at: the push as it stands in the transaction, and what pre-flight rendered.

    `content_changed` says that the material was touched since pre-flight read it, `content_fault` why what
    was read may not go out now (empty where it may).
    """

    now: datetime
    due_at: datetime
    deadline_at: datetime
    late_after: timedelta
    late_policy: str
    push_state: str
    cancel_requested: bool
    approved_hash: str
    rendered_hash: str
    content_changed: bool
    content_fault: str
    late_decided: bool


SEND = Answer(Door.SEND)


def ask(question: Question) -> Answer:
    """Whether the push may go out, in the order in which a person would want to know."""
    if question.cancel_requested or question.push_state == "cancelled":
        return Answer(Door.DROP, "cancelled", _("The push was cancelled."))
    if question.push_state in ("paused", "held"):
        return Answer(Door.BACK, "paused", _("The push is paused."))
    if question.now < question.due_at:
        return Answer(Door.BACK, "early", _("Its time has not come."))
    if question.content_changed:
        return Answer(Door.BACK, "changed", _("The material has just been changed."))
    if not question.approved_hash or question.approved_hash != question.rendered_hash:
        return Answer(
            Door.HOLD,
            "not_approved",
            _("What would be sent is not what was approved. Review it and approve again."),
        )
    if question.content_fault:
        return Answer(Door.HOLD, "content_out", question.content_fault)
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
