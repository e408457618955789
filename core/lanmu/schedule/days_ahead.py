"""What is to go out on each of the coming days, or in longer periods: the queries behind the warnings."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Text, and_, case, cast, func, or_, select
from sqlalchemy.orm import Session

from lanmu.audience.models import Community, CommunityAddress
from lanmu.delivery.door.limit_models import LimitUse
from lanmu.delivery.door.limits import COMMUNITY_DAY, Rule
from lanmu.delivery.door.windows import allowed
from lanmu.delivery.models import Push, Unit, UnitTarget
from lanmu.schedule.crowd import Crowd, Draft, Rival
from lanmu.schedule.models import Column, Occurrence

_OVER = ("cancelled", "expired", "finished", "finished_with_issues")
_FULL = and_(Occurrence.state == "empty", cast(Occurrence.why, Text).like('%"daily_cap"%'))
_BY_PLAN = and_(Occurrence.state == "planned", Occurrence.pinned.is_(False))
FIXED = and_(Occurrence.state.in_(("planned", "approved")), ~_BY_PLAN)  # by people: it stays
WANTED = or_(_BY_PLAN, _FULL)
HOPED = or_(FIXED, WANTED)
FILLED = Occurrence.state.in_(("planned", "approved"))


Key = tuple[int, int, str]
"""Number of the day or period, the community's row, and the channel."""


class Book:
    """Who is counted under a limit, by community and channel, as the door counts them."""

    def __init__(self, session: Session, rule: Rule) -> None:
        self._rule = rule
        self._used: dict[str, int] | None = None
        rows = session.execute(select(Community.id, Community.name, Community.daily_cap))
        self._communities = {row.id: row for row in rows}
        self._addresses: dict[tuple[int, str], Any] = {}
        if rule.scope in ("recipient", "sender"):
            for row in session.execute(
                select(
                    CommunityAddress.community_id,
                    CommunityAddress.channel,
                    CommunityAddress.key,
                    CommunityAddress.sender,
                )
            ):
                self._addresses[row.community_id, row.channel] = row

    def subject(self, community: int, channel: str) -> str:
        """Whose message it is; empty where nobody's is counted."""
        if self._rule.scope == "community":
            return str(community)
        if self._rule.scope == "channel":
            return channel
        address = self._addresses.get((community, channel))
        if address is None:
            return ""
        return str(address.key if self._rule.scope == "recipient" else address.sender)

    def most(self, community: int, day: date) -> int:
        """How many the limit allows on a day, or in the period that begins on it."""
        row = self._communities.get(community)
        if self._rule.code == COMMUNITY_DAY and row is not None and row.daily_cap is not None:
            return int(row.daily_cap)
        return allowed(self._rule.most, day)

    def used(self, session: Session, starts_on: date) -> dict[str, int]:
        """How many each has had in the period that began then. A recipient counts under its account too."""
        if self._used is None:
            rows = session.execute(
                select(LimitUse.subject, LimitUse.used).where(
                    LimitUse.limit_id == self._rule.id, LimitUse.starts_on == starts_on
                )
            )
            by_account = self._rule.scope == "recipient"
            self._used = {
                row.subject.partition("/")[2] or row.subject if by_account else row.subject: row.used
                for row in rows
            }
        return self._used

    def name(self, subject: str, communities: Iterable[int]) -> str:
        """What people call the subject."""
        if self._rule.scope in ("community", "recipient"):
            return next((self._communities[each].name for each in communities), subject)
        return subject


def days_from(since: date, days: int) -> list[date]:
    """So many days, and the one after them."""
    return [since + timedelta(days=number) for number in range(days + 1)]


