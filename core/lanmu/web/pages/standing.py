"""How a push reads to people: its state, and whose turn it is while recipients wait for a person."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from lanmu.delivery.followup.results import GIVE_UP_AFTER
from lanmu.delivery.progress import TAKEN, Progress
from lanmu.delivery.states import PushState
from lanmu.interfaces.channels import Sending
from lanmu.schedule.occurrences import OccurrenceView
from lanmu.web.people import server


@dataclass(frozen=True, slots=True)
class Standing:
    """`code` is a word of the group "push" and has a tone; the rest counts recipients.

    `arrived` is what got through as far as anybody can tell: where people send or confirm, only what they
    have done; else what the channel took. `kind` is community or member where all recipients are such.
    """

    code: str
    sending: Sending
    planned: int
    arrived: int
    awaited: int
    failed: int
    kind: str = ""


_WAITS = {Sending.CONFIRM: "awaits_confirm", Sending.PERSON: "awaits_person"}
_UNDER_WAY = (PushState.SCHEDULED, PushState.EXPANDING, PushState.RUNNING)
_ENDED = (PushState.FINISHED, PushState.FINISHED_WITH_ISSUES)


def standing(state: str, progress: Progress, sending: Sending, *, asked_still: bool = True) -> Standing:
    """What a push is called. It is finished only when nobody has anything to do any more.

    `asked_still` is False once the channel is not asked for results any more.
    """
    targets = progress.targets
    waits = _WAITS.get(sending)
    taken = sum(targets.get(each, 0) for each in TAKEN)
    code = str(state)
    if state in _UNDER_WAY and progress.doubts:
        code = "in_doubt"
    elif state in _UNDER_WAY and progress.units.get("held"):
        code = "held"
    elif state in _UNDER_WAY and progress.units.get("unknown"):
        code = "checking"
    elif state == PushState.SCHEDULED and progress.units.get("calling"):
        code = "running"  # its first call is on its way, and only its outcome is written down as a state
    elif state in _ENDED and waits and progress.awaited:
        code = waits
    elif state == PushState.FINISHED and waits and taken and not asked_still:
        code = "unconfirmed"
    return Standing(
        code,
        sending,
        planned=progress.planned,
        arrived=targets.get("delivered", 0) + (0 if waits else taken),
        awaited=progress.awaited if waits else 0,
        failed=targets.get("failed", 0) + targets.get("undelivered", 0),
        kind=kind_of(progress),
    )


def kind_of(progress: Progress) -> str:
    """What the recipients are: "community", "member", or "" where they are of several kinds or of none."""
    if progress.planned and progress.communities == progress.planned:
        return "community"
    return "member" if progress.planned and progress.members == progress.planned else ""


def sending_of(channel: str) -> Sending:
    """Who sends through a channel; by itself where the channel does not run any more."""
    found = server().plugins.channels.get(channel)
    return found.abilities.sending if found else Sending.AUTO


def is_asked_still(due_at: datetime, now: datetime) -> bool:
    """Whether the results of a push that was due then may still come."""
    return now - due_at < GIVE_UP_AFTER


def standings_of(occurrences: Iterable[OccurrenceView], now: datetime) -> Mapping[str, Standing]:
    """How the pushes of these occurrences stand, by the push's id; read in one go."""
    by_push = {each.push_id: each for each in occurrences if each.push_id}
    counted = server().delivery.progress_of(list(by_push))
    return {
        push: standing(
            each.push_state,
            counted[push],
            sending_of(each.channel),
            asked_still=is_asked_still(each.due_at, now),
        )
        for push, each in by_push.items()
    }


def together(standings: Collection[Standing]) -> Standing | None:
    """The recipients of several pushes added up, for one entry that shows them all."""
    if not standings:
        return None
    first = next(iter(standings))
    return Standing(
        first.code,
        first.sending,
        planned=sum(each.planned for each in standings),
        arrived=sum(each.arrived for each in standings),
        awaited=sum(each.awaited for each in standings),
        failed=sum(each.failed for each in standings),
        kind=first.kind if len({each.kind for each in standings}) == 1 else "",
    )
