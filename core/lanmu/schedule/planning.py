"""Lays out the coming days: reads columns, communities, materials and the past, plans, and stores the plan.

What a person has changed or what delivery has taken over is handed to the planner as fixed and not touched.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from lanmu.audience.models import Community
from lanmu.interfaces.clock import Clock
from lanmu.library.models import ContentClass
from lanmu.library.views import Candidate as LibraryCandidate
from lanmu.schedule.calendar import Moment, MondayToFriday, Workdays, moments_of
from lanmu.schedule.columns import calendar_slot, communities_of, rules_of, slots_of
from lanmu.schedule.mix import MixBudget
from lanmu.schedule.models import Column, Occurrence
from lanmu.schedule.planner import plan
from lanmu.schedule.problem import Candidate, CommunityState, FixedPick, Opening, Plan, PlanRequest
from lanmu.storage import Database

_WEEK = timedelta(days=7)
_PLANNED = ("planned", "empty")
_WRITE_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What a planning run did: occurrences laid out, of those empty, kept as they were, and taken out."""

    planned: int
    empty: int
    kept: int
    changed: int
    removed: int


class Planning:
    """Keeps the occurrences of the coming days laid out."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        candidates: Callable[[], Sequence[LibraryCandidate]],
        horizon: timedelta,
        workdays: Workdays | None = None,
        seed: int = 1,
    ) -> None:
        self._database = database
        self._clock = clock
        self._candidates = candidates
        self._horizon = horizon
        self._workdays = workdays or MondayToFriday()
        self._seed = seed

    def run(self) -> PlanReport:
        """Plan from now to the horizon. Running it again without a change changes nothing."""
        now = self._clock.now()
        until = now + self._horizon
        materials = [as_candidate(each) for each in self._candidates()]
        with self._database.read() as session:
            openings = self._openings(session, now, until)
            existing = _existing(session, now, until)
            request = PlanRequest(
                openings=list(openings.values()),
                materials=materials,
                communities=_communities(session, now, self._longest_cooldown(session)),
                fixed=[_fixed(row) for row in existing.values() if _is_fixed(row)],
                seed=self._seed,
            )
        answer = plan(request)
        return self._store(answer, existing, now)

    def _longest_cooldown(self, session: Session) -> timedelta:
        return timedelta(days=session.scalar(select(func.max(Column.cooldown_days))) or 0) + _WEEK

    def _openings(self, session: Session, now: datetime, until: datetime) -> dict["Place", Opening]:
        columns = session.scalars(select(Column).where(Column.active).order_by(Column.id)).all()
        slots = slots_of(session, [column.id for column in columns])
        openings: dict[Place, Opening] = {}
        for column in columns:
            reached, _unreached = communities_of(session, column)
            if not reached:
                continue
            rules = rules_of(column)
            drafts = [calendar_slot(slot, column.zone, column.created_at) for slot in slots[column.id]]
            for moment in moments_of(drafts, now, until, self._workdays):
                local = moment.local
                for community in reached:
                    place = (column.id, community.id, _local_text(moment))
                    openings[place] = Opening(rules, community.id, moment.instant, local)
        return openings

    def _store(self, answer: Plan, existing: Mapping["Place", "Existing"], now: datetime) -> PlanReport:
        wanted: dict[Place, dict[str, Any]] = {}
        for pick in answer.picks:
            wanted[_place(pick.opening)] = {
                "state": "planned",
                "content_class": pick.content_class,
                "material_id": pick.material.id,
                "revision_id": pick.material.revision_id,
                "why": pick.why.as_doc(),
                "due_at": pick.opening.instant,
            }
        for hole in answer.empty:
            wanted[_place(hole.opening)] = {
                "state": "empty",
                "content_class": "",
                "material_id": None,
                "revision_id": None,
                "why": hole.as_doc(),
                "due_at": hole.opening.instant,
            }
        # An approved occurrence is fixed for the planner; here it is simply not in `wanted`.
        stale = [row.id for place, row in existing.items() if not _is_fixed(row) and place not in wanted]
        new = [place for place in wanted if place not in existing]
        changed = [
            (existing[place].id, values)
            for place, values in wanted.items()
            if place in existing and not _is_fixed(existing[place]) and existing[place].differs(values)
        ]
        with self._database.write() as session:
            zones = dict(session.execute(select(Column.id, Column.zone)).tuples().all())
            _remove(session, stale)
            for start in range(0, len(new), _WRITE_AT_ONCE):
                part = new[start : start + _WRITE_AT_ONCE]
                session.execute(insert(Occurrence), [_row(place, wanted[place], zones) for place in part])
            for row_id, values in changed:
                # The state in the condition: a person may have approved it while the plan was made.
                session.execute(
                    update(Occurrence)
                    .where(
                        Occurrence.id == row_id, Occurrence.state.in_(_PLANNED), Occurrence.pinned.is_(False)
                    )
                    .values(values)
                )
        return PlanReport(
            len(answer.picks), len(answer.empty), len(answer.kept), len(new) + len(changed), len(stale)
        )


Place = tuple[int, int, str]
"""An occurrence's place: column, community, local time (minutes)."""


