"""Which days have more planned than the last door will let through, and who competes for the places."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Text, and_, case, cast, func, or_, select
from sqlalchemy.orm import Session

from lanmu.audience.models import Community, CommunityAddress
from lanmu.delivery.door.limit_models import LimitUse
from lanmu.delivery.door.limits import COMMUNITY_DAY, TEST_DAY, Rule, rules
from lanmu.delivery.door.windows import allowed
from lanmu.delivery.models import Push, Unit, UnitTarget
from lanmu.schedule.models import Column, Occurrence

_OVER = ("cancelled", "expired", "finished", "finished_with_issues")
_FULL = and_(Occurrence.state == "empty", cast(Occurrence.why, Text).like('%"daily_cap"%'))
_BY_PLAN = and_(Occurrence.state == "planned", Occurrence.pinned.is_(False))
_FIXED = and_(Occurrence.state.in_(("planned", "approved")), ~_BY_PLAN)  # by people: it stays
_WANTED = or_(_BY_PLAN, _FULL)


@dataclass(frozen=True, slots=True)
class Rival:
    """A column, or a push by hand (`column` empty), and how many of its messages want a place on the day."""

    column: str
    title: str
    wanted: int
    priority: int
    is_draft: bool = False


@dataclass(frozen=True, slots=True)
class Crowd:
    """A day of the shop on which somebody is to have more messages than a limit allows.

    `subjects` is how many they are, and `name` who has the most: a community, a channel, a sender; empty for
    members, who are not named. `planned` and `most` are theirs, and of `planned` `sent` are out already;
    `empty` and `held` count the messages of all that stay empty or are held until the next day, once the
    days are planned again. `rivals` want that one's places, first in line first.
    """

    day: date
    scope: str
    channel: str
    name: str
    subjects: int
    planned: int
    most: int
    empty: int
    held: int
    rivals: Sequence[Rival]
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """What a column would put on the calendar if it were saved; `key` is its row, None if it is new."""

    key: int | None
    name: str
    channel: str
    priority: int
    communities: Sequence[int]
    instants: Sequence[datetime]


@dataclass(slots=True)
class _Load:
    """What one subject of a limit has on a day: sent, sure to come, and wanted beside that; `minded` is what
    the planner knows of the first two, which minds columns alone and not what people push by hand.
    """

    most: int
    sent: int = 0
    filled: int = 0
    wanted: int = 0
    minded: int = 0
    communities: set[int] = field(default_factory=set)

    @property
    def planned(self) -> int:
        return self.sent + self.filled + self.wanted

    def left_out(self, *, by_door_alone: bool) -> int:
        """What is to come and finds no place: all of it, or what the last door holds of that which planning
        again leaves filled."""
        stays = min(self.wanted, max(0, self.most - self.minded)) if by_door_alone else self.wanted
        return min(self.filled + stays, max(0, self.sent + self.filled + stays - self.most))


_Key = tuple[int, int, str]
"""Number of the day, the community's row, and the channel."""


def crowds(
    session: Session, now: datetime, zone: str, since: date, days: int, draft: Draft | None = None
) -> list[Crowd]:
    """The crowded days of `days` from `since` on, by the shop's calendar; `draft` stands for its column's
    own places. What has gone out today counts, what lay before does not.

    What the planner has filled and may empty again is only wanted, so that a form foresees what saving it
    does: the days are planned again then, as they are every few minutes.
    """
    span = _Span(now, zone, since, days)
    fixed = span.of_occurrences(session, draft, _FIXED)
    sums = {
        "filled": fixed + span.of_pushes(session),
        "wanted": span.of_occurrences(session, draft, _WANTED) + span.of_draft(draft),
        "minded": fixed + span.of_handed_over(session),
    }
    found: list[Crowd] = []
    for rule in rules(session):
        if rule.period != "day" or rule.code == TEST_DAY:
            continue
        if rule.scope == "member":
            found += span.of_members(session, rule)
        else:
            found += _over(session, span, rule, sums, draft)
    return sorted(found, key=lambda each: (each.day, each.scope, each.channel))


def _over(
    session: Session,
    span: "_Span",
    rule: Rule,
    sums: Mapping[str, Mapping[_Key, int]],
    draft: Draft | None,
) -> list[Crowd]:
    """The days on which this limit is passed."""
    book = _Book(session, rule)
    loads: dict[tuple[int, str], _Load] = {}
    for name, amounts in sums.items():
        for (number, community, channel), amount in amounts.items():
            if rule.channel not in ("", channel):
                continue
            subject = book.subject(community, channel)
            if not subject:
                continue
            load = loads.get((number, subject))
            if load is None:
                load = _Load(book.most(community, span.day(number)))
                if span.day(number) == span.today:
                    load.sent = book.used(session, span.today).get(subject, 0)
                loads[number, subject] = load
            setattr(load, name, getattr(load, name) + amount)
            load.communities.add(community)
    by_day: dict[int, list[tuple[str, _Load]]] = defaultdict(list)
    for (number, subject), load in loads.items():
        if load.left_out(by_door_alone=False):
            by_day[number].append((subject, load))
    return [
        _crowd(session, span, number, rule, book, sorted(over, key=lambda e: (-e[1].planned, e[0])), draft)
        for number, over in by_day.items()
    ]


def _crowd(
    session: Session,
    span: "_Span",
    number: int,
    rule: Rule,
    book: "_Book",
    over: Sequence[tuple[str, _Load]],
    draft: Draft | None,
) -> Crowd:
    subject, fullest = over[0]
    left_out = sum(load.left_out(by_door_alone=False) for _subject, load in over)
    # The planner minds the communities' own cap alone.
    is_planned_by = rule.code == COMMUNITY_DAY
    held = sum(load.left_out(by_door_alone=is_planned_by) for _subject, load in over)
    return Crowd(
        day=span.day(number),
        scope=rule.scope,
        channel=rule.channel or (subject if rule.scope == "channel" else ""),
        name=book.name(subject, fullest.communities),
        subjects=len(over),
        planned=fullest.planned,
        most=fullest.most,
        empty=left_out - held,
        held=held,
        rivals=span.rivals(session, number, fullest.communities, rule.channel, draft),
        sent=fullest.sent,
    )


class _Book:
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


class _Span:
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
    ) -> Counter[_Key]:
        """The places to come of a kind."""
        return self._counted(session, *self._places(draft, kind))

    def of_handed_over(self, session: Session) -> Counter[_Key]:
        """The places that have become pushes, out or not: the planner counts them."""
        return self._counted(session, self._within(Occurrence.due_at), Occurrence.state == "handed_over")

    def _counted(self, session: Session, *which: ColumnElement[bool]) -> Counter[_Key]:
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

    def of_draft(self, draft: Draft | None) -> Counter[_Key]:
        """The places that a column would have."""
        found: Counter[_Key] = Counter()
        for at in draft.instants if draft else ():
            number = (at.astimezone(self._zone).date() - self._since).days
            if draft and self.now <= at and 0 <= number < len(self._bounds) - 1:
                found.update((number, community, draft.channel) for community in draft.communities)
        return found

    def of_pushes(self, session: Session) -> Counter[_Key]:
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
                used = _Book(session, rule).used(session, day)
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
                *self._places(draft, or_(_FIXED, _WANTED)),
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
