"""The plugin's tables: a pack for an executor, and its items, one for each group or person."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lanmu.storage import JsonDoc, UtcDateTime, plugin_metadata
from lanmu.storage.types import BigId

ITEM_STATES = ("waiting", "delivered", "skipped", "postponed")


class PackBase(DeclarativeBase):
    """The plugin's tables."""

    metadata = plugin_metadata("personal_wechat_export")


class Pack(PackBase):
    """待发包: what one executor sends by hand. `token` is the unit's, so that one unit makes one pack, ever.

    `document` is what was approved, as the channel composed it: texts and files in the order of sending.
    """

    __tablename__ = "plugin_personal_wechat_export_pack"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(24), unique=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    push: Mapped[str] = mapped_column(String(64), default="")
    executor: Mapped[str] = mapped_column(String(64), default="")
    title: Mapped[str] = mapped_column(String(200))
    document: Mapped[dict[str, Any]] = mapped_column(JsonDoc)
    deadline: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (Index(None, "created_at"),)


class Item(PackBase):
    """One recipient of a pack, and what the executor ticked. `until` is set where it was postponed."""

    __tablename__ = "plugin_personal_wechat_export_item"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    pack_id: Mapped[int] = mapped_column(ForeignKey("plugin_personal_wechat_export_pack.id"))
    position: Mapped[int]
    key: Mapped[str] = mapped_column(String(128))
    name: Mapped[str] = mapped_column(String(100), default="")
    kind: Mapped[str] = mapped_column(String(16), default="community")
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    reason: Mapped[str] = mapped_column(Text, default="")
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        UniqueConstraint("pack_id", "key"),
        UniqueConstraint("pack_id", "position"),
        CheckConstraint("state IN ('waiting','delivered','skipped','postponed')", name="state"),
    )
