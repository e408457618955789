"""Units that a worker holds when the database leaves it before the write: they are as they were before.

The worker alone knows that nothing was written. Were they left where they are, they would wait for their
lease to end and count as held by a worker that died; and where the intent was stored although its commit was
not answered, nobody could tell for a day whether the worker, which lives, is still about to write.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.delivery.carried import Claimed
from lanmu.delivery.models import Attempt
from lanmu.delivery.sending.outcomes import Next
from lanmu.delivery.sending.recorded import Recorded
from lanmu.delivery.states import UnitState
from lanmu.i18n import _
from lanmu.interfaces.channels import Observation

_SEEN = Observation(wrote=False, fault=_("The database was away before it was sent; nothing was written."))

BACK = Next(UnitState.RETRY_WAIT, _SEEN.fault, "database_away", timedelta(seconds=1))
"""It is no fault of the unit's, so that it does not count as a try."""


def back(units: Iterable[Claimed]) -> list[Recorded]:
    """What is to be recorded of units that may have their intents, or not: `as_stored` sees which."""
    return [Recorded(unit, BACK, _SEEN) for unit in units]


def as_stored(session: Session, results: Sequence[Recorded]) -> list[Recorded]:
    """The same results, where something was seen only of units whose intents are stored."""
    ids = [result.unit.id for result in results]
    rows = session.execute(select(Attempt.unit_id, Attempt.fence).where(Attempt.unit_id.in_(ids)))
    intended = {(row.unit_id, row.fence) for row in rows}
    return [
        result if (result.unit.id, result.unit.fence) in intended else result._replace(seen=None)
        for result in results
    ]
