"""What must follow the world before a plan is made: new rules of a time zone, and newly approved texts."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update

from lanmu.interfaces.errors import Invalid
from lanmu.schedule.calendar import resolve
from lanmu.schedule.models import Occurrence
from lanmu.schedule.problem import Candidate
from lanmu.storage import Database

log = logging.getLogger(__name__)

_UNFIRED = ("planned", "empty", "approved", "skipped")
_MINUTE = timedelta(minutes=1)


def follow_zone_rules(database: Database, now: datetime) -> int:
    """Move what has not fired yet to the instant that its wall time means today; answers how many moved.

    People approve a time on the wall. Where a country changes its rules, and so the tzdata of this machine,
    the instant that was worked out before means another time on the wall. `why` keeps the former instant.
    """
    coming = (Occurrence.due_at >= now, Occurrence.state.in_(_UNFIRED))
    with database.read() as session:
        times = session.execute(
            select(Occurrence.zone, Occurrence.local_time, Occurrence.due_at).where(*coming).distinct()
        ).all()
    moved = {(zone, local, due): at for zone, local, due in times if (at := _means_now(zone, local, due))}
    if not moved:
        return 0
    count = 0
    with database.write() as session:
        for (zone, local, due), at in moved.items():
            place = (Occurrence.zone == zone, Occurrence.local_time == local, Occurrence.due_at == due)
            for row in session.scalars(select(Occurrence).where(*coming, *place)):
                row.due_at, row.why = at, {**row.why, "moved_from": due.isoformat()}
                count += 1
    log.warning("time zone rules changed", extra={"moved": count})
    return count


def _means_now(zone: str, local: str, due: datetime) -> datetime | None:
    """The instant, where it is another than the stored one; places are kept to the minute."""
    try:
        at = resolve(datetime.fromisoformat(local), zone).instant
    except Invalid:  # a zone that this machine does not know: what was worked out stands
        return None
    seconds = timedelta(seconds=due.second, microseconds=due.microsecond)
    return at + seconds if abs(at - (due - seconds)) >= _MINUTE else None


def follow_approved_texts(database: Database, now: datetime, materials: Sequence[Candidate]) -> int:
    """Let the planner's own picks carry the text of their material that is approved today; answers how many.

    Who approved the pick's former text as an occurrence has not seen this one, so approved ones stay as
    they are.
    """
    current = {each.id: each for each in materials}
    mine = (Occurrence.due_at >= now, Occurrence.state == "planned", Occurrence.pinned.is_(False))
    with database.read() as session:
        picked = session.execute(
            select(Occurrence.material_id, Occurrence.revision_id).where(*mine).distinct()
        ).all()
    behind = [
        (material, revision)
        for material, revision in picked
        if material in current and current[material].revision_id != revision
    ]
    count = 0
    for material, revision in behind:
        with database.write() as session:
            changed = session.scalars(
                update(Occurrence)
                .where(*mine, Occurrence.material_id == material, Occurrence.revision_id == revision)
                .values(
                    revision_id=current[material].revision_id, content_class=current[material].content_class
                )
                .returning(Occurrence.id)
                .execution_options(synchronize_session=False)
            )
            count += len(changed.all())
    return count
