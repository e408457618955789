"""The last door's tables: how often who may be sent to, how much of it is used, and what was answered."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, String, text
from sqlalchemy.orm import Mapped, mapped_column

from lanmu.storage import Base, UtcDateTime
from lanmu.storage.types import BigId, Said

LIMIT_SCOPES = ("community", "member", "sender", "channel", "recipient")
LIMIT_PERIODS = ("day", "week", "month")


class SendLimit(Base):
    """频次上限: at most so many messages in a calendar period of `zone`, which is the shop's.

    `scope` says whose messages are counted: a community's, a member's, a sender's, a whole channel's, or a
    recipient's at the channel. `channel` is empty for all. `most` is None where a month allows as many as it
    has days. `origin` is "ours" or "platform"; a platform's rule names its source and the day it was checked.
    A message counts once for each of its recipients.
    """

    __tablename__ = "send_limit"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(60), unique=True)
    channel: Mapped[str] = mapped_column(String(60), default="")
    scope: Mapped[str] = mapped_column(String(16))
    period: Mapped[str] = mapped_column(String(8))
    zone: Mapped[str] = mapped_column(String(60))
    most: Mapped[int | None]
    origin: Mapped[str] = mapped_column(String(16), default="ours")
    source: Mapped[str] = mapped_column(String(200), default="")
    checked_on: Mapped[date | None] = mapped_column(Date)
    enabled: Mapped[bool] = mapped_column(default=True)
    changed_by: Mapped[str] = mapped_column(String(60), default="")
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("scope IN ('community','member','sender','channel','recipient')", name="scope"),
        CheckConstraint("period IN ('day','week','month')", name="period"),
        CheckConstraint("most IS NULL OR most >= 0", name="most"),
    )


class LimitUse(Base):
    """How much of a limit one subject has used in the period that starts on a day: a cache of the units."""

    __tablename__ = "limit_use"

    limit_id: Mapped[int] = mapped_column(ForeignKey("send_limit.id", ondelete="CASCADE"), primary_key=True)
    subject: Mapped[str] = mapped_column(String(140), primary_key=True)
    starts_on: Mapped[date] = mapped_column(Date, primary_key=True)
    used: Mapped[int] = mapped_column(default=0)


class RateUse(Base):
    """When a token bucket will be full again (its theoretical arrival time), in microseconds since 1970.

    Numbers and not instants, because one statement must be able to reckon with them on both databases.
    `line_at` is the last place in the line of those that found the bucket empty.
    """

    __tablename__ = "rate_use"

    channel: Mapped[str] = mapped_column(String(60), primary_key=True)
    subject: Mapped[str] = mapped_column(String(140), primary_key=True)
    per_seconds: Mapped[int] = mapped_column(primary_key=True)
    full_at: Mapped[int] = mapped_column(BigInteger)
    line_at: Mapped[int] = mapped_column(BigInteger, default=0)


class GateCount(Base):
    """How often the last door gave an answer for a push other than to send."""

    __tablename__ = "gate_count"

    push_id: Mapped[int] = mapped_column(ForeignKey("push.id"), primary_key=True)
    door: Mapped[str] = mapped_column(String(8), primary_key=True)
    code: Mapped[str] = mapped_column(String(32), primary_key=True)
    reason: Mapped[str] = mapped_column(Said, default="")
    answers: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Breaker(Base):
    """断路器: a way out that a far end has closed, or narrowed, for all workers.

    `kind` is "rate" (closed until `until`; `level` counts how often in a row, and so how long), "config"
    (closed until a person acts) or "concurrency" (`level` calls at the same time). `subject` is a target
    where the limit is its own, empty for the whole channel. `probe_until` is set while one unit tries
    whether the way is open again.
    """

    __tablename__ = "breaker"

    channel: Mapped[str] = mapped_column(String(60), primary_key=True)
    subject: Mapped[str] = mapped_column(String(140), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12), primary_key=True)
    level: Mapped[int]
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    probe_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    code: Mapped[str] = mapped_column(String(32), default="")
    reason: Mapped[str] = mapped_column(Said, default="")

    __table_args__ = (CheckConstraint("kind IN ('rate','config','concurrency')", name="kind"),)