@dataclass(frozen=True, slots=True)
class Existing:
    """An occurrence that is there already."""

    id: int
    column_id: int
    community_id: int
    local: datetime
    state: str
    pinned: bool
    content_class: str
    material_id: int | None
    revision_id: int | None
    due_at: datetime
    cooldown_days: int

    def differs(self, values: Mapping[str, Any]) -> bool:
        return any(
            getattr(self, name) != values[name]
            for name in ("state", "content_class", "material_id", "revision_id", "due_at")
        )


def _is_fixed(row: Existing) -> bool:
    return row.pinned or row.state not in _PLANNED


def _fixed(row: Existing) -> FixedPick:
    return FixedPick(
        column_id=row.column_id,
        community_id=row.community_id,
        local=row.local,
        # What was skipped, or missed its time, went to nobody: it holds its place and counts for nothing.
        material_id=None if row.state in ("skipped", "missed") else row.material_id,
        content_class="" if row.state in ("skipped", "missed") else row.content_class,
        cooldown_days=row.cooldown_days,
    )


def _existing(session: Session, now: datetime, until: datetime) -> dict[Place, Existing]:
    rows = session.execute(
        select(
            Occurrence.id,
            Occurrence.column_id,
            Occurrence.community_id,
            Occurrence.local_time,
            Occurrence.state,
            Occurrence.pinned,
            Occurrence.content_class,
            Occurrence.material_id,
            Occurrence.revision_id,
            Occurrence.due_at,
            Column.cooldown_days,
        )
        .join(Column, Column.id == Occurrence.column_id)
        .where(Occurrence.due_at >= now, Occurrence.due_at < until)
    )
    return {
        (row.column_id, row.community_id, row.local_time): Existing(
            row.id,
            row.column_id,
            row.community_id,
            datetime.fromisoformat(row.local_time),
            row.state,
            row.pinned,
            row.content_class,
            row.material_id,
            row.revision_id,
            row.due_at,
            row.cooldown_days,
        )
        for row in rows
    }


def _communities(session: Session, now: datetime, back: timedelta) -> list[CommunityState]:
    """Every active community with its budget and what it had in the time that matters."""
    default = default_budget(session)
    last_used: dict[int, dict[int | str, date]] = {}
    recent: dict[int, list[tuple[datetime, str]]] = {}
    past = session.execute(
        select(
            Occurrence.community_id, Occurrence.material_id, Occurrence.local_time, Occurrence.content_class
        )
        .where(Occurrence.state == "handed_over", Occurrence.due_at >= now - back, Occurrence.due_at < now)
        .order_by(Occurrence.due_at)
    )
    for community_id, material_id, local_time, content_class in past:
        local = datetime.fromisoformat(local_time)
        if material_id is not None:
            last_used.setdefault(community_id, {})[material_id] = local.date()
        recent.setdefault(community_id, []).append((local, content_class))
    return [
        CommunityState(
            id=community.id,
            budget=MixBudget.of(community.mix) if community.mix else default,
            last_used=last_used.get(community.id, {}),
            recent=recent.get(community.id, ()),
            daily_cap=community.daily_cap,
        )
        for community in session.scalars(select(Community).where(Community.active))
    ]


def default_budget(session: Session) -> MixBudget:
    """The shop's own shares, as its content classes carry them."""
    shares = session.execute(select(ContentClass.code, ContentClass.share).order_by(ContentClass.position))
    return MixBudget.of({code: share for code, share in shares if share})


def as_candidate(material: LibraryCandidate) -> Candidate:
    """A material of the library as the planner knows it."""
    return Candidate(
        id=material.key,
        revision_id=material.revision_key,
        content_class=material.content_class,
        kind=material.kind,
        zone=material.zone,
        tags=material.tags,
        valid_from=material.usable_from,
        valid_until=material.usable_until,
        weight=material.weight,
    )


def _local_text(moment: Moment) -> str:
    return moment.local.isoformat(timespec="minutes")


def _place(opening: Opening) -> Place:
    return (int(opening.column.id), int(opening.community_id), opening.local.isoformat(timespec="minutes"))


def _row(place: Place, values: Mapping[str, Any], zones: Mapping[int, str]) -> dict[str, Any]:
    column_id, community_id, local_time = place
    return {
        "public_id": Occurrence.fresh_id(),
        "column_id": column_id,
        "community_id": community_id,
        "local_time": local_time,
        "fold": 0,
        "zone": zones[column_id],
        **values,
    }


def _remove(session: Session, stale: Sequence[int]) -> None:
    for start in range(0, len(stale), _WRITE_AT_ONCE):
        part = stale[start : start + _WRITE_AT_ONCE]
        session.execute(
            delete(Occurrence).where(
                Occurrence.id.in_(part), Occurrence.state.in_(_PLANNED), Occurrence.pinned.is_(False)
            )
        )
