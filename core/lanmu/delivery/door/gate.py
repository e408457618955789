"""The last door (最后一道门): one function decides, with the intent, whether a message may go out now.

It is asked in the same transaction that stores the intent, so that nothing can change in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from lanmu.i18n import Filled, _


class Door(StrEnum):
    """The gate's answer.

    BACK: not now, and pre-flight looks again at once. WAIT: not before an instant. YIELD: likewise, because
    another push has the last place. HOLD: a person decides. DROP: not at all. PART: some of the recipients
    are to be treated otherwise than the rest, which is asked about anew.
    """

    SEND = "send"
    BACK = "back"
    WAIT = "wait"
    YIELD = "yield"
    HOLD = "hold"
    DROP = "drop"
    PART = "part"


@dataclass(frozen=True, slots=True)
class Answer:
    """What to do, and why in words that the push page shows. `code` names the reason for counting.

    `until` is when to ask again; `parted` are the answers on those recipients who part from the rest, by key.
    """

    door: Door
    code: str = ""
    reason: str = ""
    until: datetime | None = None
    parted: Mapping[str, "Answer"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Full:
    """A limit that has no room for this recipient's message until an instant, and why in words."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Ahead:
    """A push of higher priority for which the last places are kept; worth another look at `until`."""

    title: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Whom:
    """A recipient, as the transaction sees it."""

    key: str
    opted_out: bool = False
    switched_off: bool = False
    full: Full | None = None
    ahead: Ahead | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What the gate looks at: the push and the recipients as they stand in the transaction, and what
    pre-flight rendered.

    `stopped` says that the whole installation may not send. `content_changed` says that the material was
    touched since pre-flight read it, `content_fault` why what was read may not go out now (empty where it
    may). `late_from` is since when it could have gone out: its time, or the end of what kept it back.
    `quiet_until` is when the quiet hours of its recipients end, None outside of them; `rate_until` when the
    far end may be called again, None where it may be now.
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
    late_from: datetime | None = None
    stopped: bool = False
    is_test: bool = False
    whom: Sequence[Whom] = ()
    quiet_until: datetime | None = None
    rate_until: datetime | None = None


SEND = Answer(Door.SEND)

_OPTED_OUT = Answer(Door.DROP, "opted_out", _("The member has opted out of messages."))
_SWITCHED_OFF = Answer(Door.DROP, "switched_off", _("The community has been switched off."))


def ask(question: Question) -> Answer:
    """Whether the message may go out: still wanted → as approved → wanted by the recipients → content still
    valid → in time → no quiet hours → within the limits → within the far end's pace."""
    for look in (_wanted, _approved, _consent, _content, _in_time, _quiet, _limits, _pace):
        answer = look(question)
        if answer is not None:
            return answer
    return SEND


def _wanted(question: Question) -> Answer | None:
    if question.cancel_requested or question.push_state == "cancelled":
        return Answer(Door.DROP, "cancelled", _("The push was cancelled."))
    if question.push_state in ("paused", "held"):
        return Answer(Door.BACK, "paused", _("The push is paused."))
    if question.stopped:
        return Answer(
            Door.BACK, "stopped", _("Nothing is sent until a person has looked at the installation.")
        )
    if question.now < question.due_at:
        return Answer(Door.BACK, "early", _("Its time has not come."))
    return None


def _approved(question: Question) -> Answer | None:
    if question.content_changed:
        return Answer(Door.BACK, "changed", _("The material has just been changed."))
    if not question.approved_hash or question.approved_hash != question.rendered_hash:
        return Answer(
            Door.HOLD,
            "not_approved",
            _("What would be sent is not what was approved. Review it and approve again."),
        )
    return None


def _consent(question: Question) -> Answer | None:
    refused = {
        whom.key: _OPTED_OUT if whom.opted_out else _SWITCHED_OFF
        for whom in question.whom
        if whom.opted_out or whom.switched_off
    }
    return _together(question, refused)


def _content(question: Question) -> Answer | None:
    if question.content_fault:
        return Answer(Door.HOLD, "content_out", question.content_fault)
    return None


def _in_time(question: Question) -> Answer | None:
    if question.now >= question.deadline_at:
        return Answer(Door.DROP, "expired", _("Its deadline has passed."))
    late = question.now - (question.late_from or question.due_at) > question.late_after
    if late and not question.late_decided:
        if question.late_policy == "skip":
            return Answer(Door.DROP, "late", _("Too late, and the push says to skip what is late."))
        if question.late_policy == "ask":
            return Answer(
                Door.HOLD, "late", _("Its time has passed while nothing could be sent. Send it now, or not?")
            )
    return None


def _quiet(question: Question) -> Answer | None:
    if question.quiet_until is None or question.is_test:
        return None
    return _wait(
        question,
        Door.WAIT,
        "quiet",
        _("These are quiet hours where the recipients are."),
        question.quiet_until,
    )


def _limits(question: Question) -> Answer | None:
    closed = {}
    for whom in question.whom:
        if whom.full is not None:
            closed[whom.key] = _wait(question, Door.WAIT, "cap", whom.full.reason, whom.full.until)
        elif whom.ahead is not None:
            why = Filled(_("It leaves the last place to “%(title)s”."), title=whom.ahead.title)
            closed[whom.key] = _wait(question, Door.YIELD, "yield", why, whom.ahead.until)
    return _together(question, closed)


def _pace(question: Question) -> Answer | None:
    if question.rate_until is None:
        return None
    why = _("The far end takes no more messages just now.")
    return _wait(question, Door.WAIT, "rate", why, question.rate_until)


def _wait(question: Question, door: Door, code: str, reason: str, until: datetime) -> Answer:
    """Not before `until`; not at all where that is past the deadline."""
    if until < question.deadline_at:
        return Answer(door, code, reason, until)
    return Answer(Door.DROP, code, Filled(_("%(why)s Its deadline comes first."), why=Filled(reason)))


def _together(question: Question, apart: Mapping[str, Answer]) -> Answer | None:
    """The answer for all, where all fare alike; else those who part from the rest."""
    if not apart:
        return None
    answers = list(apart.values())
    if len(apart) == len(question.whom) and all(answer == answers[0] for answer in answers):
        return answers[0]
    if len(apart) == len(question.whom):  # all, each for another reason: the first kind is the rest
        apart = {key: answer for key, answer in apart.items() if answer != answers[0]}
    return Answer(Door.PART, "parted", _("Some of its recipients are treated apart."), parted=apart)
