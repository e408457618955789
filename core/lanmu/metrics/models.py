"""The table of facts: what happened, once for its key."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Date, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from lanmu.storage import Base, JsonDoc, UtcDateTime
from lanmu.storage.types import BigId


class Fact(Base):
    """Something that happened: a member's event, a message out, a click. `key` makes it count once."""

    __tablename__ = "fact"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    kind: Mapped[str] = mapped_column(String(32))
    member: Mapped[str] = mapped_column(String(24), default="")
    community: Mapped[str] = mapped_column(String(24), default="")
    push: Mapped[str] = mapped_column(String(24), default="")
    value: Mapped[int] = mapped_column(BigInteger, default=1)
    local_date: Mapped[date] = mapped_column(Date)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    data: Mapped[dict[str, Any]] = mapped_column(JsonDoc)

    __table_args__ = (
        Index(None, "kind", "local_date"),
        Index(None, "member", "kind", "local_date"),
    )
