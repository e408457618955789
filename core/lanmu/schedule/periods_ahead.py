"""Weeks and months with more to come than the last door will let through, told to their ends.

Each limit's own calendar makes its periods, and what it allows and has let through is the door's word too.
Beside what is out, what delivery has and what lies on the calendar, the columns' rules say what is to come
after the days that are planned.
"""

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from lanmu.audience.models import CommunityAddress
from lanmu.delivery.door.limit_models import LimitUse
from lanmu.delivery.door.limits import Rule, rules
from lanmu.delivery.door.windows import allowed
from lanmu.delivery.models import Push, Unit, UnitTarget
from lanmu.schedule.calendar import Workdays
from lanmu.schedule.columns_later import Later
from lanmu.schedule.crowd import Crowd, Draft, Rival
from lanmu.schedule.days_ahead import FILLED, Book, Key, Span
from lanmu.schedule.models import Column, Occurrence

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of the plan: until when the calendar is filled, the workdays, and a draft, if any."""

    until: datetime
    workdays: Workdays
    draft: Draft | None = None


def periods_end(session: Session, now: datetime, last: date, zone: str) -> datetime:
    """When the last week or month is over that holds this day and has a limit; that day's end without one."""
    at = _midday(last, zone)
    ends = [rule.window(at).ends_at for rule in rules(session) if rule.period != "day"]
    return max([at, now, *ends])


def crowded_periods(
    session: Session, now: datetime, zone: str, since: date, days: int, plan: Plan
) -> list[Crowd]:
    """The crowded weeks and months that hold a day of `days` from `since` on, by the shop's calendar."""
    if not days:
        return []
    found: list[Crowd] = []
    spans: dict[tuple[str, str], _Ahead] = {}
    for rule in rules(session):
        if rule.period == "day":
            continue
        key = rule.period, rule.zone
        if key not in spans:
            firsts = _firsts(rule, since, since + timedelta(days=days - 1))
            spans[key] = _Ahead(session, Span(now, rule.zone, firsts), plan)
        found += spans[key].over(rule)
    return sorted(found, key=lambda each: (each.day, each.last or each.day, each.scope, each.channel))


def _firsts(rule: Rule, since: date, last: date) -> list[date]:
    """The first days of the periods that hold these days, and the day after the last of them."""
    window = rule.window(_midday(since, rule.zone))
    firsts = [window.starts_on]
    while True:
        following = rule.window(window.ends_at)
        firsts.append(following.starts_on)
        if following.starts_on > last:
            return firsts
        window = following


def _midday(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(12), ZoneInfo(zone))


@dataclass(slots=True)
class _Load:
    """What one subject of a limit has in a period: out already, and to come."""

    most: int
    sent: int
    coming: int = 0
    communities: set[int] = field(default_factory=set)

    @property
    def planned(self) -> int:
        return self.sent + self.coming

    @property
    def left_out(self) -> int:
        return min(self.coming, max(0, self.planned - self.most))


