"""The audience's tables: communities with their addresses, members with their identities, tags."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lanmu.storage import Base, JsonDoc, Public, UtcDateTime
from lanmu.storage.types import BigId


class Community(Public, Base):
    """社群: a chat group that columns feed. `mix` holds target shares in percent per class; None: default."""

    __tablename__ = "community"
    id_prefix = "com"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    type: Mapped[str] = mapped_column(String(32), default="general")
    stage: Mapped[str] = mapped_column(String(32), default="active")
    zone: Mapped[str] = mapped_column(String(60), default="Asia/Shanghai")
    shop: Mapped[str] = mapped_column(String(60), default="")
    executor: Mapped[str] = mapped_column(String(60), default="")
    size: Mapped[int] = mapped_column(default=0)
    mix: Mapped[dict[str, int] | None] = mapped_column(JsonDoc)
    daily_cap: Mapped[int | None]
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CommunityTag(Base):
    """标签 of a community."""

    __tablename__ = "community_tag"

    community_id: Mapped[int] = mapped_column(
        ForeignKey("community.id", ondelete="CASCADE"), primary_key=True
    )
    tag: Mapped[str] = mapped_column(String(40), primary_key=True)

    __table_args__ = (Index(None, "tag"),)


class CommunityAddress(Base):
    """Where a channel finds a community: the recipient's key there, and who sends (a group's owner)."""

    __tablename__ = "community_address"

    community_id: Mapped[int] = mapped_column(
        ForeignKey("community.id", ondelete="CASCADE"), primary_key=True
    )
    channel: Mapped[str] = mapped_column(String(60), primary_key=True)
    key: Mapped[str] = mapped_column(String(128))
    sender: Mapped[str] = mapped_column(String(64), default="")


class Member(Public, Base):
    """会员: a customer. `frozen` stops spending, not earning; `opted_out` stops every message."""

    __tablename__ = "member"
    id_prefix = "mem"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    zone: Mapped[str] = mapped_column(String(60), default="Asia/Shanghai")
    frozen: Mapped[bool] = mapped_column(default=False)
    opted_out: Mapped[bool] = mapped_column(default=False)
    attributes: Mapped[dict[str, Any] | None] = mapped_column(JsonDoc)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index(None, "created_at", "id"),)


class Identity(Base):
    """渠道身份: who a member is at a provider. The key is (provider, account, user), never the bare id."""

    __tablename__ = "identity"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id", ondelete="CASCADE"), index=True)
    provider: Mapped[str] = mapped_column(String(32))
    account: Mapped[str] = mapped_column(String(64), default="")
    user: Mapped[str] = mapped_column(String(128))
    sender: Mapped[str] = mapped_column(String(64), default="")

    __table_args__ = (UniqueConstraint("provider", "account", "user"),)


class MemberTag(Base):
    """标签 of a member."""

    __tablename__ = "member_tag"

    member_id: Mapped[int] = mapped_column(ForeignKey("member.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(40), primary_key=True)

    __table_args__ = (Index(None, "tag"),)


class CommunityMember(Base):
    """Who is in which community."""

    __tablename__ = "community_member"

    community_id: Mapped[int] = mapped_column(
        ForeignKey("community.id", ondelete="CASCADE"), primary_key=True
    )
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id", ondelete="CASCADE"), primary_key=True)
    joined_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index(None, "member_id"),)
