"""Lays out the coming days: reads columns, communities, materials and the past, plans, and stores the plan.

What a person has changed or what delivery has taken over is handed to the planner as fixed and not touched.
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy import Text, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from lanmu.audience.models import Community
from lanmu.delivery.door.limits import house_cap
from lanmu.interfaces.clock import Clock
from lanmu.library.models import ContentClass
from lanmu.library.views import Candidate as LibraryCandidate
from lanmu.schedule.calendar import Workdays, moments_of
from lanmu.schedule.columns import calendar_slot, rules_of, slots_of
from lanmu.schedule.keeping import ByHand, Drawn, keep
from lanmu.schedule.mix import MixBudget
from lanmu.schedule.models import Column, Occurrence
from lanmu.schedule.planner import plan_each
from lanmu.schedule.problem import Candidate, CommunityState, FixedPick, Key, Opening, Plan, PlanRequest
from lanmu.schedule.reach import communities_of
from lanmu.schedule.special_days import table_of
from lanmu.schedule.storing import PLANNED, Store
from lanmu.schedule.upkeep import follow_approved_texts, follow_zone_rules
from lanmu.storage import Database

_WEEK = timedelta(days=7)
_WRITE_AT_ONCE = 1000
"""About how many places a transaction stores: few, as others who write wait; more would hardly be faster."""

_FORSAKEN = 100
"""Places that are taken out, at a guess, where a community is not planned for any more."""


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What a planning run came to: places with a material, places left empty, and places that were set.

    Of the empty ones `full` are those whose day has all the messages it may have; the others want material.
    `changed` counts the occurrences that were written, new ones among them, and `removed` those taken out.
    `replaced` are places whose material is another than before or that have none any more, `elsewhere` those
    of them in columns that were not to be planned anew: of these `elsewhere_full` lost theirs to the cap of
    the day, and `elsewhere_empty` found no other.
    """

    planned: int
    empty: int
    kept: int
    changed: int
    removed: int
    replaced: int = 0
    elsewhere: int = 0
    full: int = 0
    elsewhere_full: int = 0
    elsewhere_empty: int = 0


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
        self._workdays = workdays
        self._seed = seed

    def run(self, anew: Collection[str] = ()) -> PlanReport:
        """Plan from now to the horizon. Running it again without a change changes nothing.

        What was picked before stays while it breaks no rule, except in the columns `anew`, by their ids.

        The plan is stored a few communities at a time, each time in a short transaction of its own, so that
        nobody who sends waits for a long plan, and a month of it is never held in memory. After a crash the
        communities behind it have their new plan, those ahead what they had; the next run does the rest.
        """
        now = self._clock.now()
        until = now + self._horizon
        materials = [as_candidate(each) for each in self._candidates()]
        follow_zone_rules(self._database, now)
        texts = follow_approved_texts(self._database, now, materials)
        with self._database.read() as session:
            zones: dict[Key, str] = {
                row.id: row.zone for row in session.execute(select(Column.id, Column.zone))
            }
            newest = session.scalar(select(func.max(Occurrence.id))) or 0
            drawn_anew = set(session.scalars(select(Column.id).where(Column.public_id.in_(anew))))
            request = PlanRequest(
                openings=self._openings(session, now, until),
                materials=materials,
                communities=_communities(session, now, self._longest_cooldown(session)),
                fixed=_fixed(session, now, until),
                seed=self._seed,
            )
            by_hand = _by_hand(session, now - _WEEK, until)
            stays = keep(request, _drawn(session, now, until), by_hand, drawn_anew)
        request = replace(request, fixed=[*request.fixed, *stays])
        store = Store(self._database, now, until, zones, newest, drawn_anew)
        store.tally.changed += texts
        batch: dict[Key, Plan] = {}
        waiting = 0
        for community_id, part in _parts(request, store):
            batch[community_id] = part
            waiting += len(part.picks) + len(part.empty) + len(part.kept) or _FORSAKEN
            if waiting >= _WRITE_AT_ONCE:
                store.write(batch)
                batch, waiting = {}, 0
        store.write(batch)
        return PlanReport(**asdict(store.tally))

    def _longest_cooldown(self, session: Session) -> timedelta:
        return timedelta(days=session.scalar(select(func.max(Column.cooldown_days))) or 0) + _WEEK

    def _openings(self, session: Session, now: datetime, until: datetime) -> list[Opening]:
        columns = session.scalars(select(Column).where(Column.active).order_by(Column.id)).all()
        slots = slots_of(session, [column.id for column in columns])
        openings: list[Opening] = []
        workdays = self._workdays or table_of(session)
        for column in columns:
            reached, _unreached = communities_of(session, column)
            if not reached:
                continue
            rules = rules_of(column)
            drafts = [calendar_slot(slot, column.zone, column.created_at) for slot in slots[column.id]]
            # As it is stored: to the minute, and once.
            walls = {
                moment.local.replace(second=0): moment.instant
                for moment in moments_of(drafts, now, until, workdays)
            }
            openings += [
                Opening(rules, community.id, instant, local)
                for local, instant in walls.items()
                for community in reached
            ]
        return openings


