"""The ledger's tables: double entry, append-only; balances and remainders are caches that `verify` checks."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from lanmu.storage import Base, JsonDoc, Public, UtcDateTime
from lanmu.storage.types import BigId


class Account(Base):
    """One side of an entry: `member:ID`, `owed:ID`, `issued:RULE`, `redeemed:OFFER`, `expired`, `adjust`.

    A balance is kept for members' accounts (never below 0) and owed ones (never above 0). The ledger's own
    accounts are in every posting: a kept balance would make each writer wait for all the others, so theirs
    is None and is added up from the entries when somebody asks.
    """

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    owner: Mapped[str] = mapped_column(String(60), default="")
    balance: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        CheckConstraint(
            "(kind = 'member' AND balance IS NOT NULL AND balance >= 0)"
            " OR (kind = 'owed' AND balance IS NOT NULL AND balance <= 0)"
            " OR (kind NOT IN ('member', 'owed') AND balance IS NULL)",
            name="balance",
        ),
        Index(None, "kind", "balance"),
    )


class Tx(Base):
    """A posting, or a refusal that is kept. `key` is its idempotency key and is never pruned.

    `request_hash` covers what was asked, so that the same key with another request is told apart from a
    repetition. `refusal` holds the JSON of what was answered, where nothing was posted.
    """

    __tablename__ = "ledger_tx"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    member: Mapped[str] = mapped_column(String(24))
    rule: Mapped[str] = mapped_column(String(40), default="")
    local_date: Mapped[date | None] = mapped_column(Date)
    reference: Mapped[str] = mapped_column(String(80), default="")
    ref_tx: Mapped[int | None] = mapped_column(ForeignKey("ledger_tx.id"), index=True)
    actor: Mapped[str] = mapped_column(String(60))
    reason: Mapped[str] = mapped_column(Text, default="")
    refusal: Mapped[str] = mapped_column(Text, default="")
    request_hash: Mapped[str] = mapped_column(String(64))
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index(None, "member", "rule", "local_date"), Index(None, "recorded_at"))


class Seal(Base):
    """A link of the hash chain over the postings: one a posting, made after its commit (ADR 0003)."""

    __tablename__ = "ledger_seal"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    tx_id: Mapped[int] = mapped_column(ForeignKey("ledger_tx.id"), unique=True)
    hash: Mapped[str] = mapped_column(String(64))
    sealed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Entry(Base):
    """One line of a posting; the lines of a posting add up to nothing."""

    __tablename__ = "ledger_entry"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    tx_id: Mapped[int] = mapped_column(ForeignKey("ledger_tx.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    amount: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (
        CheckConstraint("amount <> 0 AND amount BETWEEN -1000000000000 AND 1000000000000", name="amount"),
        Index(None, "account_id", "id"),
        Index(None, "tx_id"),
    )


class Lot(Base):
    """批次: points earned together and expiring together."""

    __tablename__ = "lot"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    tx_id: Mapped[int] = mapped_column(ForeignKey("ledger_tx.id"))
    original: Mapped[int] = mapped_column(BigInteger)
    remaining: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("remaining BETWEEN 0 AND original", name="remaining"),
        Index(None, "account_id", "expires_at"),
        Index(None, "expires_at"),
        Index(None, "tx_id"),
    )


class LotMove(Base):
    """How a posting changed a lot."""

    __tablename__ = "lot_move"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    tx_id: Mapped[int] = mapped_column(ForeignKey("ledger_tx.id"), index=True)
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), index=True)
    delta: Mapped[int] = mapped_column(BigInteger)


class Offer(Public, Base):
    """兑换项: what points buy. `issued` never passes `cap`: the update has a condition, the table a check."""

    __tablename__ = "offer"
    id_prefix = "off"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    title: Mapped[str] = mapped_column(String(100))
    detail: Mapped[str] = mapped_column(Text, default="")
    cost: Mapped[int] = mapped_column(BigInteger)
    cap: Mapped[int | None]
    issued: Mapped[int] = mapped_column(default=0)
    per_member: Mapped[int | None]
    coupon_days: Mapped[int | None]
    starts_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("cap IS NULL OR issued <= cap", name="cap"),
        CheckConstraint("issued >= 0 AND cost > 0", name="sane"),
    )


class Coupon(Public, Base):
    """优惠券: stored by the keyed hash of its code; the code itself is stored nowhere."""

    __tablename__ = "coupon"
    id_prefix = "cpn"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    offer_id: Mapped[int] = mapped_column(ForeignKey("offer.id"))
    member: Mapped[str] = mapped_column(String(24))
    tx_id: Mapped[int] = mapped_column(ForeignKey("ledger_tx.id"), unique=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    last4: Mapped[str] = mapped_column(String(4))
    state: Mapped[str] = mapped_column(String(16), default="issued")
    issued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    used_by: Mapped[str] = mapped_column(String(60), default="")

    __table_args__ = (
        CheckConstraint("state IN ('issued','claimed','redeemed','void','expired')", name="state"),
        Index(None, "member", "offer_id"),
        Index(None, "offer_id", "state"),
    )


class EarnRule(Base):
    """What the shop has set for a points rule: on or off, and a cap a day of its own."""

    __tablename__ = "earn_rule"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    active: Mapped[bool] = mapped_column(default=True)
    settings: Mapped[dict[str, Any]] = mapped_column(JsonDoc)
