"""排期 as people see and change it: the calendar's entries, approving, skipping, and another material."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, not_, select
from sqlalchemy.orm import Session

from lanmu.audience.models import Community
from lanmu.delivery.door.quiet import AT_ANY_HOUR
from lanmu.delivery.models import Push
from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Conflict, NotFound
from lanmu.library.models import Material
from lanmu.schedule.models import Column, Occurrence
from lanmu.storage import Database

_OPEN = ("planned", "empty", "approved", "missed")


@dataclass(frozen=True, slots=True)
class OccurrenceView:
    """One place on the calendar. `why` says why this material, or why none (planner, hand-over)."""

    id: str
    column: str
    column_id: str
    channel: str
    community: str
    community_id: str
    community_key: int
    community_zone: str
    at_any_hour: bool
    """Whether its column is meant for quiet hours too."""
    due_at: datetime
    local_time: str
    zone: str
    state: str
    pinned: bool
    needs_approval: bool
    content_class: str
    material: str
    material_id: str
    revision_id: int
    why: Mapping[str, Any]
    approved_by: str
    push_id: str
    push_state: str
    push_due_at: datetime | None
    """When its push goes out, which a person may have changed since; None without one."""

    @property
    def goes_out_at(self) -> datetime:
        """When it goes out, as things stand."""
        return self.push_due_at or self.due_at


@dataclass(frozen=True, slots=True)
class OccurrenceFilter:
    """Which occurrences to show; empty takes all."""

    column: str = ""
    community: str = ""
    channel: str = ""
    states: Sequence[str] = ()


class Occurrences:
    """What people do with occurrences."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def between(
        self,
        since: datetime,
        until: datetime,
        wanted: OccurrenceFilter = OccurrenceFilter(),
        limit: int = 5000,
    ) -> list[OccurrenceView]:
        """Those due in `[since, until)`, in order."""
        return self._found(
            _query().where(Occurrence.due_at >= since, Occurrence.due_at < until), wanted, limit
        )

    def moved_into(
        self, since: datetime, until: datetime, wanted: OccurrenceFilter = OccurrenceFilter()
    ) -> list[OccurrenceView]:
        """Those due at another time whose push a person has put into `[since, until)`."""
        own = and_(Occurrence.due_at >= since, Occurrence.due_at < until)
        return self._found(_query().where(Push.due_at >= since, Push.due_at < until, not_(own)), wanted, 5000)

    def _found(self, query: Any, wanted: OccurrenceFilter, limit: int) -> list[OccurrenceView]:
        if wanted.column:
            query = query.where(Column.public_id == wanted.column)
        if wanted.community:
            query = query.where(Community.public_id == wanted.community)
        if wanted.channel:
            query = query.where(Column.channel == wanted.channel)
        if wanted.states:
            query = query.where(Occurrence.state.in_(wanted.states))
        query = query.order_by(Occurrence.due_at, Column.name, Community.name).limit(limit)
        with self._database.read() as session:
            return [_view(row) for row in session.execute(query)]

    def get(self, occurrence: str) -> OccurrenceView:
        with self._database.read() as session:
            row = session.execute(_query().where(Occurrence.public_id == occurrence)).first()
            if row is None:
                raise NotFound(occurrence, _("there is no such place on the calendar."))
            return _view(row)

    def waiting(self, until: datetime, column: str = "") -> int:
        """How many planned occurrences before `until` still need a person's approval; `column` narrows it."""
        with self._database.read() as session:
            return (
                session.scalar(
                    select(func.count())
                    .select_from(Occurrence)
                    .join(Column, Column.id == Occurrence.column_id)
                    .where(
                        Occurrence.state == "planned",
                        Column.approval == "each",
                        Occurrence.due_at >= self._clock.now(),
                        Occurrence.due_at < until,
                        *([Column.public_id == column] if column else []),
                    )
                )
                or 0
            )

    def approve(self, seen: Mapping[str, int], by: str) -> int:
        """Let planned occurrences go out at their time; answers how many were still to be approved.

        `seen` gives for each occurrence the revision (`OccurrenceView.revision_id`) that the person saw.
        Raises Conflict, and approves none, where the planner has picked another since: nobody approves what
        they have not seen.
        """
        now = self._clock.now()
        with self._database.write() as session:
            waiting = session.scalars(
                select(Occurrence)
                .where(
                    Occurrence.public_id.in_(seen),
                    Occurrence.state.in_(("planned", "empty")),
                    Occurrence.due_at > now,
                )
                .order_by(Occurrence.due_at, Occurrence.id)
                .with_for_update()
            ).all()
            changed = [row for row in waiting if (row.revision_id or 0) != seen[row.public_id]]
            if changed:
                raise Conflict(
                    changed[0].local_time.replace("T", " "),
                    _("%(n)s of these have got another text since you looked; nothing was approved."),
                    _("Load the page again, look at the new texts, and approve then."),
                    n=len(changed),
                )
            ready = [row for row in waiting if row.state == "planned"]
            for row in ready:
                row.state, row.approved_by, row.approved_at = "approved", by, now
        return len(ready)

    def skip(self, occurrence: str) -> None:
        """Let this one fall out; its place stays marked, so that the planner does not fill it again."""
        with self._database.write() as session:
            row = _open(session, occurrence)
            row.state, row.pinned, row.approved_by, row.approved_at = "skipped", True, "", None

    def restore(self, occurrence: str) -> None:
        """Take a skip back; the next planning run may fill the place anew."""
        with self._database.write() as session:
            row = _find(session, occurrence)
            if row.state != "skipped" or row.due_at <= self._clock.now():
                raise Conflict(
                    row.local_time, _("only what was skipped and is still to come can be restored.")
                )
            row.state = "planned" if row.revision_id else "empty"
            row.pinned = False
            if "missed" in row.why:  # it was given up before it was skipped, and is not any more
                row.why = {}

    def use(self, occurrence: str, material: str) -> None:
        """Another material for this one, chosen by a person: the planner leaves it alone from now on."""
        with self._database.write() as session:
            row = _open(session, occurrence)
            if row.due_at <= self._clock.now():
                raise Conflict(row.local_time, _("its time has passed."))
            chosen = session.scalar(select(Material).where(Material.public_id == material))
            if chosen is None or chosen.approved_revision_id is None or chosen.state == "retired":
                raise Conflict(
                    "material", _("only approved material can be planned."), _("Approve it first.")
                )
            row.material_id, row.revision_id = chosen.id, chosen.approved_revision_id
            row.content_class = chosen.content_class
            row.state, row.pinned, row.approved_by, row.approved_at = "planned", True, "", None
            row.why = {"chosen": True}


