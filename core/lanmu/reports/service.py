"""The board's figures, counted from the rooms' own tables each time they are asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
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
                .where(Occurrence.material_id.in_(materials))
                .group_by(Occurrence.material_id)
            )
            return {key: int(count) for key, count in rows if key is not None}

    def day(self, since: datetime, until: datetime) -> DayFigures:
        """The figures of one day, by its bounds."""
        with self._database.read() as session:
            planned = session.scalar(
                select(func.count())
                .select_from(Occurrence)
                .where(
                    Occurrence.due_at >= max(since, self._clock.now()),
                    Occurrence.due_at < until,
                    Occurrence.state.in_(("planned", "approved")),
                )
            )
            rows = session.execute(
                select(UnitTarget.state, func.count())
                .join(Push, Push.id == UnitTarget.push_id)
                .where(Push.due_at >= since, Push.due_at < until)
                .group_by(UnitTarget.state)
            ).all()
        counted = {str(state): int(count) for state, count in rows}
        waiting = counted.get("planned", 0)
        gone = sum(counted.get(state, 0) for state in ("accepted", "handed_over", "delivered", "postponed"))
        return DayFigures((planned or 0) + waiting, gone)

    def mix(self, *, sent: bool, community: int | None = None) -> MixReport:
        """The mix of the coming week as planned, or of the last week as sent."""
        now = self._clock.now()
        query = select(Occurrence.content_class, func.count()).group_by(Occurrence.content_class)
        if sent:
            query = query.where(
                Occurrence.state == "handed_over",
                Occurrence.due_at >= now - MIX_WINDOW,
                Occurrence.due_at < now,
            )
        else:
            query = query.where(
                Occurrence.state.in_(("planned", "approved", "handed_over")),
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
        with self._database.read() as session:
            found = [
                self._pushes(session, "unknown", select(Push).join(Unit).where(Unit.state == "unknown")),
                self._pushes(session, "held", select(Push).where(Push.state == "held")),
                self._pushes(session, "held_units", select(Push).join(Unit).where(Unit.state == "held")),
                self._occurrences(session, "missed", ("missed",), now - MIX_WINDOW, now + MIX_WINDOW),
                self._occurrences(session, "empty", ("empty",), now, now + MIX_WINDOW),
                self._unapproved(session, now),
                self._reviews(session),
            ]
        return [need for need in found if need.count]

    @staticmethod
    def _pushes(session: Session, kind: str, query: object) -> Need:
        rows = session.scalars(query.order_by(Push.due_at)).unique().all()  # type: ignore[attr-defined]
        return Need(kind, len(rows), rows[0].title if rows else "", rows[0].public_id if rows else "")

    @staticmethod
    def _occurrences(
        session: Session, kind: str, states: Sequence[str], since: datetime, until: datetime
    ) -> Need:
        rows = session.execute(
            select(Occurrence.public_id, Column.name)
            .join(Column, Column.id == Occurrence.column_id)
            .where(Occurrence.state.in_(states), Occurrence.due_at >= since, Occurrence.due_at < until)
            .order_by(Occurrence.due_at)
        ).all()
        return Need(kind, len(rows), rows[0].name if rows else "", rows[0].public_id if rows else "")

    @staticmethod
    def _unapproved(session: Session, now: datetime) -> Need:
        rows = session.execute(
            select(Occurrence.public_id, Column.name)
            .join(Column, Column.id == Occurrence.column_id)
            .where(
                Occurrence.state == "planned",
                Column.approval == "each",
                Occurrence.due_at >= now,
                Occurrence.due_at < now + timedelta(days=2),
            )
            .order_by(Occurrence.due_at)
        ).all()
        return Need("to_approve", len(rows), rows[0].name if rows else "", rows[0].public_id if rows else "")

    @staticmethod
    def _reviews(session: Session) -> Need:
        rows = session.execute(
            select(Material.public_id, Material.title)
            .where(Material.state == "in_review")
            .order_by(Material.updated_at)
        ).all()
        return Need("to_review", len(rows), rows[0].title if rows else "", rows[0].public_id if rows else "")
