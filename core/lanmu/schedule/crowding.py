"""Which days have more planned than the last door will let through, and who competes for the places."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy.orm import Session

from lanmu.delivery.door.limits import COMMUNITY_DAY, TEST_DAY, Rule, rules
from lanmu.schedule.crowd import Crowd, Draft
from lanmu.schedule.days_ahead import FIXED, WANTED, Book, Key, Span, days_from


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


def crowds(
    session: Session, now: datetime, zone: str, since: date, days: int, draft: Draft | None = None
) -> list[Crowd]:
    """The crowded days of `days` from `since` on, by the shop's calendar; `draft` stands for its column's
    own places. What has gone out today counts, what lay before does not.

    What the planner has filled and may empty again is only wanted, so that a form foresees what saving it
    does: the days are planned again then, as they are every few minutes.
    """
    span = Span(now, zone, days_from(since, days))
    fixed = span.of_occurrences(session, draft, FIXED)
    sums = {
        "filled": fixed + span.of_pushes(session),
        "wanted": span.of_occurrences(session, draft, WANTED) + span.of_draft(draft),
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
    span: Span,
    rule: Rule,
    sums: Mapping[str, Mapping[Key, int]],
    draft: Draft | None,
) -> list[Crowd]:
    """The days on which this limit is passed."""
    book = Book(session, rule)
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
    span: Span,
    number: int,
    rule: Rule,
    book: Book,
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
