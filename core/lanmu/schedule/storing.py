"""Stores a plan, a few communities at a time, and touches nothing that a person has changed meanwhile."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Text, and_, bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Delete, Insert, Update

from lanmu.schedule.models import Occurrence
from lanmu.schedule.problem import EmptyReason, Key, Opening, Plan, Why
from lanmu.storage import Database
from lanmu.storage.types import json_text

PLANNED = ("planned", "empty")
"""The states in which an occurrence is the planner's own, unless a person has pinned it."""

_UNTOUCHED = and_(
    or_(*(Occurrence.state == state for state in PLANNED)),  # an IN cannot be sent for many rows at once
    Occurrence.pinned.is_(False),
)
"""Asked with every write: since it was read, a person may have changed it, or delivery taken it."""

_SET = ("state", "content_class", "material_id", "revision_id", "due_at", "zone")
_PLACE = ("community_id", "column_id", "local_time")
_WHY = bindparam("why", type_=Text())  # text already: few reasons differ, so each is written down once
_REMOVE = delete(Occurrence).where(Occurrence.id == bindparam("row"), _UNTOUCHED)
_CHANGE = (
    update(Occurrence)
    .where(Occurrence.id == bindparam("row"), _UNTOUCHED)
    .values({name: bindparam(name) for name in _SET} | {"why": _WHY})
)
Place = tuple[Key, Key, str]
"""An occurrence's place: community, column, local time (minutes)."""


def _adding(dialect: str) -> Insert:
    """A place may be taken by what lies outside the days that are planned: its zone was changed since, or
    another process has just planned it. Then it has had its turn."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    names = ("public_id", *_PLACE, "fold", *_SET, "pinned", "approved_by")
    values: dict[str, Any] = {name: bindparam(name) for name in names} | {"why": _WHY}
    return insert(Occurrence).values(values).on_conflict_do_nothing(index_elements=[*_PLACE, "fold"])


@dataclass(slots=True)
class Tally:
    """What has been stored so far; see `PlanReport`."""

    planned: int = 0
    empty: int = 0
    kept: int = 0
    changed: int = 0
    removed: int = 0
    replaced: int = 0
    elsewhere: int = 0
    full: int = 0
    elsewhere_full: int = 0
    elsewhere_empty: int = 0

    def replace(self, values: Mapping[str, Any], *, elsewhere: bool) -> None:
        """Count a place that loses its material to another, to the cap, or to nothing."""
        self.replaced += 1
        if elsewhere:
            self.elsewhere += 1
            is_full = values["state"] == "empty" and EmptyReason.DAILY_CAP in values["why"]
            self.elsewhere_full += is_full
            self.elsewhere_empty += values["state"] == "empty" and not is_full


class Store:
    """Compares plans with the occurrences due in `[now, until)` and writes the difference.

    `zones` are those of the columns. `newest` is the id of the newest occurrence when the plan's facts were
    read: what was laid out after that, by another run that may know more, is not taken out. `anew` are the
    columns whose places were drawn again on purpose.
    """

    def __init__(
        self,
        database: Database,
        now: datetime,
        until: datetime,
        zones: Mapping[Key, str],
        newest: int,
        anew: Collection[Key] = (),
    ) -> None:
        self._database = database
        self._due = (Occurrence.due_at >= now, Occurrence.due_at < until)
        self._zones = zones
        self._newest = newest
        self._anew = anew
        self._adding = _adding(database.dialect)
        self._times: dict[datetime, str] = {}
        self.tally = Tally()

    def write(self, plans: Mapping[Key, Plan]) -> None:
        """Store the plans of some communities in one transaction, or in none where nothing is to change."""
        existing = self._existing(plans)
        new: list[dict[str, Any]] = []
        changed: list[dict[str, Any]] = []
        for values in self._wanted(plans):
            row = existing.pop((values["community_id"], values["column_id"], values["local_time"]), None)
            if row is None:
                new.append({**values, "public_id": Occurrence.fresh_id()})
            elif _is_ours(row) and any(getattr(row, name) != values[name] for name in _SET):
                changed.append({name: values[name] for name in (*_SET, "why")} | {"row": row.id})
                if row.material_id not in (None, values["material_id"]):
                    self.tally.replace(values, elsewhere=row.column_id not in self._anew)
        for plan in plans.values():
            for pick in plan.kept:
                # It may have been restored since it was read as fixed; the next run plans it.
                existing.pop((pick.community_id, pick.column_id, self._time(pick.local)), None)
        stale = [{"row": row.id} for row in existing.values() if _is_ours(row) and row.id <= self._newest]
        if stale or changed or new:
            with self._database.write() as session:
                connection = session.connection()
                self.tally.removed += _each(connection, _REMOVE, stale)
                self.tally.changed += _each(connection, _CHANGE, changed)
                self.tally.changed += _each(connection, self._adding, new)

    def forsaken(self, planned: Iterable[Key]) -> list[int]:
        """Communities that have occurrences of the planner's but were not planned for any more."""
        with self._database.read() as session:
            found = session.scalars(select(Occurrence.community_id).where(*self._due, _UNTOUCHED).distinct())
            return sorted(set(found).difference(planned))

    def _existing(self, communities: Iterable[Key]) -> dict[Place, Any]:
        columns = (
            Occurrence.id,
            Occurrence.pinned,
            *(getattr(Occurrence, name) for name in (*_PLACE, *_SET)),
        )
        query = select(*columns).where(Occurrence.community_id.in_(list(communities)), *self._due)
        with self._database.read() as session:
            rows = session.connection().execute(query)  # a session's own way of reading takes twice as long
            return {(row.community_id, row.column_id, row.local_time): row for row in rows}

    def _wanted(self, plans: Mapping[Key, Plan]) -> Iterator[dict[str, Any]]:
        tally = self.tally
        reasons: dict[Why, str] = {}
        for plan in plans.values():
            tally.planned += len(plan.picks)
            tally.empty += len(plan.empty)
            tally.full += sum(hole.reason == EmptyReason.DAILY_CAP for hole in plan.empty)
            by_plan = sum(pick.by_plan for pick in plan.kept)
            tally.planned += by_plan
            tally.kept += len(plan.kept) - by_plan
            for opening, material, content_class, why in plan.picks:
                reason = reasons.get(why)
                if reason is None:
                    reason = reasons[why] = json_text(why.as_doc())
                yield self._row(opening, "planned", content_class, material.id, material.revision_id, reason)
            for hole in plan.empty:
                yield self._row(hole.opening, "empty", "", None, None, json_text(hole.as_doc()))

    def _row(
        self,
        opening: Opening,
        state: str,
        content_class: str,
        material_id: Key | None,
        revision_id: Key | None,
        why: str,
    ) -> dict[str, Any]:
        column_id = opening.column.id
        return {
            "column_id": column_id,
            "community_id": opening.community_id,
            "local_time": self._time(opening.local),
            "fold": 0,
            "zone": self._zones[column_id],
            "due_at": opening.instant,
            "state": state,
            "pinned": False,
            "content_class": content_class,
            "material_id": material_id,
            "revision_id": revision_id,
            "why": why,
            "approved_by": "",
        }

    def _time(self, local: datetime) -> str:
        text = self._times.get(local)
        if text is None:
            text = self._times[local] = local.isoformat(timespec="minutes")
        return text


def _is_ours(row: Any) -> bool:
    return row.state in PLANNED and not row.pinned


def _each(connection: Connection, statement: Insert | Update | Delete, rows: Sequence[dict[str, Any]]) -> int:
    if not rows:
        return 0
    return connection.execute(statement, rows, execution_options={"preserve_rowcount": True}).rowcount
