"""The tables of the schedule: columns with slots, and the occurrences that the planner lays out."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from lanmu.storage import Base, JsonDoc, Public, UtcDateTime
from lanmu.storage.types import BigId

OCCURRENCE_STATES = ("planned", "empty", "approved", "handed_over", "skipped", "missed")


class Column(Public, Base):
    """栏目: a recurring feature. `targets` and `pool` hold filters; empty filters take everything.

    `targets`: {"tags": [...], "types": [...], "stages": [...]}; `pool`: {"tags": [...], "kinds": [...],
    "zones": [...]}; `classes`: content classes this column may draw, in any order. `priority` is that of its
    pushes: where a limit lets only one of two go out, the higher has it.
    """

    __tablename__ = "schedule_column"
    id_prefix = "col"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    goal: Mapped[str] = mapped_column(Text, default="")
    owner: Mapped[str] = mapped_column(String(60), default="")
    classes: Mapped[list[str]] = mapped_column(JsonDoc)
    targets: Mapped[dict[str, Any]] = mapped_column(JsonDoc)
    pool: Mapped[dict[str, Any]] = mapped_column(JsonDoc)
    channel: Mapped[str] = mapped_column(String(60))
    options: Mapped[dict[str, str]] = mapped_column(JsonDoc, default=dict)
    zone: Mapped[str] = mapped_column(String(60), default="Asia/Shanghai")
    cooldown_days: Mapped[int] = mapped_column(default=14)
    approval: Mapped[str] = mapped_column(String(8), default="each")
    late_policy: Mapped[str] = mapped_column(String(8), default="ask")
    priority: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    active: Mapped[bool] = mapped_column(default=True)
    lock: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (CheckConstraint("approval IN ('auto','each')", name="approval"),)


class Slot(Base):
    """时段: when a column comes: weekdays and a local time, or an RFC 5545 rule.

    `weekdays` is text such as `mon,wed`, `daily` or `workday`; `time` is HH:MM in the column's zone.
    """

    __tablename__ = "slot"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    column_id: Mapped[int] = mapped_column(ForeignKey("schedule_column.id", ondelete="CASCADE"), index=True)
    weekdays: Mapped[str] = mapped_column(String(60), default="")
    time: Mapped[str] = mapped_column(String(8), default="")
    rrule: Mapped[str] = mapped_column(String(300), default="")


class Occurrence(Public, Base):
    """排期: one firing of a column in one community, with its material and why it was picked.

    Unique in (column, community, local time, fold), so that a clock that goes back fires nothing twice.
    `pinned` marks what a person has changed: the planner leaves it alone.
    """

    __tablename__ = "occurrence"
    id_prefix = "occ"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    column_id: Mapped[int] = mapped_column(ForeignKey("schedule_column.id"))
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    local_time: Mapped[str] = mapped_column(String(16))
    fold: Mapped[int] = mapped_column(default=0)
    zone: Mapped[str] = mapped_column(String(60))
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(16), default="planned")
    pinned: Mapped[bool] = mapped_column(default=False)
    content_class: Mapped[str] = mapped_column(String(32), default="")
    material_id: Mapped[int | None] = mapped_column(ForeignKey("material.id"))
    revision_id: Mapped[int | None] = mapped_column(ForeignKey("revision.id"))
    why: Mapped[dict[str, Any]] = mapped_column(JsonDoc)
    approved_by: Mapped[str] = mapped_column(String(60), default="")
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    push_id: Mapped[int | None] = mapped_column(ForeignKey("push.id"))

    __table_args__ = (
        UniqueConstraint("column_id", "community_id", "local_time", "fold"),
        CheckConstraint(
            "state IN ('planned','empty','approved','handed_over','skipped','missed')", name="state"
        ),
        Index(None, "due_at", "state"),
        Index(None, "community_id", "due_at"),
    )


class SpecialDay(Base):
    """节假日与调休: a day on which people rest, or go to work (`works`), other than its weekday says."""

    __tablename__ = "special_day"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    works: Mapped[bool]
    name: Mapped[str] = mapped_column(String(60), default="")
    source: Mapped[str] = mapped_column(String(200), default="")
