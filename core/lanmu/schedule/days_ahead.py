"""What is to go out on each of the coming days: the queries behind the warnings of crowded ones."""

from collections import Counter
from collections.abc import Iterable
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


Key = tuple[int, int, str]
"""Number of the day, the community's row, and the channel."""


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
        """How many the limit allows on a day."""
        row = self._communities.get(community)
        if self._rule.code == COMMUNITY_DAY and row is not None and row.daily_cap is not None:
            return int(row.daily_cap)
        return allowed(self._rule.most, day)

    def used(self, session: Session, today: date) -> dict[str, int]:
        """How many each has had today. A recipient is counted under its account too."""
        if self._used is None:
            rows = session.execute(
                select(LimitUse.subject, LimitUse.used).where(
                    LimitUse.limit_id == self._rule.id, LimitUse.starts_on == today
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


class Span:
    """Days of the shop's calendar with their bounds, and what is to come on each."""

    def __init__(self, now: datetime, zone: str, since: date, days: int) -> None:
        self.now = now
        self._zone = ZoneInfo(zone)
        self.today = now.astimezone(self._zone).date()
        self._since = since
        self._bounds = [
            datetime.combine(since + timedelta(days=number), time(), self._zone).astimezone(UTC)
            for number in range(days + 1)
        ]

    def day(self, number: int) -> date:
        return self._since + timedelta(days=number)

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
        return self._counted(session, *self._places(draft, kind))

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

    def _places(self, draft: Draft | None, kind: ColumnElement[bool]) -> list[ColumnElement[bool]]:
        wanted = [self._within(Occurrence.due_at), Occurrence.due_at >= self.now, kind]
        if draft is not None and draft.key is not None:
            wanted.append(Occurrence.column_id != draft.key)
        return wanted

    def of_draft(self, draft: Draft | None) -> Counter[Key]:
        """The places that a column would have."""
        found: Counter[Key] = Counter()
        for at in draft.instants if draft else ():
            number = (at.astimezone(self._zone).date() - self._since).days
            if draft and self.now <= at and 0 <= number < len(self._bounds) - 1:
                found.update((number, community, draft.channel) for community in draft.communities)
        return found

    def of_pushes(self, session: Session) -> Counter[Key]:
        """The messages to communities that delivery has and has not sent yet."""
        number = self._number(Push.due_at)
        rows = session.execute(
            select(number, UnitTarget.community_id, Push.channel, func.count())
            .join(Unit, Unit.push_id == Push.id)
            .join(UnitTarget, UnitTarget.unit_id == Unit.id)
            .where(*self._waiting(), UnitTarget.community_id.is_not(None))
            .group_by(number, UnitTarget.community_id, Push.channel)
        )
        return Counter({(day, community or 0, channel): count for day, community, channel, count in rows})

    def _waiting(self, number: int | None = None) -> list[ColumnElement[bool]]:
        return [
            self._within(Push.due_at, number),
            Push.state.not_in(_OVER),
            Push.test_text == "",
            Unit.counted_at.is_(None),
            UnitTarget.state == "planned",
        ]

    def of_members(self, session: Session, rule: Rule) -> list[Crowd]:
        """The days on which pushes write to a member more often than the limit allows."""
        found = []
        used: dict[str, int] = {}
        for number in range(len(self._bounds) - 1):
            day, most = self.day(number), allowed(rule.most, self.day(number))
            if day == self.today:
                used = Book(session, rule).used(session, day)
            mine = select(UnitTarget.member_id, func.count()).join(Unit, Unit.id == UnitTarget.unit_id)
            mine = mine.join(Push, Push.id == Unit.push_id).group_by(UnitTarget.member_id)
            mine = mine.where(*self._waiting(number), UnitTarget.member_id.is_not(None))
            if rule.channel:
                mine = mine.where(Push.channel == rule.channel)
            if day != self.today:
                mine = mine.having(func.count() > most)
            rows = [(count + used.get(str(member), 0)) for member, count in session.execute(mine)]
            used = {}
            over = [count for count in rows if count > most]
            if over:
                left_out = sum(count - most for count in over)
                rivals = self._rival_pushes(session, number, UnitTarget.member_id.is_not(None), rule.channel)
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
    ) -> list[Rival]:
        """Who wants places on a day, in the order of the line."""
        mine = sorted(communities)
        rows = session.execute(
            select(Column.public_id, Column.name, Column.priority, func.count(), func.min(Occurrence.due_at))
            .join(Occurrence, Occurrence.column_id == Column.id)
            .where(
                *self._places(draft, or_(FIXED, WANTED)),
                self._within(Occurrence.due_at, number),
                Occurrence.community_id.in_(mine),
                *([Column.channel == channel] if channel else []),
            )
            .group_by(Column.id, Column.public_id, Column.name, Column.priority)
        )
        found = [(Rival(row[0], row[1], row[3], row[2]), row[4]) for row in rows]
        if draft is not None and (not channel or channel == draft.channel):
            own = [at for at in draft.instants if at.astimezone(self._zone).date() == self.day(number)]
            wanted = len(own) * len(set(draft.communities) & set(mine))
            if wanted:
                found.append((Rival("", draft.name, wanted, draft.priority, True), min(own)))
        found.sort(key=lambda each: (-each[0].priority, each[1], each[0].title))
        pushes = self._rival_pushes(session, number, UnitTarget.community_id.in_(mine), channel)
        return [*pushes, *(rival for rival, _at in found)]

    def _rival_pushes(
        self, session: Session, number: int, of: ColumnElement[bool], channel: str
    ) -> list[Rival]:
        rows = session.execute(
            select(Push.title, Push.priority, func.count())
            .join(Unit, Unit.push_id == Push.id)
            .join(UnitTarget, UnitTarget.unit_id == Unit.id)
            .where(*self._waiting(number), of, *([Push.channel == channel] if channel else []))
            .group_by(Push.id, Push.title, Push.priority)
            .order_by(Push.priority.desc(), Push.id)
        )
        return [Rival("", title, count, priority) for title, priority, count in rows]
