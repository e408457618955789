"""The board's figures, counted from the rooms' own tables each time they are asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, Text, cast, func, not_, select
from sqlalchemy.orm import Session

from lanmu.audience.models import Community
from lanmu.delivery.models import Push, Unit, UnitTarget
from lanmu.interfaces.clock import Clock
from lanmu.library.models import Material
from lanmu.schedule.mix import Gauge, MixBudget, gauges
from lanmu.schedule.models import Column, Occurrence
from lanmu.schedule.planning import default_budget
from lanmu.storage import Database

MIX_WINDOW = timedelta(days=7)
_TO_COME = ("planned", "approved")
_Titled = Select[str, str]
_GONE = ("accepted", "handed_over", "delivered", "postponed")


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person: what kind, how many, and the one to open first."""

    kind: str
    count: int
    title: str
    id: str


@dataclass(frozen=True, slots=True)
class DayFigures:
    """Recipients whose message is still to go out on a day, and those to whom it went."""

    to_go: int
    gone: int


@dataclass(frozen=True, slots=True)
class MixReport:
    """Shares of the classes over a window: what is planned, or what was sent, against the budget."""

    gauges: Sequence[Gauge]
    count: int


class Reports:
    """Reads only."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def usage(self, materials: Sequence[int]) -> Mapping[int, int]:
        """How often each material was planned or handed over."""
        with self._database.read() as session:
            rows = session.execute(
                select(Occurrence.material_id, func.count())
                .where(
                    Occurrence.material_id.in_(materials), Occurrence.state.in_((*_TO_COME, "handed_over"))
                )
                .group_by(Occurrence.material_id)
            )
            return {key: int(count) for key, count in rows if key is not None}

    def day(self, since: datetime, until: datetime) -> DayFigures:
        """The figures of one day, by its bounds; tests do not count."""
        with self._database.read() as session:
            planned = session.scalar(
                select(func.count())
                .select_from(Occurrence)
                .where(
                    Occurrence.due_at >= max(since, self._clock.now()),
                    Occurrence.due_at < until,
                    Occurrence.state.in_(_TO_COME),
                )
            )
            rows = session.execute(
                select(UnitTarget.state, func.count())
                .join(Push, Push.id == UnitTarget.push_id)
                .where(Push.due_at >= since, Push.due_at < until, Push.test_text == "")
                .group_by(UnitTarget.state)
            ).all()
        counted = {str(state): int(count) for state, count in rows}
        waiting = counted.get("planned", 0)
        gone = sum(counted.get(state, 0) for state in _GONE)
        return DayFigures((planned or 0) + waiting, gone)

    def mix(self, *, sent: bool, community: int | None = None) -> MixReport:
        """The mix of the coming week as planned, or of the last week as it went out."""
        now = self._clock.now()
        query = select(Occurrence.content_class, func.count()).group_by(Occurrence.content_class)
        if sent:
            query = query.join(
                UnitTarget,
                (UnitTarget.push_id == Occurrence.push_id)
                & (UnitTarget.community_id == Occurrence.community_id),
            ).where(
                UnitTarget.state.in_(_GONE),
                Occurrence.due_at >= now - MIX_WINDOW,
                Occurrence.due_at < now,
            )
        else:
            query = query.where(
                Occurrence.state.in_((*_TO_COME, "handed_over")),
                Occurrence.due_at >= now,
                Occurrence.due_at < now + MIX_WINDOW,
            )
        if community is not None:
            query = query.where(Occurrence.community_id == community)
        with self._database.read() as session:
            counts = {code: int(count) for code, count in session.execute(query) if code}
            budget = self._budget(session, community)
        return MixReport(gauges(budget, counts), sum(counts.values()))

    def _budget(self, session: Session, community: int | None) -> MixBudget:
        own = session.scalar(select(Community.mix).where(Community.id == community)) if community else None
        return MixBudget.of(own) if own else default_budget(session)

    def needs(self) -> list[Need]:
        """What waits for a person, the most pressing first; each with the one to open first."""
        now = self._clock.now()
        held_units = select(Push).join(Unit).where(Unit.state == "held", Push.state != "held")
        with self._database.read() as session:
            found = [
                _need(session, "unknown", _pushes(select(Push).join(Unit).where(Unit.state == "unknown"))),
                _need(session, "held", _pushes(select(Push).where(Push.state == "held"))),
                _need(session, "held_units", _pushes(held_units)),
                _need(session, "missed", _occurrences("missed", now - MIX_WINDOW, now + MIX_WINDOW)),
                _need(session, "empty", _occurrences("empty", now, now + MIX_WINDOW).where(not_(_FULL))),
                _need(session, "full", _occurrences("empty", now, now + MIX_WINDOW).where(_FULL)),
                _need(
                    session,
                    "to_approve",
                    _occurrences("planned", now, now + _APPROVE_WITHIN).where(Column.approval == "each"),
                ),
                _need(session, "to_review", _IN_REVIEW),
            ]
        return [need for need in found if need.count]


_FULL = cast(Occurrence.why, Text).like('%"daily_cap"%')
"""An empty place whose day has all the messages it may have: more material would not fill it."""

_APPROVE_WITHIN = timedelta(days=2)
_IN_REVIEW = (
    select(Material.public_id, Material.title)
    .where(Material.state == "in_review")
    .order_by(Material.updated_at, Material.id)
)


def _need(session: Session, kind: str, query: _Titled) -> Need:
    """`query` answers ids and titles, the one to open first at the head."""
    count = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    first = session.execute(query.limit(1)).first() if count else None
    return Need(kind, count, first[1] if first else "", first[0] if first else "")


def _pushes(query: Select[Push]) -> _Titled:
    return (
        query.with_only_columns(Push.public_id, Push.title)
        .group_by(Push.id, Push.public_id, Push.title, Push.due_at)
        .order_by(Push.due_at, Push.id)
    )


def _occurrences(state: str, since: datetime, until: datetime) -> _Titled:
    return (
        select(Occurrence.public_id, Column.name)
        .join(Column, Column.id == Occurrence.column_id)
        .where(Occurrence.state == state, Occurrence.due_at >= since, Occurrence.due_at < until)
        .order_by(Occurrence.due_at, Occurrence.id)
    )
