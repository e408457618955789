"""From a channel's verdict to the unit's next state: pure, and the only place where that is decided."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple

from lanmu.delivery.door.gate import Answer, Door
from lanmu.delivery.states import UnitState
from lanmu.i18n import _
from lanmu.interfaces.channels import Abilities, NotConnected, Outcome, Ref, Verdict

RETRY_STEPS = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))
"""Waits between tries that are proven not to have sent anything; after the last a person decides."""

FIRST_RESULTS = timedelta(seconds=2)
"""When a channel that tells results later is asked for the first time."""

FILES_REMEMBERED = timedelta(seconds=10)
"""So long a process may go by what it knows of uploaded files without a look into the database."""

POISON = "poison"
"""The code of a unit that has taken too many workers with it."""


_NOBODY: Mapping[str, str] = MappingProxyType({})


class Next(NamedTuple):
    """What becomes of the unit. `wait` and `results_after` (when to ask for results, None: never) count from
    now; `failed` are targets refused one by one.

    `look_after` says when a doubt is first looked into, None where only a person can tell. `trips` is the
    kind of breaker that others shall find open. `same_code_stops` holds the push once three units have met
    the same code. `forget_files` has what was uploaded to the channel uploaded anew.
    `answer` is the last door's, where it was that which turned the unit away.
    """

    state: UnitState
    reason: str = ""
    code: str = ""
    wait: timedelta | None = None
    counts_as_try: bool = False
    ref: Ref | None = None
    results_after: timedelta | None = None
    failed: Mapping[str, str] = _NOBODY
    hold_push: bool = False
    look_after: timedelta | None = None
    trips: Literal["", "rate", "concurrency", "config"] = ""
    same_code_stops: bool = False
    forget_files: bool = False
    answer: Answer | None = None


def after_write(verdict: Verdict, abilities: Abilities, tries: int, code_before: str = "") -> Next:
    """What a verdict on a write that happened, or may have happened, means.

    A channel that says "accepted" without a reference although it declares that it can be asked is not
    believed: without the reference nobody could ever ask. `code_before` is how the unit's last try ended.
    """
    match verdict.outcome:
        case Outcome.ACCEPTED if abilities.lookup and verdict.ref is None:
            return in_doubt(_("The channel accepted it but gave no reference."), "no_reference", abilities)
        case Outcome.ACCEPTED | Outcome.HANDED_OVER:
            accepted = verdict.outcome is Outcome.ACCEPTED
            return Next(
                UnitState.ACCEPTED if accepted else UnitState.HANDED_OVER,
                code=verdict.code,
                ref=verdict.ref,
                results_after=FIRST_RESULTS if abilities.acceptance == "async" else None,
                failed=verdict.failed,
            )
        case Outcome.AMBIGUOUS:
            return in_doubt(verdict.reason, verdict.code or "ambiguous", abilities, verdict.trips)
        case Outcome.NOT_SENT:
            return _again(verdict.reason, verdict.code or "network", None, tries)
        case Outcome.LATER:
            return _later(verdict, tries, code_before)
        case _:
            return _refused(verdict, code_before)


def in_doubt(
    reason: str, code: str, abilities: Abilities, trips: Literal["", "rate", "concurrency"] = ""
) -> Next:
    """Nobody knows whether it went out. What can be found out is found out; the rest is for a person."""
    return Next(UnitState.UNKNOWN, reason, code, look_after=first_look(abilities), trips=trips)


def first_look(abilities: Abilities) -> timedelta | None:
    """How long after the write a doubt is first looked into; None where only a person can tell."""
    if abilities.idempotency is not None:
        return timedelta(0)
    return abilities.settle if abilities.lookup else None


def after_no_connection(error: NotConnected, tries: int) -> Next:
    """What it means that the far end could not be reached: nothing was sent."""
    if error.config:
        return Next(UnitState.HELD, error.reason, "config", hold_push=True, trips="config")
    return _again(error.reason, "network", error.retry_after, tries)


def named(failed: Mapping[str, str], targets: Collection[str]) -> dict[str, str]:
    """The refused targets by their own keys: a far end may answer them in another case.

    A name that fits two targets but for the case is left as it came, since nobody can say which is meant.
    """
    if not failed:
        return {}
    by_fold: defaultdict[str, list[str]] = defaultdict(list)
    for key in targets:
        by_fold[key.casefold()].append(key)
    found = {}
    for name, why in failed.items():
        alike = by_fold[name.casefold()]
        found[alike[0] if name not in targets and len(alike) == 1 else name] = why
    return found


def _later(verdict: Verdict, tries: int, code_before: str) -> Next:
    if verdict.free and code_before == verdict.code:
        # Renewed and refused again at once: the token is not what is wrong.
        return Next(UnitState.HELD, verdict.reason, "config", hold_push=True, trips="config")
    if verdict.free or verdict.trips:
        # Neither says anything about this unit, so neither uses up its tries.
        wait = verdict.retry_after or timedelta(0)
        return Next(UnitState.RETRY_WAIT, verdict.reason, verdict.code, wait, trips=verdict.trips)
    return _again(verdict.reason, verdict.code, verdict.retry_after, tries)


def _refused(verdict: Verdict, code_before: str) -> Next:
    if verdict.scope == "unit":
        return Next(UnitState.FAILED, verdict.reason, verdict.code, failed=verdict.failed)
    if verdict.scope == "unclear":
        return Next(UnitState.HELD, verdict.reason, verdict.code, same_code_stops=True)
    if verdict.stale_files and code_before != verdict.code:
        # By then no process, and none that read just before they were taken out, goes by the old names.
        again = 2 * FILES_REMEMBERED
        return Next(UnitState.RETRY_WAIT, verdict.reason, verdict.code, again, forget_files=True)
    # The content or the account is refused: the next unit would fare alike, so the push waits.
    account = verdict.scope == "account"
    return Next(
        UnitState.HELD, verdict.reason, verdict.code, hold_push=True, trips="config" if account else ""
    )


def _again(reason: str, code: str, wish: timedelta | None, tries: int) -> Next:
    if tries >= len(RETRY_STEPS):
        return Next(UnitState.HELD, reason, code)
    wait = max(wish or timedelta(0), RETRY_STEPS[tries])
    return Next(UnitState.RETRY_WAIT, reason, code, wait, counts_as_try=True)


def after_gate(answer: Answer) -> Next:
    """What it means that the last door turned a unit away: nothing was written."""
    match answer.door, answer.code:
        case Door.DROP, "cancelled":
            return Next(UnitState.CANCELLED, answer.reason, answer.code, answer=answer)
        case Door.DROP, _code:
            return Next(UnitState.SKIPPED, answer.reason, answer.code, answer=answer)
        case Door.HOLD, _code:
            return Next(UnitState.HELD, answer.reason, answer.code, hold_push=True, answer=answer)
        case _:
            return Next(UnitState.PENDING, answer.reason, answer.code, answer=answer)
