"""The tables by which an installation knows itself and its clock."""

from datetime import datetime

from sqlalchemy import BigInteger, String, Text, and_, exists
from sqlalchemy.orm import Mapped, mapped_column

from lanmu.storage import Base, UtcDateTime
from lanmu.storage.types import Said


class InstanceRecord(Base):
    """实例: the one installation that this database belongs to; one row.

    `home` names where it lives (machine and database). `frozen_reason` is set from a restore, or from being
    found at another home, until a person releases it: meanwhile nothing is sent. `beats` only grows, so a
    database that was put back to an older state is known by it. `backup_at` is set in a backup's copy alone.
    """

    __tablename__ = "instance"

    id: Mapped[int] = mapped_column(primary_key=True)
    home: Mapped[str] = mapped_column(Text, default="")
    host: Mapped[str] = mapped_column(String(120), default="")
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    beats: Mapped[int] = mapped_column(BigInteger, default=0)
    backup_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    frozen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    frozen_reason: Mapped[str] = mapped_column(Said, default="")
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    released_by: Mapped[str] = mapped_column(String(60), default="")


class ClockRecord(Base):
    """What the clock was last seen to say; one row. While `suspect_since` is set nothing starts."""

    __tablename__ = "clock_watch"

    id: Mapped[int] = mapped_column(primary_key=True)
    max_wall_seen: Mapped[datetime] = mapped_column(UtcDateTime)
    suspect_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    suspect_reason: Mapped[str] = mapped_column(Said, default="")
    good_ticks: Mapped[int] = mapped_column(default=0)


class ClockAnchor(Base):
    """Where the wall stood beside boot time while the clock was trusted; a row for each boot of a machine."""

    __tablename__ = "clock_anchor"

    boot_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    wall: Mapped[datetime] = mapped_column(UtcDateTime)
    boot: Mapped[float]


MAY_SEND = and_(
    ~exists().where(InstanceRecord.frozen_at.is_not(None)),
    ~exists().where(ClockRecord.suspect_since.is_not(None)),
)
"""For a claim: no row is found while the installation is frozen or its clock is doubted; looked at once."""