class Span:
    """Days or longer periods of the shop's calendar with their bounds, and what is to come in each.

    `firsts` are their first days, and the day after the last of them.
    """

    def __init__(self, now: datetime, zone: str, firsts: Sequence[date]) -> None:
        self.now = now
        self._zone = ZoneInfo(zone)
        self.today = now.astimezone(self._zone).date()
        self._firsts = firsts
        self._bounds = [datetime.combine(day, time(), self._zone).astimezone(UTC) for day in firsts]

    def __len__(self) -> int:
        return len(self._firsts) - 1

    def day(self, number: int) -> date:
        """The day, or the first of the period; after the last one the day after it."""
        return self._firsts[number]

    def day_of(self, at: datetime) -> date:
        """The day of the shop on which an instant lies."""
        return at.astimezone(self._zone).date()

    @property
    def end(self) -> datetime:
        """The instant at which the last one is over."""
        return self._bounds[-1]

    def number_of(self, at: datetime) -> int:
        """In which of them an instant lies; -1 where in none."""
        return self.number_on(self.day_of(at))

    def number_on(self, day: date) -> int:
        """In which of them a day lies; -1 where in none."""
        number = bisect_right(self._firsts, day) - 1
        return number if number < len(self) else -1

    def _number(self, at: Any) -> ColumnElement[int]:
        """Which of the days an instant lies on."""
        return case(*((at < end, number) for number, end in enumerate(self._bounds[1:])), else_=-1)

    def _within(self, at: Any, number: int | None = None) -> ColumnElement[bool]:
        first, last = (self._bounds[0], self._bounds[-1]) if number is None else self._bounds[number:][:2]
        return and_(at >= first, at < last)

    def of_occurrences(
        self, session: Session, draft: Draft | None, kind: ColumnElement[bool]
    ) -> Counter[Key]:
        """The places to come of a kind."""
        return self._counted(session, *self.places(draft, kind))

    def filled_at(self, session: Session) -> Sequence[datetime]:
        """The instants of the places to come: read from the index alone."""
        which = self.places(None, FILLED)
        return session.scalars(select(Occurrence.due_at).where(*which).distinct()).all()

    def filled(self, session: Session, draft: Draft | None) -> list[tuple[int, int, int, int]]:
        """The places to come that have a material: period, community, column, and how many."""
        mine = Occurrence.community_id, Occurrence.column_id
        return [
            (number, community, column, count)
            for number in range(len(self))
            # By column and not by channel: joined, SQLite would read each column's whole past.
            for community, column, count in session.execute(
                select(*mine, func.count()).where(*self.places(draft, FILLED, number)).group_by(*mine)
            )
        ]

    def of_handed_over(self, session: Session) -> Counter[Key]:
        """The places that have become pushes, out or not: the planner counts them."""
        return self._counted(session, self._within(Occurrence.due_at), Occurrence.state == "handed_over")

    def _counted(self, session: Session, *which: ColumnElement[bool]) -> Counter[Key]:
        number = self._number(Occurrence.due_at)
        rows = session.execute(
            select(number, Occurrence.community_id, Column.channel, func.count())
            .join(Column, Column.id == Occurrence.column_id)
            .where(*which)
            .group_by(number, Occurrence.community_id, Column.channel)
        )
        return Counter({(day, community, channel): count for day, community, channel, count in rows})

    def places(
        self, draft: Draft | None, kind: ColumnElement[bool], number: int | None = None
    ) -> list[ColumnElement[bool]]:
        """What tells the places to come of a kind, but for those of the column that the draft replaces."""
        wanted = [self._within(Occurrence.due_at, number), Occurrence.due_at >= self.now, kind]
        if draft is not None and draft.key is not None:
            wanted.append(Occurrence.column_id != draft.key)
        return wanted

    def of_draft(self, draft: Draft | None) -> Counter[Key]:
        """The places that a column would have."""
        found: Counter[Key] = Counter()
        for at in draft.instants if draft else ():
            number = self.number_of(at)
            if draft and self.now <= at and number >= 0:
                found.update((number, community, draft.channel) for community in draft.communities)
        return found

    def of_pushes(self, session: Session, channel: str = "") -> Counter[Key]:
        """The messages to communities that delivery has and has not sent yet."""
        number = self._number(Push.due_at)
        rows = session.execute(
            select(number, UnitTarget.community_id, Push.channel, func.count())
            .join(Unit, Unit.push_id == Push.id)
            .join(UnitTarget, UnitTarget.unit_id == Unit.id)
            .where(*self.waiting(channel=channel), UnitTarget.community_id.is_not(None))
            .group_by(number, UnitTarget.community_id, Push.channel)
        )
        return Counter({(day, community or 0, channel): count for day, community, channel, count in rows})

    def waiting(self, number: int | None = None, channel: str = "") -> list[ColumnElement[bool]]:
        """What tells the targets of pushes that may yet go out and count; tests count elsewhere."""
        return [
            *self.under_way(number, channel),
            Unit.counted_at.is_(None),
            UnitTarget.state == "planned",
        ]

    def under_way(self, number: int | None = None, channel: str = "") -> list[ColumnElement[bool]]:
        """What tells the pushes that are not over and whose deadline has not passed."""
        found = [
            self._within(Push.due_at, number),
            Push.state.not_in(_OVER),
            Push.test_text == "",
            Push.deadline_at > self.now,
        ]
        return [*found, Push.channel == channel] if channel else found

    def of_members(self, session: Session, rule: Rule) -> list[Crowd]:
        """The days on which pushes write to a member more often than the limit allows."""
        found = []
        used: dict[str, int] = {}
        for number in range(len(self)):
            day, most = self.day(number), allowed(rule.most, self.day(number))
            if day == self.today:
                used = Book(session, rule).used(session, day)
            mine = select(UnitTarget.member_id, func.count()).join(Unit, Unit.id == UnitTarget.unit_id)
            mine = mine.join(Push, Push.id == Unit.push_id).group_by(UnitTarget.member_id)
            mine = mine.where(*self.waiting(number, rule.channel), UnitTarget.member_id.is_not(None))
            if day != self.today:
                mine = mine.having(func.count() > most)
            rows = [(count + used.get(str(member), 0)) for member, count in session.execute(mine)]
            used = {}
            over = [count for count in rows if count > most]
            if over:
                left_out = sum(count - most for count in over)
                rivals = self.rival_pushes(session, number, UnitTarget.member_id.is_not(None), rule.channel)
                found.append(
                    Crowd(day, "member", rule.channel, "", len(over), max(over), most, 0, left_out, rivals)
                )
        return found

    def rivals(
        self,
        session: Session,
        number: int,
        communities: Iterable[int],
        channel: str,
        draft: Draft | None,
        kind: ColumnElement[bool] = HOPED,
    ) -> list[Rival]:
        """Who wants places on a day or in a period, in the order of the line."""
        mine = sorted(communities)
        rows = session.execute(
            select(Column.public_id, Column.name, Column.priority, func.count(), func.min(Occurrence.due_at))
            .join(Occurrence, Occurrence.column_id == Column.id)
            .where(
                *self.places(draft, kind, number),
                Occurrence.community_id.in_(mine),
                *([Column.channel == channel] if channel else []),
            )
            .group_by(Column.id, Column.public_id, Column.name, Column.priority)
        )
        found = [(Rival(row[0], row[1], row[3], row[2]), row[4]) for row in rows]
        if draft is not None and (not channel or channel == draft.channel):
            own = [at for at in draft.instants if self.number_of(at) == number]
            wanted = len(own) * len(set(draft.communities) & set(mine))
            if wanted:
                found.append((Rival("", draft.name, wanted, draft.priority, True), min(own)))
        found.sort(key=lambda each: (-each[0].priority, each[1], each[0].title))
        pushes = self.rival_pushes(session, number, UnitTarget.community_id.in_(mine), channel)
        return [*pushes, *(rival for rival, _at in found)]

    def rival_pushes(
        self, session: Session, number: int, of: ColumnElement[bool], channel: str
    ) -> list[Rival]:
        """The pushes that want places for these of their recipients, in the order of the line."""
        rows = session.execute(
            select(Push.title, Push.priority, func.count())
            .join(Unit, Unit.push_id == Push.id)
            .join(UnitTarget, UnitTarget.unit_id == Unit.id)
            .where(*self.waiting(number, channel), of)
            .group_by(Push.id, Push.title, Push.priority)
            .order_by(Push.priority.desc(), Push.id)
        )
        return [Rival("", title, count, priority) for title, priority, count in rows]
