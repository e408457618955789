"""What the ledger hands out: plain values for pages and programs."""

from dataclasses import dataclass
from datetime import datetime

from lanmu.i18n import _

KIND_WORDS = {
    "earn": _("Points earned"),
    "spend": _("Points spent"),
    "redeem": _("Redeemed for a coupon"),
    "adjust": _("Adjusted by the shop"),
    "expire": _("Points expired"),
    "refund": _("Points refunded"),
    "reverse": _("Points taken back"),
}
"""The kinds of postings, as a statement names one that has no reason of its own."""


@dataclass(frozen=True, slots=True)
class PostingLine:
    """One posting, as the console lists it: newest first. `reference`: an offer's id, for instance."""

    id: int
    key: str
    kind: str
    member: str
    rule: str
    reason: str
    reference: str
    actor: str
    amount: int
    at: datetime


@dataclass(frozen=True, slots=True)
class AccountLine:
    """A member's account: what it holds, what of it can be spent, what is owed (≤ 0)."""

    member: str
    balance: int
    spendable: int
    owed: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What the shop has promised: points in members' hands, and in how many hands."""

    outstanding: int
    members: int
    owed: int


@dataclass(frozen=True, slots=True)
class Flow:
    """Postings of one kind in a span of time, and the points that members gained (+) or lost (-) by them."""

    kind: str
    postings: int
    points: int


@dataclass(frozen=True, slots=True)
class Offer:
    """兑换项, as the console edits it. `cap`, `per_member`, `coupon_days` None: without limit."""

    id: str
    title: str
    detail: str
    cost: int
    cap: int | None
    issued: int
    per_member: int | None
    coupon_days: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    active: bool
    created_at: datetime

    @property
    def left(self) -> int | None:
        return None if self.cap is None else self.cap - self.issued


@dataclass(frozen=True, slots=True)
class RuleSetting:
    """What the shop has set for a rule. `per_day` None: what the rule itself proposes."""

    name: str
    active: bool
    per_day: int | None