def _parts(request: PlanRequest, store: Store) -> Iterator[tuple[Key, Plan]]:
    """Each community's plan; then an empty one for those that are not planned for any more."""
    planned = set()
    for community_id, part in plan_each(request):
        planned.add(community_id)
        yield community_id, part
    for community_id in store.forsaken(planned):
        yield community_id, Plan([], [], [])


def _fixed(session: Session, now: datetime, until: datetime) -> list[FixedPick]:
    """What people have set, and what delivery has taken over: the planner counts it and leaves it alone."""
    rows = session.execute(
        select(
            Occurrence.column_id,
            Occurrence.community_id,
            Occurrence.local_time,
            Occurrence.state,
            Occurrence.material_id,
            Occurrence.content_class,
            Column.cooldown_days,
        )
        .join(Column, Column.id == Occurrence.column_id)
        .where(
            Occurrence.due_at >= now,
            Occurrence.due_at < until,
            or_(Occurrence.pinned, Occurrence.state.not_in(PLANNED)),
        )
    )
    return [
        FixedPick(
            column_id=row.column_id,
            community_id=row.community_id,
            local=datetime.fromisoformat(row.local_time),
            # What was skipped, or missed its time, went to nobody: it holds its place and counts for nothing.
            material_id=None if row.state in ("skipped", "missed") else row.material_id,
            content_class="" if row.state in ("skipped", "missed") else row.content_class,
            cooldown_days=row.cooldown_days,
        )
        for row in rows
    ]


def _drawn(session: Session, now: datetime, until: datetime) -> Iterator[Drawn]:
    """What the planner itself has picked before."""
    mixes: dict[str, str] = {}
    rows = session.execute(
        select(
            Occurrence.column_id,
            Occurrence.community_id,
            Occurrence.local_time,
            Occurrence.material_id,
            type_coerce(Occurrence.why, Text).label("why"),
        )
        .join(Column, Column.id == Occurrence.column_id)
        .where(
            Occurrence.zone == Column.zone,
            Occurrence.due_at >= now,
            Occurrence.due_at < until,
            Occurrence.state == "planned",
            Occurrence.pinned.is_(False),
            Occurrence.material_id.is_not(None),
        )
    )
    for row in rows:
        mix = mixes.get(row.why)
        if mix is None:  # few reasons differ, so each is read once
            mix = mixes[row.why] = json.loads(row.why).get("mix", "")
        local = datetime.fromisoformat(row.local_time)
        yield Drawn(row.column_id, row.community_id, local, row.material_id, mix)


def _by_hand(session: Session, since: datetime, until: datetime) -> dict[Key, list[ByHand]]:
    """What people have chosen themselves, for each community."""
    rows = session.execute(
        select(Occurrence.community_id, Occurrence.local_time, Occurrence.content_class).where(
            Occurrence.due_at >= since,
            Occurrence.due_at < until,
            Occurrence.pinned,
            Occurrence.state.not_in(("skipped", "missed", "empty")),
        )
    )
    found: dict[Key, list[ByHand]] = {}
    for row in rows:
        found.setdefault(row.community_id, []).append(
            (datetime.fromisoformat(row.local_time), row.content_class)
        )
    return found


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
    cap = house_cap(session)
    return [
        CommunityState(
            id=community.id,
            budget=MixBudget.of(community.mix) if community.mix else default,
            last_used=last_used.get(community.id, {}),
            free_from=free_from.get(community.id, {}),
            recent=recent.get(community.id, ()),
            daily_cap=community.daily_cap if community.daily_cap is not None else cap,
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
