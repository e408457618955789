"""Units of which an earlier attempt may be out, or is learnt to be out after all.

A person may have a unit sent again although nobody knows what became of its first attempt. It keeps what it
counted against the limits, and by that it is known (`Claimed.counted`). What becomes of the second attempt
proves nothing against the first: so it never ends as stopped, skipped or failed, but is in doubt again, until
it is known to be out or a person says what shall be.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from lanmu.delivery.models import Attempt, Unit
from lanmu.delivery.sending.outcomes import FIRST_RESULTS, Next
from lanmu.delivery.sending.recorded import Recorded
from lanmu.delivery.states import AWAITED, OUT, UnitState
from lanmu.i18n import Filled, _, to_store
from lanmu.interfaces.channels import Observation

IN_DOUBT = "in_doubt"
"""The code of a unit that goes no further, while an attempt of it may be out."""

_ENDED = (UnitState.FAILED, UnitState.SKIPPED, UnitState.CANCELLED, UnitState.HELD)


def kept_in_doubt(session: Session, results: Sequence[Recorded]) -> Sequence[Recorded]:
    """The same results, but for units of which an earlier attempt may be out, or is known to be by now.

    The caller holds the lock of their pushes.
    """
    if not any(result.unit.counted for result in results):
        return results
    ids = [result.unit.id for result in results if result.unit.counted]
    out = set(
        session.scalars(select(Attempt.unit_id).where(Attempt.unit_id.in_(ids), Attempt.outcome.in_(AWAITED)))
    )
    return [
        result._replace(next=_instead(result, result.unit.id in out)) if result.unit.counted else result
        for result in results
    ]


def _instead(result: Recorded, is_out: bool) -> Next:
    next_ = result.next
    if next_.state in AWAITED:
        return next_
    if is_out:
        return Next(UnitState.ACCEPTED, _LEARNT_LATE, "found", results_after=FIRST_RESULTS)
    if next_.state not in _ENDED:
        return next_
    if next_.state is UnitState.HELD and next_.hold_push:  # the whole push waits, and this unit with it
        waits = UnitState.PENDING if result.seen is None else UnitState.RETRY_WAIT
        return next_._replace(state=waits, wait=timedelta(0))
    why = Filled(_("%(why)s An earlier attempt of it may be out."), why=Filled(next_.reason))
    return next_._replace(state=UnitState.UNKNOWN, code=IN_DOUBT, reason=why, failed={})


_LEARNT_LATE = _("It was learnt late that an earlier attempt of it is out.")


def learn_late(session: Session, now: datetime, results: Sequence[Recorded]) -> list[Recorded]:
    """Keep what was seen of attempts whose units have moved on, beside what is kept of them already.

    Evidence that such an attempt is out settles its unit, whatever was to become of it: it is not sent once
    more. Answers those units. The caller holds the lock of their pushes.
    """
    settled = []
    for result in results:
        attempt = session.scalar(
            select(Attempt)
            .where(Attempt.unit_id == result.unit.id, Attempt.fence == result.unit.fence)
            .with_for_update()
        )
        if attempt is None or result.seen is None:
            continue
        # What was found out, and taken back at the channel, while this worker stood still, is no news.
        taken_back = attempt.outcome == UnitState.CANCELLED
        news = attempt.finished_at is None and not taken_back
        attempt.evidence = {**(attempt.evidence or {}), **evidence(result.seen)}
        attempt.finished_at = attempt.finished_at or now
        if attempt.outcome not in AWAITED and not taken_back:
            attempt.outcome = result.next.state
        session.flush()
        if news and result.next.state in AWAITED and _adopt(session, now, result):
            settled.append(result._replace(was=UnitState.UNKNOWN))
    return settled


def _adopt(session: Session, now: datetime, result: Recorded) -> bool:
    """The unit is out, by the reference of this attempt where it has none. Answers whether that moved it: one
    that is being written is moved by the outcome of that, see `kept_in_doubt`."""
    next_ = result.next
    if next_.ref is not None:
        session.execute(
            update(Unit)
            .where(Unit.id == result.unit.id, Unit.ref == "")
            .values(ref=next_.ref.id, ref_detail=dict(next_.ref.detail))
            .execution_options(synchronize_session=False)
        )
    moved = session.scalars(
        update(Unit)
        .where(Unit.id == result.unit.id, Unit.state.not_in((*OUT, UnitState.CALLING)))
        .values(
            state=next_.state,
            fence=Unit.fence + 1,
            owner="",
            lease_until=None,
            look_at=None,
            code=next_.code or "found",
            reason=to_store(_LEARNT_LATE),
            accepted_at=now,
            finished_at=None,
            results_at=None if next_.results_after is None else now + next_.results_after,
        )
        .returning(Unit.id)
        .execution_options(synchronize_session=False)
    ).all()
    return bool(moved)


_EVIDENCE_CAP = 2000


def evidence(seen: Observation) -> dict[str, object]:
    """What was seen, as it is kept with an attempt."""
    return {
        "wrote": seen.wrote,
        "status": seen.status,
        "fault": to_store(seen.fault),
        "answer": seen.body[:_EVIDENCE_CAP].decode("utf-8", "replace"),
    }
