"""The tables of delivery: push → units → targets, and an attempt for every intent to write."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from lanmu.storage import Base, JsonDoc, Public, UtcDateTime
from lanmu.storage.types import BigId, Said

PUSH_STATES = (
    "draft",
    "in_review",
    "approved",
    "scheduled",
    "expanding",
    "running",
    "paused",
    "held",
    "finished",
    "finished_with_issues",
    "cancelled",
    "expired",
)
UNIT_STATES = (
    "pending",
    "leased",
    "calling",
    "retry_wait",
    "unknown",
    "accepted",
    "handed_over",
    "delivered",
    "partial",
    "undelivered",
    "failed",
    "skipped",
    "cancelled",
    "held",
)
TARGET_STATES = (
    "planned",
    "accepted",
    "handed_over",
    "delivered",
    "undelivered",
    "failed",
    "skipped",
    "cancelled",
    "unknown",
    "postponed",
)


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({','.join(repr(value) for value in values)})"


def _only_where(condition: str) -> dict[str, Any]:
    """A partial index, on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


_OPEN = "state IN ('pending','leased','calling','retry_wait','unknown','held')"


class Push(Public, Base):
    """推送: an approved intent. `source_key` is unique, so that one firing makes one push, ever.

    `test_text` is set for a test send, which has no material.
    `approved_hash` binds what was approved: revision, recipients, time and channel. `late_after` counts
    seconds; `late_policy` is ask, send or skip. Where a cap lets only one of two go out today, the higher
    `priority` has it. `binding` counts how often what is bound was changed by hand, from 1; `edited_by` did
    it last, and may not approve it.
    """

    __tablename__ = "push"
    id_prefix = "psh"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    source_key: Mapped[str] = mapped_column(String(160), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    column_name: Mapped[str] = mapped_column(String(100), default="")
    content_class: Mapped[str] = mapped_column(String(32), default="")
    channel: Mapped[str] = mapped_column(String(60))
    account: Mapped[str] = mapped_column(String(64), default="")
    material_id: Mapped[int | None] = mapped_column(ForeignKey("material.id"))
    revision_id: Mapped[int | None] = mapped_column(ForeignKey("revision.id"))
    test_text: Mapped[str] = mapped_column(Text, default="")
    options: Mapped[dict[str, str]] = mapped_column(JsonDoc, default=dict)
    state: Mapped[str] = mapped_column(String(24))
    held_reason: Mapped[str] = mapped_column(Said, default="")
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    zone: Mapped[str] = mapped_column(String(60))
    late_after: Mapped[int] = mapped_column(default=900)
    late_policy: Mapped[str] = mapped_column(String(8), default="ask")
    late_decided: Mapped[bool] = mapped_column(default=False)
    deadline_at: Mapped[datetime] = mapped_column(UtcDateTime)
    priority: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    binding: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    edited_by: Mapped[str] = mapped_column(String(60), default="", server_default="")
    planned: Mapped[int] = mapped_column(default=0)
    audience_hash: Mapped[str] = mapped_column(String(64), default="")
    approved_hash: Mapped[str] = mapped_column(String(64), default="")
    approved_by: Mapped[str] = mapped_column(String(60), default="")
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    created_by: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint(_one_of("state", PUSH_STATES), name="state"),
        CheckConstraint("late_policy IN ('ask','send','skip')", name="late_policy"),
        Index(None, "due_at", "id"),
        Index("ix_push_sending", "due_at", "id", **_only_where("state IN ('scheduled','running')")),
        Index("ix_push_priority", "priority", **_only_where("state IN ('scheduled','running')")),
    )


class Unit(Base):
    """发送单元: one call to a channel. Whoever moves it names the fence that it holds.

    `zone` is its recipients', for quiet hours. `counted_at` is when it was counted against the limits, None
    while it is proven not to be out. `kept_until` is until when a rule (quiet hours, a cap) kept it back: how
    late it is counts from there. `look_at` is when a unit in doubt is next looked up at the far end,
    None where only a person can tell; `looks` counts the lookups that found nothing.
    """

    __tablename__ = "unit"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    push_id: Mapped[int] = mapped_column(ForeignKey("push.id"))
    number: Mapped[int]
    channel: Mapped[str] = mapped_column(String(60))
    sender: Mapped[str] = mapped_column(String(64), default="")
    zone: Mapped[str] = mapped_column(String(60), default="", server_default="")
    token: Mapped[str] = mapped_column(String(24), unique=True)
    state: Mapped[str] = mapped_column(String(16), default="pending")
    reason: Mapped[str] = mapped_column(Said, default="")
    code: Mapped[str] = mapped_column(String(32), default="")
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    fence: Mapped[int] = mapped_column(default=0)
    owner: Mapped[str] = mapped_column(String(120), default="")
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tries: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)
    counted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    kept_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    look_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    looks: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    ref: Mapped[str] = mapped_column(String(200), default="")
    ref_detail: Mapped[dict[str, str] | None] = mapped_column(JsonDoc)
    results_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        UniqueConstraint("push_id", "number"),
        CheckConstraint(_one_of("state", UNIT_STATES), name="state"),
        # Each holds only what its reader looks for, so that neither reading nor moving a unit costs more for
        # all that has been sent before.
        Index(
            "ix_unit_due", "push_id", "not_before", "id", **_only_where("state IN ('pending','retry_wait')")
        ),
        Index("ix_unit_owned", "lease_until", **_only_where("state IN ('leased','calling')")),
        Index("ix_unit_open", "push_id", **_only_where(_OPEN)),
        Index(
            "ix_unit_awaited",
            "results_at",
            **_only_where("state IN ('accepted','handed_over') AND results_at IS NOT NULL"),
        ),
        Index("ix_unit_in_doubt", "look_at", **_only_where("state = 'unknown'")),
        Index("ix_unit_ref", "channel", "ref", **_only_where("ref <> ''")),
    )