class _Ahead:
    """What is to come in the periods of one kind, read once for all of their limits."""

    def __init__(self, session: Session, span: Span, plan: Plan) -> None:
        self._session, self._span, self._plan = session, span, plan
        self._counted: dict[str, Counter[Key]] = {}

    @cached_property
    def _channels(self) -> dict[int, str]:
        return {row.id: row.channel for row in self._session.execute(select(Column.id, Column.channel))}

    @cached_property
    def _filled(self) -> list[tuple[int, int, int, int]]:
        return self._span.filled(self._session, self._plan.draft)

    @cached_property
    def _later(self) -> Later:
        plan = self._plan
        return Later(self._session, self._span, plan.until, plan.workdays, plan.draft)

    @cached_property
    def _shares(self) -> Counter[tuple[int, int, int]]:
        return self._later.shares()

    def _coming(self, channel: str) -> Counter[Key]:
        """How many messages are to come by this channel, or by any."""
        if channel not in self._counted:
            draft = self._plan.draft
            of_it = [row for row, name in self._channels.items() if channel in ("", name)]
            found = self._span.of_pushes(self._session, channel)
            for number, community, column, amount in self._filled if of_it else ():
                name = self._channels[column]
                if channel in ("", name):
                    found[number, community, name] += amount
            if of_it or (draft is not None and channel in ("", draft.channel)):
                for (number, community, feed), amount in self._shares.items():
                    name = self._later.feed(feed).channel
                    if channel in ("", name):
                        found[number, community, name] += amount
            self._counted[channel] = found
        return self._counted[channel]

    def over(self, rule: Rule) -> Iterator[Crowd]:
        """The periods in which this limit is passed."""
        if rule.scope in ("member", "recipient"):
            yield from self._people(rule)
        if rule.scope == "member" or not self._may_be_passed(rule):
            return
        coming = self._coming(rule.channel)
        book = Book(self._session, rule)
        running = self._running()
        used = {} if running is None else book.used(self._session, self._span.day(running))
        loads: dict[tuple[int, str], _Load] = {}
        for (number, community, channel), amount in coming.items():
            subject = book.subject(community, channel)
            if not subject or number < 0:
                continue
            load = loads.get((number, subject))
            if load is None:
                sent = used.get(subject, 0) if number == running else 0
                load = loads[number, subject] = _Load(book.most(community, self._span.day(number)), sent)
            load.coming += amount
            load.communities.add(community)
        by_period: defaultdict[int, list[tuple[str, _Load]]] = defaultdict(list)
        for (number, subject), load in loads.items():
            if load.left_out:
                insort(by_period[number], (subject, load), key=lambda each: (-each[1].planned, each[0]))
        for number, crowded in by_period.items():
            subject, fullest = crowded[0]
            yield self._crowd(
                number, rule, fullest, crowded, book.name(subject, fullest.communities), subject
            )

    def _may_be_passed(self, rule: Rule) -> bool:
        """False where a glance at slots and pushes shows that everybody's places suffice.

        It costs a tenth of counting them for each community.
        """
        span, session = self._span, self._session
        if rule.scope not in ("community", "recipient"):
            return True
        address = CommunityAddress.channel, CommunityAddress.key
        alike = select(*address, func.count().label("n")).group_by(*address).subquery()
        shared = 1 if rule.scope == "community" else session.scalar(select(func.max(alike.c.n)))
        return any(
            (self._later.at_most(number, rule.channel, self._laid) + self._pushes(number, rule.channel))
            * (shared or 0)
            + self._highest(rule, number)
            > allowed(rule.most, span.day(number))
            for number in range(len(span))
        )

    @cached_property
    def _laid(self) -> Sequence[datetime]:
        return self._span.filled_at(self._session)

    def _pushes(self, number: int, channel: str) -> int:
        """How many pushes are under way: more than so many messages nobody has of them."""
        which = self._span.under_way(number, channel)
        return self._session.scalar(select(func.count()).select_from(Push).where(*which)) or 0

    def _highest(self, rule: Rule, number: int) -> int:
        """The most that one has had in a period."""
        mine = LimitUse.limit_id == rule.id, LimitUse.starts_on == self._span.day(number)
        return self._session.scalar(select(func.max(LimitUse.used)).where(*mine)) or 0

    def _running(self) -> int | None:
        """The period that has begun."""
        number = self._span.number_on(self._span.today)
        return number if number >= 0 else None

    def _crowd(
        self,
        number: int,
        rule: Rule,
        fullest: _Load,
        crowded: Sequence[tuple[str, _Load]],
        name: str,
        subject: str,
    ) -> Crowd:
        return Crowd(
            day=self._span.day(number),
            scope=rule.scope,
            channel=rule.channel or (subject if rule.scope == "channel" else ""),
            name=name,
            subjects=len(crowded),
            planned=fullest.planned,
            most=fullest.most,
            empty=0,
            held=sum(load.left_out for _subject, load in crowded),
            rivals=self._rivals(number, rule, fullest.communities),
            sent=fullest.sent,
            period=rule.period,
            last=self._span.day(number + 1) - _DAY,
            full_on=self._full_on(number, rule, fullest),
        )

    def _rivals(self, number: int, rule: Rule, communities: Collection[int]) -> list[Rival]:
        """Who wants the places, with what the columns want after the days that are planned."""
        # A draft's wishes are all among the shares.
        draft = None if self._plan.draft is None else replace(self._plan.draft, instants=())
        found = self._span.rivals(self._session, number, communities, rule.channel, draft, FILLED)
        pushes = [each for each in found if not each.column]
        columns = {(each.column, each.is_draft): each for each in found if each.column}
        for (period, community, feed), amount in self._shares.items():
            own = self._later.feed(feed)
            if period == number and community in communities and rule.channel in ("", own.channel):
                none = Rival(own.column, own.name, 0, own.priority, own.is_draft)
                before = columns.get((own.column, own.is_draft), none)
                columns[own.column, own.is_draft] = replace(before, wanted=before.wanted + amount)
        return [*pushes, *sorted(columns.values(), key=lambda each: -each.priority)]

    def _full_on(self, number: int, rule: Rule, load: _Load) -> date:
        """The day on which the first message finds no place, if all go out on theirs."""
        span, mine = self._span, sorted(load.communities)
        days: Counter[date] = Counter()
        occurrences = select(Occurrence.due_at, func.count()).group_by(Occurrence.due_at)
        occurrences = occurrences.where(
            *span.places(self._plan.draft, FILLED, number), Occurrence.community_id.in_(mine)
        )
        if rule.channel:
            of_it = [row for row, name in self._channels.items() if name == rule.channel]
            occurrences = occurrences.where(Occurrence.column_id.in_(of_it))
        pushes = (
            select(Push.due_at, func.count())
            .join(Unit, Unit.push_id == Push.id)
            .join(UnitTarget, UnitTarget.unit_id == Unit.id)
            .where(*span.waiting(number, rule.channel), UnitTarget.community_id.in_(mine))
            .group_by(Push.due_at)
        )
        for query in (occurrences, pushes):
            for at, count in self._session.execute(query):
                days[max(span.day_of(at), span.today)] += count
        for day, amount in self._later.by_day(number, load.communities, rule.channel).items():
            days[day] += amount
        left = load.most - load.sent
        for day in sorted(days):
            left -= days[day]
            if left < 0:
                return day
        return span.day(number + 1) - _DAY

    def _people(self, rule: Rule) -> Iterator[Crowd]:
        """The periods in which pushes write to one person more often than the limit allows."""
        span, session = self._span, self._session
        for number in range(len(span)):
            first = span.day(number)
            most = allowed(rule.most, first)
            of_period = and_(LimitUse.limit_id == rule.id, LimitUse.starts_on == first)
            pushes = self._pushes(number, rule.channel)
            if not pushes or pushes + self._highest(rule, number) <= most:
                continue
            who = (
                (UnitTarget.member_id,)
                if rule.scope == "member"
                else (UnitTarget.account, UnitTarget.recipient_key)
            )
            people = (
                UnitTarget.member_id.is_not(None)
                if rule.scope == "member"
                else UnitTarget.community_id.is_(None)
            )
            rows = session.execute(
                select(func.count(), *who)
                .join(Unit, Unit.id == UnitTarget.unit_id)
                .join(Push, Push.id == Unit.push_id)
                .where(*span.waiting(number, rule.channel), people)
                .group_by(*who)
            ).all()
            used = {
                row.subject: row.used
                for row in session.execute(select(LimitUse.subject, LimitUse.used).where(of_period))
            }
            loads = [_Load(most, used.get(_subject(*whom), 0), count) for count, *whom in rows]
            over = [load for load in loads if load.left_out]
            if over:
                fullest = max(over, key=lambda load: load.planned)
                yield Crowd(
                    day=first,
                    scope="member",
                    channel=rule.channel,
                    name="",
                    subjects=len(over),
                    planned=fullest.planned,
                    most=most,
                    empty=0,
                    held=sum(load.left_out for load in over),
                    rivals=span.rival_pushes(session, number, people, rule.channel),
                    sent=fullest.sent,
                    period=rule.period,
                    last=span.day(number + 1) - _DAY,
                )


def _subject(whom: object, key: str | None = None) -> str:
    """Whose use it is, as the door counts it."""
    if key is None:
        return str(whom)
    return f"{whom}/{key}" if whom else key
