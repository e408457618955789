"""What a plugin may ask of the server. It never sees the core's tables or sessions."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from sqlalchemy.orm import Session

from lanmu.interfaces.clock import Clock
from lanmu.interfaces.events import MemberEvent


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member as plugins see one: no phone, no real name."""

    id: str
    name: str
    zone: str
    frozen: bool
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OfferView:
    """What points buy. `left` is None without a cap; `why_not` says why this member cannot have it.

    `short` is how many points are missing, where nothing else is in the way.
    """

    id: str
    title: str
    detail: str
    cost: int
    left: int | None
    ends_at: datetime | None
    why_not: str = ""
    short: int = 0


@dataclass(frozen=True, slots=True)
class CouponView:
    """A coupon in a member's hands. `code` is there only where its owner asks for this one coupon."""

    id: str
    offer: str
    title: str
    detail: str
    state: str
    last4: str
    issued_at: datetime
    expires_at: datetime | None
    code: str = ""


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line of a member's points: what for, how many (signed), and when."""

    reason: str
    kind: str
    amount: int
    at: datetime


@dataclass(frozen=True, slots=True)
class PointsPosted:
    """What became of an event: points earned now (0 when capped or already counted) and the new balance."""

    earned: int
    balance: int
    replayed: bool
    capped: bool


class Transactions(Protocol):
    """Short transactions on the server's database."""

    def read(self) -> AbstractContextManager[Session]:
        """A transaction that only reads."""
        ...

    def write(self) -> AbstractContextManager[Session]:
        """A transaction that may write: committed at the end, rolled back on any exception."""
        ...


class Points(Protocol):
    """The ledger, as plugins may use it."""

    def balance(self, member: str) -> int:
        """Points the member can spend now."""
        ...

    def statement(self, member: str, limit: int = 50) -> Sequence[StatementLine]:
        """The newest lines first."""
        ...

    def offers(self, member: str) -> Sequence[OfferView]:
        """Every offer that is on, with the reason where this member cannot have it."""
        ...

    def redeem(self, member: str, offer: str, key: str, cost: int | None = None) -> CouponView:
        """Spend points for a coupon, once for `key`; `cost` is the price that the member was shown, if any.

        Raises Conflict: sold out, too few points, limit, another price by now.
        """
        ...

    def coupons(self, member: str) -> Sequence[CouponView]:
        """The member's coupons, newest first."""
        ...

    def coupon(self, member: str, coupon: str) -> CouponView | None:
        """One coupon of the member's, with its code while it can be used; None where it is not theirs."""
        ...

    def balances(self, members: Sequence[str]) -> Mapping[str, int]:
        """What each of these members can spend now."""
        ...

    def look_at_coupon(self, code: str, staff: str = "") -> CouponView:
        """What the coupon of this code is worth, at the till. Raises Invalid as `use_coupon` does."""
        ...

    def use_coupon(self, code: str, staff: str) -> CouponView:
        """Use a coupon up, once; `staff` is the username of who does it.

        Raises Invalid, in the same words for a code that is mistyped, unknown, used, void or expired; who
        used it up themselves is told so, and how long ago.
        """
        ...


class Host(Protocol):
    """The server, as one plugin sees it."""

    name: str
    base_url: str
    """The address under which people reach the server, without a slash at the end."""
    shop_name: str
    workspace: Path
    """A folder of the plugin's own for files that may be thrown away or rebuilt."""

    @property
    def clock(self) -> Clock: ...

    @property
    def points(self) -> Points: ...

    @property
    def database(self) -> Transactions:
        """For the tables of the plugin's own (`plugin_NAME_…`) alone."""
        ...

    def sign(self, purpose: str, value: str, valid_for: timedelta) -> str:
        """A token for a link: it names `value` and dies after `valid_for`."""
        ...

    def unsign(self, purpose: str, token: str) -> str | None:
        """The value of a token, or None when it is forged or has run out."""
        ...

    def member(self, member: str) -> MemberView | None: ...

    def list_members(
        self, search: str = "", after: str = "", limit: int = 50
    ) -> tuple[Sequence[MemberView], str]:
        """Members whose name contains `search`, newest first, and the `after` of the next page ("": no more).

        Raises Invalid for an `after` of another list.
        """
        ...

    def find_member(self, provider: str, user: str) -> MemberView | None:
        """Who is known at `provider` (for instance "wecom") as `user`?"""
        ...

    def tag_member(self, member: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None: ...

    def record(self, event: MemberEvent) -> PointsPosted:
        """Store an event once, and post the points that the rules propose for it."""
        ...

    def results_changed(self, channel: str, ref: str) -> None:
        """Tell the core that `Channel.results` has news, so that it need not wait for its next look."""
        ...


@dataclass(frozen=True, slots=True)
class MenuItem:
    """An entry of the console's menu; `group` is the entry it stands under, `icon` a name of the sprite."""

    label: str
    endpoint: str
    permission: str
    group: str
    icon: str = ""
    params: Mapping[str, str] | None = None


class Service(Protocol):
    """A server that runs beside Lanmu. `title` and `url` are told to the person who started it."""

    title: str
    url: str

    def start(self) -> None:
        """Begin to serve in threads of its own, and come back."""
        ...

    def stop(self) -> None: ...
