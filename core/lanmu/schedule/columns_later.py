"""What columns will want after the days that are planned, by their rules alone.

A month is longer than what the planner fills ahead. Whether its quota lasts is to be told while there is
time to plan otherwise, so the rest of it is read off the columns' slots; the daily cap holds there too.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.audience.models import Community
from lanmu.delivery.door.limits import house_cap
from lanmu.interfaces.errors import LanmuError
from lanmu.schedule.calendar import Workdays, moments_of
from lanmu.schedule.columns import SlotDraft, calendar_slot, slots_of
from lanmu.schedule.crowd import Draft
from lanmu.schedule.days_ahead import Span
from lanmu.schedule.models import Column
from lanmu.schedule.reach import ids_fed


@dataclass(slots=True)
class Feed:
    """A column with the days on which it comes: within what is planned ahead, and after it."""

    column: str
    name: str
    channel: str
    priority: int
    communities: Set[int]
    is_draft: bool = False
    soon: Counter[date] = field(default_factory=Counter)
    later: Counter[date] = field(default_factory=Counter)


class Later:
    """The columns' wishes until the end of a span, beside what lies on the calendar already.

    A draft lies on no calendar yet: all of its wishes are among them.
    """

    def __init__(
        self,
        session: Session,
        span: Span,
        planned_until: datetime,
        workdays: Workdays,
        draft: Draft | None,
    ) -> None:
        self._session, self._span, self._planned_until = session, span, planned_until
        self._workdays, self._draft = workdays, draft
        self._known: dict[int, list[datetime]] = {}

    @cached_property
    def _columns(self) -> Sequence[Column]:
        """All that are switched on, but for the one that the draft replaces."""
        columns = self._session.scalars(select(Column).where(Column.active).order_by(Column.id)).all()
        return [each for each in columns if self._draft is None or each.id != self._draft.key]

    @cached_property
    def _slots(self) -> dict[int, list[SlotDraft]]:
        return slots_of(self._session, [column.id for column in self._columns])

    def _instants(self, column: Column) -> list[datetime]:
        if column.id not in self._known:
            try:
                slots = [
                    calendar_slot(slot, column.zone, column.created_at) for slot in self._slots[column.id]
                ]
            except LanmuError:  # the planner tells of it
                slots = []
            found = moments_of(slots, self._span.now, self._span.end, self._workdays)
            self._known[column.id] = [each.instant for each in found]
        return self._known[column.id]

    @cached_property
    def _of_draft(self) -> list[datetime]:
        draft, now, end = self._draft, self._span.now, self._span.end
        return [at for at in (*draft.instants, *draft.later) if now <= at < end] if draft else []

    def at_most(self, period: int, channel: str, laid: Collection[datetime]) -> int:
        """More than this no community is to have by this channel, or any; there are places at `laid`."""
        mine = [each for each in self._columns if channel in ("", each.channel)]
        all_of_them = [self._instants(each) for each in mine]
        if self._draft is not None and channel in ("", self._draft.channel):
            all_of_them.append(self._of_draft)
        known = {at for instants in all_of_them for at in instants}
        # Such as were laid by slots that have changed since, and that a person holds fast.
        others = sum(at not in known and self._span.number_of(at) == period for at in laid)
        wanted = sum(self._span.number_of(at) == period for instants in all_of_them for at in instants)
        return wanted + others * max(1, len(mine))

    @cached_property
    def _feeds(self) -> list[Feed]:
        found: list[tuple[datetime, Feed]] = []
        if (draft := self._draft) is not None and (own := self._of_draft):
            communities = set(draft.communities)
            feed = Feed("", draft.name, draft.channel, draft.priority, communities, True)
            found.append((own[0], self._by_days(feed, own)))
        for column in self._columns:
            instants = self._instants(column)
            # Beside a draft those that come within what is planned count too: for the daily cap.
            if instants and (draft is not None or instants[-1] >= self._planned_until):
                communities = ids_fed(self._session, column)
                feed = Feed(column.public_id, column.name, column.channel, column.priority, communities)
                found.append((instants[0], self._by_days(feed, instants)))
        return [feed for _at, feed in sorted(found, key=lambda each: (-each[1].priority, each[0]))]

    def _by_days(self, feed: Feed, instants: Iterable[datetime]) -> Feed:
        for at in instants:
            (feed.later if at >= self._planned_until else feed.soon)[self._span.day_of(at)] += 1
        return feed

    @cached_property
    def _caps(self) -> tuple[int | None, dict[int, int | None]]:
        """The house's cap of a day, and the caps of those that have their own."""
        own = select(Community.id, Community.daily_cap).where(Community.daily_cap.is_not(None))
        return house_cap(self._session), {row.id: row.daily_cap for row in self._session.execute(own)}

    def _cap(self, community: int) -> int | None:
        of_house, own = self._caps
        return own.get(community, of_house)

    def shares(self) -> Counter[tuple[int, int, int]]:
        """How many messages are to come by period, community, and the number of the feed."""
        mine: defaultdict[int, list[int]] = defaultdict(list)
        for number, each in enumerate(self._feeds):
            for community in each.communities:
                mine[community].append(number)
        # Communities that the same columns feed fare alike.
        alike: dict[tuple[tuple[int, ...], int | None], Counter[tuple[int, int]]] = {}
        found: Counter[tuple[int, int, int]] = Counter()
        for community, numbers in mine.items():
            key = tuple(numbers), self._cap(community)
            if key not in alike:
                alike[key] = self._of_one(*key)
            for (period, number), amount in alike[key].items():
                found[period, community, number] = amount
        return found

    def feed(self, number: int) -> Feed:
        return self._feeds[number]

    def by_day(self, period: int, communities: Collection[int], channel: str) -> Counter[date]:
        """How many of these shares these communities have in a period by each day, by this channel or any."""
        found: Counter[date] = Counter()
        for community in communities:
            numbers = tuple(n for n, each in enumerate(self._feeds) if community in each.communities)
            for (day, number), amount in self._by_day(numbers, self._cap(community)).items():
                if channel in ("", self._feeds[number].channel) and self._span.number_on(day) == period:
                    found[day] += amount
        return found

    def _of_one(self, numbers: tuple[int, ...], cap: int | None) -> Counter[tuple[int, int]]:
        """What a community that these columns feed gets beside what is planned, by period and column."""
        found: Counter[tuple[int, int]] = Counter()
        for (day, number), amount in self._by_day(numbers, cap).items():
            if (period := self._span.number_on(day)) >= 0:
                found[period, number] += amount
        return found

    def _by_day(self, numbers: tuple[int, ...], cap: int | None) -> Counter[tuple[date, int]]:
        feeds = [(number, self._feeds[number]) for number in numbers]
        found: Counter[tuple[date, int]] = Counter()
        for day in {day for _number, each in feeds for day in (*each.soon, *each.later)}:
            laid = sum(each.soon[day] for _number, each in feeds if not each.is_draft)
            left = None if cap is None else max(0, cap - laid)
            for number, each in feeds:
                wanted = each.later[day] + (each.soon[day] if each.is_draft else 0)
                taken = wanted if left is None else min(left, wanted)
                if taken:
                    found[day, number] += taken
                left = None if left is None else left - taken
        return found
