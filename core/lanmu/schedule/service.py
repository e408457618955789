"""The schedule as the rooms above see it: columns, occurrences, planning and handing over."""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import date, timedelta

from sqlalchemy import func, or_, select

from lanmu.audience.models import Community, CommunityAddress
from lanmu.delivery.service import DeliveryService
from lanmu.experiments.service import Experiments
from lanmu.interfaces.channels import Channel
from lanmu.interfaces.clock import Clock
from lanmu.library.materials import Materials
from lanmu.schedule.calendar import Workdays, moments_of, zone_of
from lanmu.schedule.columns import (
    PRIORITIES,
    ColumnDraft,
    Columns,
    calendar_slot,
    communities_for,
    find_column,
    matching,
    rules_of,
)
from lanmu.schedule.crowd import Crowd, Draft
from lanmu.schedule.crowding import crowds
from lanmu.schedule.handover import HandOver
from lanmu.schedule.models import Column, Slot
from lanmu.schedule.occurrences import Occurrences
from lanmu.schedule.periods_ahead import Plan, crowded_periods, periods_end
from lanmu.schedule.planning import Planning, PlanReport, as_candidate
from lanmu.schedule.reach import Reach, communities_of, communities_of_each
from lanmu.schedule.special_days import SpecialDays, table_of
from lanmu.storage import Database


class ScheduleService:
    """栏目与排期: `columns`, `occurrences`, and the two jobs that keep the calendar going."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        materials: Materials,
        delivery: DeliveryService,
        experiments: Experiments,
        channels: Mapping[str, Channel],
        *,
        horizon: timedelta = timedelta(days=14),
        ahead: timedelta = timedelta(minutes=10),
        workdays: Workdays | None = None,
        zone: str = "Asia/Shanghai",
    ) -> None:
        self._database = database
        self._clock = clock
        self._materials = materials
        self._horizon = horizon
        self._workdays = workdays
        self._zone = zone
        self.special_days = SpecialDays(database, zone)
        self.columns = Columns(database, clock, channels)
        self.occurrences = Occurrences(database, clock)
        self._planning = Planning(database, clock, materials.candidates, horizon, workdays)
        self._hand_over = HandOver(database, clock, delivery, experiments, materials.snapshot, ahead)

    def plan_ahead(self, anew: Collection[str] = ()) -> PlanReport:
        """Lay out the coming days; see `Planning.run`."""
        return self._planning.run(anew)

    def hand_over(self) -> int:
        """Hand what is due soon to delivery; see `HandOver.run`."""
        return self._hand_over.run()

    def reach(self, column: str) -> tuple[list[str], list[str]]:
        """The communities a column feeds, by name: those that its channel reaches, and those it does not."""
        with self._database.read() as session:
            return _names(communities_of(session, find_column(session, column)))

    def reach_of_each(self) -> Mapping[str, tuple[list[str], list[str]]]:
        """What `reach` answers of every column, by the column's id."""
        with self._database.read() as session:
            found = communities_of_each(session, session.scalars(select(Column)).all())
            return {row.public_id: _names(reach) for row, reach in found.items()}

    def reach_of(self, draft: ColumnDraft) -> tuple[int, int]:
        """How many communities a column would feed, and how many more it means that have no address in its
        channel."""
        with self._database.read() as session:
            reached, unreached = matching(session, draft)
            return len(reached), len(unreached)

    def widest_channel(self, channels: Collection[str]) -> str:
        """The one of the channels in which most active communities have an address; the first of equals."""
        with self._database.read() as session:
            found: dict[str, int] = {}
            for channel, count in session.execute(
                select(CommunityAddress.channel, func.count())
                .join(Community, Community.id == CommunityAddress.community_id)
                .where(Community.active)
                .group_by(CommunityAddress.channel)
            ):
                found[channel] = count
        return max(channels, key=lambda each: found.get(each, 0), default="")

    def by_workdays(self) -> list[str]:
        """The names of the columns that are on and come on workdays or days of rest alone."""
        with self._database.read() as session:
            days = or_(Slot.weekdays.like("%workday%"), Slot.weekdays.like("%restday%"))
            mine = select(Slot.column_id).where(days)
            return list(
                session.scalars(
                    select(Column.name).where(Column.active, Column.id.in_(mine)).order_by(Column.id)
                )
            )

    def crowded(self, since: date, days: int) -> list[Crowd]:
        """The days, weeks and months with more planned than a limit lets through; see `crowding.crowds`, and
        `periods_ahead.crowded_periods` for those that hold one of the days."""
        now = self._clock.now()
        with self._database.read() as session:
            plan = Plan(now + self._horizon, self._workdays or table_of(session))
            longer = crowded_periods(session, now, self._zone, since, days, plan)
            return crowds(session, now, self._zone, since, days) + longer

    def foreseen(self, draft: ColumnDraft, column: str = "") -> list[Crowd]:
        """The days planned ahead, and their weeks and months, that a column would help to crowd if it were
        saved as it stands.

        `column` is its id, empty while it is new. Raises Invalid for slots that cannot be read.
        """
        now = self._clock.now()
        today = now.astimezone(zone_of(self._zone)).date()
        with self._database.read() as session:
            row = find_column(session, column) if column else None
            made = row.created_at if row else now
            slots = [calendar_slot(slot, draft.zone, made) for slot in draft.slots]
            workdays = self._workdays or table_of(session)
            days = self._horizon.days + 1
            planned_until = now + self._horizon
            end = periods_end(session, planned_until, today + timedelta(days=days - 1), self._zone)
            moments = moments_of(slots, now, end, workdays) if draft.active else []
            reached = communities_for(session, draft)
            own = Draft(
                row.id if row else None,
                draft.name,
                draft.channel,
                PRIORITIES.get(draft.priority, 0),
                [each.id for each in reached],
                [each.instant for each in moments if each.instant < planned_until],
                [each.instant for each in moments if each.instant >= planned_until],
            )
            found = crowds(session, now, self._zone, today, days, own)
            plan = Plan(planned_until, workdays, own)
            found += crowded_periods(session, now, self._zone, today, days, plan)
            return [each for each in found if any(rival.is_draft for rival in each.rivals)]

    def zones(self, draft: ColumnDraft) -> Mapping[str, int]:
        """The time zones of the communities that a column would feed, and how many live in each."""
        with self._database.read() as session:
            return Counter(each.zone for each in communities_for(session, draft))

    def pool_counts(self, column: str) -> dict[str, int]:
        """How many approved materials the column's pool holds, by class."""
        with self._database.read() as session:
            rules = rules_of(find_column(session, column))
        counts: dict[str, int] = {}
        for material in map(as_candidate, self._materials.candidates()):
            if rules.pool.takes(material) and (not rules.classes or material.content_class in rules.classes):
                counts[material.content_class] = counts.get(material.content_class, 0) + 1
        return counts


def _names(reach: Reach) -> tuple[list[str], list[str]]:
    return [row.name for row in reach.reached], [row.name for row in reach.unreached]