def _query() -> Any:
    return (
        select(Occurrence, Column, Community, Material, Push.public_id, Push.state, Push.due_at)
        .join(Column, Column.id == Occurrence.column_id)
        .join(Community, Community.id == Occurrence.community_id)
        .outerjoin(Material, Material.id == Occurrence.material_id)
        .outerjoin(Push, Push.id == Occurrence.push_id)
    )


def _view(found: Any) -> OccurrenceView:
    row, column, community, material, push_id, push_state, push_due_at = found
    return OccurrenceView(
        id=row.public_id,
        column=column.name,
        column_id=column.public_id,
        channel=column.channel,
        community=community.name,
        community_id=community.public_id,
        community_key=community.id,
        community_zone=community.zone,
        at_any_hour=column.options.get(AT_ANY_HOUR) == "yes",
        due_at=row.due_at,
        local_time=row.local_time,
        zone=row.zone,
        state=row.state,
        pinned=row.pinned,
        needs_approval=row.state == "planned" and column.approval == "each",
        content_class=row.content_class,
        material=material.title if material else "",
        material_id=material.public_id if material else "",
        revision_id=row.revision_id or 0,
        why=row.why,
        approved_by=row.approved_by,
        push_id=push_id or "",
        push_state=push_state or "",
        push_due_at=push_due_at,
    )


def _find(session: Session, occurrence: str) -> Occurrence:
    # Locked, so that delivery cannot take it over between this look and the change.
    row = session.scalar(select(Occurrence).where(Occurrence.public_id == occurrence).with_for_update())
    if row is None:
        raise NotFound(occurrence, _("there is no such place on the calendar."))
    return row


def _open(session: Session, occurrence: str) -> Occurrence:
    row = _find(session, occurrence)
    if row.state not in _OPEN:
        raise Conflict(
            row.local_time, _("was handed over or skipped already and cannot be changed any more.")
        )
    return row