class UnitTarget(Base):
    """接收对象: one recipient in one unit. The constraint, not code, stops a second message to it."""

    __tablename__ = "target"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    push_id: Mapped[int] = mapped_column(ForeignKey("push.id"))
    unit_id: Mapped[int] = mapped_column(ForeignKey("unit.id"))
    account: Mapped[str] = mapped_column(String(64), default="")
    recipient_key: Mapped[str] = mapped_column(String(128))
    name: Mapped[str] = mapped_column(String(100), default="")
    community_id: Mapped[int | None] = mapped_column(ForeignKey("community.id"))
    member_id: Mapped[int | None] = mapped_column(ForeignKey("member.id"))
    state: Mapped[str] = mapped_column(String(16), default="planned")
    reason: Mapped[str] = mapped_column(Said, default="")
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        UniqueConstraint("push_id", "account", "recipient_key"),
        CheckConstraint(_one_of("state", TARGET_STATES), name="state"),
        Index(None, "unit_id"),
        Index("ix_target_community", "community_id", "id", **_only_where("community_id IS NOT NULL")),
        Index("ix_target_member", "member_id", **_only_where("member_id IS NOT NULL")),
    )


class Portion(Base):
    """Recipients of a push that are no units and targets yet, as they were approved; gone once they are.

    The two documents are packed JSON, the counts are of what `targets` holds.
    """

    __tablename__ = "push_portion"

    push_id: Mapped[int] = mapped_column(ForeignKey("push.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    recipients: Mapped[int]
    communities: Mapped[int]
    members: Mapped[int]
    units: Mapped[bytes] = mapped_column(LargeBinary)
    targets: Mapped[bytes] = mapped_column(LargeBinary)


class Attempt(Base):
    """尝试: one durable intent with the exact bytes, then what was seen of it. Rows are only added.

    `again` says why another was allowed although this one may be out: "asked", by a person, or "repeated",
    because the far end takes the same bytes only once. It is empty of every other.
    """

    __tablename__ = "attempt"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    unit_id: Mapped[int] = mapped_column(ForeignKey("unit.id"))
    fence: Mapped[int]
    owner: Mapped[str] = mapped_column(String(120))
    call: Mapped[str] = mapped_column(String(60))
    request: Mapped[bytes] = mapped_column(LargeBinary)
    request_sha256: Mapped[str] = mapped_column(String(64))
    meta: Mapped[dict[str, str]] = mapped_column(JsonDoc)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    outcome: Mapped[str] = mapped_column(String(16), default="")
    again: Mapped[str] = mapped_column(String(8), default="", server_default="")
    evidence: Mapped[dict[str, Any] | None] = mapped_column(JsonDoc)

    __table_args__ = (UniqueConstraint("unit_id", "fence"),)


class UploadedAsset(Base):
    """What a channel calls a file that was uploaded to it, and until when."""

    __tablename__ = "uploaded_asset"

    channel: Mapped[str] = mapped_column(String(60), primary_key=True)
    account: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    ref: Mapped[str] = mapped_column(String(400))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WorkerRecord(Base):
    """A worker that is, or was, at work: host boot id and process, so that a dead owner is known.

    `channels` are those that run in it: a worker may lack a plugin, or what that needs.
    """

    __tablename__ = "worker"

    owner: Mapped[str] = mapped_column(String(120), primary_key=True)
    host: Mapped[str] = mapped_column(String(64))
    pid: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime] = mapped_column(UtcDateTime)
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    channels: Mapped[list[str]] = mapped_column(JsonDoc, default=list, server_default=text("'[]'"))


PUSH = cast(Table, Push.__table__)
UNIT = cast(Table, Unit.__table__)
TARGET = cast(Table, UnitTarget.__table__)
ATTEMPT = cast(Table, Attempt.__table__)
"""The tables themselves, for statements about many rows at once: no object is made of any."""

SENDING = text("push.state IN ('scheduled','running')")
"""In the very words of the partial indexes: neither database can tell that parameters mean the same."""
