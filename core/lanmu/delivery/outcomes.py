"""From a channel's verdict to the unit's next state: pure, and the only place where that is decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from lanmu.delivery.states import UnitState
from lanmu.i18n import _
from lanmu.interfaces.channels import Abilities, NotConnected, Outcome, Ref, Verdict

RETRY_STEPS = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))
"""Waits between tries that are proven not to have sent anything; after the last a person decides."""

FIRST_RESULTS = timedelta(seconds=2)
"""When a channel that tells results later is asked for the first time."""

FREE_RETRIES = 2
"""An expired token costs no try, but twice in a row means that something else is wrong."""


@dataclass(frozen=True, slots=True)
class Next:
    """What becomes of the unit. `wait` and `results_after` (when to ask for results, None: never) count from
    now; `failed` are targets refused one by one.
    """

    state: UnitState
    reason: str = ""
    code: str = ""
    wait: timedelta | None = None
    counts_as_try: bool = False
    ref: Ref | None = None
    results_after: timedelta | None = None
    failed: Mapping[str, str] = field(default_factory=dict)
    hold_push: bool = False


def after_write(verdict: Verdict, abilities: Abilities, tries: int) -> Next:
    """What a verdict on a write that happened, or may have happened, means.

    A channel that says "accepted" without a reference although it declares that it can be asked is not
    believed: without the reference nobody could ever ask.
    """
    match verdict.outcome:
        case Outcome.ACCEPTED if abilities.lookup and verdict.ref is None:
            return Next(
                UnitState.UNKNOWN, _("The channel accepted it but gave no reference."), "no_reference"
            )
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
            return Next(UnitState.UNKNOWN, verdict.reason, verdict.code or "ambiguous")
        case Outcome.NOT_SENT:
            return _again(verdict.reason, verdict.code or "network", None, tries)
        case Outcome.LATER if verdict.free and tries < FREE_RETRIES:
            return Next(UnitState.RETRY_WAIT, verdict.reason, verdict.code, timedelta(0), counts_as_try=True)
        case Outcome.LATER:
            return _again(verdict.reason, verdict.code, verdict.retry_after, tries)
        case Outcome.REFUSED if verdict.scope == "unit":
            return Next(UnitState.FAILED, verdict.reason, verdict.code, failed=verdict.failed)
        case _:
            # The content or the account is refused: the next unit would fare alike, so the push waits.
            return Next(UnitState.HELD, verdict.reason, verdict.code, hold_push=True)


def after_no_connection(error: NotConnected, tries: int) -> Next:
    """What it means that the far end could not be reached: nothing was sent."""
    if error.config:
        return Next(UnitState.HELD, error.reason, "config", hold_push=True)
    return _again(error.reason, "network", error.retry_after, tries)


def _again(reason: str, code: str, wish: timedelta | None, tries: int) -> Next:
    if tries >= len(RETRY_STEPS):
        return Next(UnitState.HELD, reason, code)
    wait = max(wish or timedelta(0), RETRY_STEPS[tries])
    return Next(UnitState.RETRY_WAIT, reason, code, wait, counts_as_try=True)
