"""Lays out the coming days: reads columns, communities, materials and the past, plans, and stores the plan.

What a person has changed or what delivery has taken over is handed to the planner as fixed and not touched.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import and_, bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from lanmu.audience.models import Community
from lanmu.interfaces.clock import Clock
from lanmu.library.models import ContentClass
from lanmu.library.views import Candidate as LibraryCandidate
from lanmu.schedule.calendar import MondayToFriday, Workdays, moments_of
from lanmu.schedule.columns import calendar_slot, communities_of, rules_of, slots_of
from lanmu.schedule.mix import MixBudget
from lanmu.schedule.models import Column, Occurrence
from lanmu.schedule.planner import plan
from lanmu.schedule.problem import Candidate, CommunityState, FixedPick, Key, Opening, Plan, PlanRequest
from lanmu.storage import Database
from lanmu.storage.once import insert_missing

_WEEK = timedelta(days=7)
_PLANNED = ("planned", "empty")
_UNTOUCHED = and_(
    or_(*(Occurrence.state == state for state in _PLANNED)),  # an IN cannot be sent for many rows at once
    Occurrence.pinned.is_(False),
)
"""Asked with every write: since it was read, a person may have changed it, or delivery taken it."""

_WRITE_AT_ONCE = 2000
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What a planning run came to: places with a material, places left empty, and places that were set.

    `changed` counts the occurrences that were written, new ones among them, and `removed` those taken out.
    """

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
        return self._store(answer, existing)

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
                local = moment.local.replace(second=0)  # as it is stored
                for community in reached:
                    opening = Opening(rules, community.id, moment.instant, local)
                    openings[_place(opening)] = opening
        return openings

    def _store(self, answer: Plan, existing: Mapping["Place", "Existing"]) -> PlanReport:
        wanted = self._wanted(answer)
        # What is fixed may be missing from `wanted` (a place without an opening): it stays all the same.
        open_ = {place: row for place, row in existing.items() if not _is_fixed(row)}
        stale = [row.id for place, row in open_.items() if place not in wanted]
        changed = [
            {"row": row.id, **wanted[place]}
            for place, row in open_.items()
            if place in wanted and row.differs(wanted[place])
        ]
        new = [_row(place, values) for place, values in wanted.items() if place not in existing]
        return PlanReport(
            planned=len(answer.picks),
            empty=len(answer.empty),
            kept=len(answer.kept),
            removed=self._write(_remove, stale),
            changed=self._write(_change, changed) + self._write(_add, new),
        )

    def _wanted(self, answer: Plan) -> dict["Place", dict[str, Any]]:
        with self._database.read() as session:
            zones = {row.id: row.zone for row in session.execute(select(Column.id, Column.zone))}
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
        for place, values in wanted.items():
            values["zone"] = zones[place[0]]
        return wanted

    def _write(self, work: Callable[[Session, Sequence[Row]], int], rows: Sequence[Row]) -> int:
        """Transactions of a bounded length, so that nobody who sends has to wait for a long plan."""
        done = 0
        for start in range(0, len(rows), _WRITE_AT_ONCE):
            with self._database.write() as session:
                done += work(session, rows[start : start + _WRITE_AT_ONCE])
        return done


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
    zone: str
    cooldown_days: int

    def differs(self, values: Mapping[str, Any]) -> bool:
        return any(
            getattr(self, name) != values[name]
            for name in ("state", "content_class", "material_id", "revision_id", "due_at", "zone")
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
            Occurrence.zone,
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
            row.zone,
            row.cooldown_days,
        )
        for row in rows
    }


def _communities(session: Session, now: datetime, back: timedelta) -> list[CommunityState]:
    """Every active community with its budget and what it had in the time that matters."""
    default = default_budget(session)
    last_used: dict[int, dict[Key, date]] = {}
    free_from: dict[int, dict[Key, date]] = {}
    recent: dict[int, list[tuple[datetime, str]]] = {}
    past = session.execute(
        select(
            Occurrence.community_id,
            Occurrence.material_id,
            Occurrence.local_time,
            Occurrence.content_class,
            Column.cooldown_days,
        )
        .join(Column, Column.id == Occurrence.column_id)
        .where(Occurrence.state == "handed_over", Occurrence.due_at >= now - back, Occurrence.due_at < now)
        .order_by(Occurrence.due_at)
    )
    for community_id, material_id, local_time, content_class, cooldown_days in past:
        local = datetime.fromisoformat(local_time)
        recent.setdefault(community_id, []).append((local, content_class))
        if material_id is not None:
            free = local.date() + timedelta(days=cooldown_days)
            resting = free_from.setdefault(community_id, {})
            resting[material_id] = max(free, resting.get(material_id, free))
            last_used.setdefault(community_id, {})[material_id] = local.date()
    return [
        CommunityState(
            id=community.id,
            budget=MixBudget.of(community.mix) if community.mix else default,
            last_used=last_used.get(community.id, {}),
            free_from=free_from.get(community.id, {}),
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


def _place(opening: Opening) -> Place:
    return (int(opening.column.id), int(opening.community_id), opening.local.isoformat(timespec="minutes"))


def _row(place: Place, values: Mapping[str, Any]) -> dict[str, Any]:
    column_id, community_id, local_time = place
    return {
        "public_id": Occurrence.fresh_id(),
        "column_id": column_id,
        "community_id": community_id,
        "local_time": local_time,
        "fold": 0,
        **values,
    }


def _add(session: Session, rows: Sequence[dict[str, Any]]) -> int:
    """A place may be taken by what lies outside the days that are planned: its zone was changed since, or
    another process has just planned it. Then it has had its turn."""
    return insert_missing(session, Occurrence, ["column_id", "community_id", "local_time", "fold"], rows)


_CHANGE = update(Occurrence).where(Occurrence.id == bindparam("row"), _UNTOUCHED)


def _change(session: Session, rows: Sequence[dict[str, Any]]) -> int:
    return session.connection().execute(_CHANGE, rows).rowcount


def _remove(session: Session, rows: Sequence[int]) -> int:
    statement = delete(Occurrence).where(Occurrence.id.in_(rows), _UNTOUCHED)
    return session.connection().execute(statement).rowcount
