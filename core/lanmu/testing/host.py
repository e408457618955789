"""A host for tests: real tables in a temporary SQLite file, everything else in memory."""

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

from lanmu.interfaces.errors import Conflict, Invalid, NotFound
from lanmu.interfaces.events import Award, MemberEvent, PointsRule
from lanmu.interfaces.host import CouponView, MemberView, OfferView, PointsPosted, StatementLine
from lanmu.storage import Database
from lanmu.testing.clock import FakeClock

_KEY = b"only for tests"


class FakePoints:
    """The ledger as a plugin sees it, in memory. `add_offer` and `grant` set the scene.

    `used` lists the coupons that were used up, each with the username of who did it.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._lines: dict[str, list[StatementLine]] = {}
        self._offers: dict[str, OfferView] = {}
        self._coupons: dict[str, list[CouponView]] = {}
        self._redeemed: dict[str, CouponView] = {}
        self.used: list[tuple[str, str]] = []
        self._posted: set[str] = set()
        self._by_day: Counter[tuple[str, str, date]] = Counter()

    def grant(self, member: str, points: int, reason: str = "test") -> None:
        """Points out of nothing, to set a scene."""
        line = StatementLine(reason, "earn", points, self._clock.now())
        self._lines.setdefault(member, []).insert(0, line)

    def add_offer(self, offer: OfferView) -> None:
        self._offers[offer.id] = offer

    def post(self, awards: Iterable[Award]) -> tuple[int, bool]:
        """Post each award once and within its daily cap, as the ledger does: points earned, capped."""
        earned, capped = 0, False
        for award in awards:
            if award.key in self._posted:
                continue
            self._posted.add(award.key)
            day = (award.rule, award.member, award.local_date)
            points = award.points
            if award.per_day is not None:
                points = max(0, min(points, award.per_day - self._by_day[day]))
                capped = capped or points < award.points
            self._by_day[day] += points
            if points:
                self.grant(award.member, points, award.reason)
            earned += points
        return earned, capped

    def balance(self, member: str) -> int:
        return sum(line.amount for line in self._lines.get(member, ()))

    def statement(self, member: str, limit: int = 50) -> Sequence[StatementLine]:
        return tuple(self._lines.get(member, ())[:limit])

    def offers(self, member: str) -> Sequence[OfferView]:
        balance = self.balance(member)
        return tuple(
            replace(offer, why_not=_why_not(offer, balance), short=_short(offer, balance))
            for offer in self._offers.values()
        )

    def redeem(self, member: str, offer: str, key: str, cost: int | None = None) -> CouponView:
        if key in self._redeemed:
            return replace(self._redeemed[key], code="")
        found = self._offers.get(offer)
        if found is None:
            raise NotFound("offer", "There is no such offer.")
        refusal = _why_not(found, self.balance(member))
        if cost is not None and cost != found.cost:
            refusal = "The offer has just changed."
        if refusal:
            raise Conflict("offer", refusal)
        if found.left is not None:
            self._offers[offer] = replace(found, left=found.left - 1)
        self.grant(member, -found.cost, found.title)
        number = f"{len(self._redeemed) + 1:04d}"
        coupon = CouponView(
            id=f"cpn_{number}",
            offer=offer,
            title=found.title,
            detail=found.detail,
            state="issued",
            last4=number,
            issued_at=self._clock.now(),
            expires_at=found.ends_at,
            code=f"TEST{number}",
        )
        self._redeemed[key] = coupon
        self._coupons.setdefault(member, []).insert(0, replace(coupon, code=""))
        return coupon

    def coupons(self, member: str) -> Sequence[CouponView]:
        return tuple(self._coupons.get(member, ()))

    def coupon(self, member: str, coupon: str) -> CouponView | None:
        for found in self.coupons(member):
            if found.id == coupon:
                return replace(found, code=f"TEST{found.last4}") if found.state == "issued" else found
        return None

    def balances(self, members: Sequence[str]) -> Mapping[str, int]:
        return {member: self.balance(member) for member in members}

    def look_at_coupon(self, code: str, staff: str = "") -> CouponView:
        for held in self._coupons.values():
            for coupon in held:
                if code.strip().upper() == f"TEST{coupon.last4}" and coupon.state == "issued":
                    return coupon
        if any((f"cpn_{code.strip().upper()[4:]}", staff) == each for each in self.used):
            raise Invalid("code", "You have just used this coupon up.")
        raise Invalid("code", "This code is not valid: it is mistyped, used or expired.")

    def use_coupon(self, code: str, staff: str) -> CouponView:
        used = replace(self.look_at_coupon(code, staff), state="redeemed")
        for held in self._coupons.values():
            held[:] = [used if coupon.id == used.id else coupon for coupon in held]
        self.used.append((used.id, staff))
        return used


def _short(offer: OfferView, balance: int) -> int:
    return 0 if offer.left is not None and offer.left <= 0 else max(0, offer.cost - balance)


def _why_not(offer: OfferView, balance: int) -> str:
    if offer.left is not None and offer.left <= 0:
        return "Sold out."
    return "Not enough points." if balance < offer.cost else ""


class FakeHost:
    """What a plugin is handed in a test; it satisfies `lanmu.interfaces.host.Host`.

    `changed` lists the calls of `results_changed`, `events` what was recorded. `rules` are asked for
    awards, so that a plugin's points rule can be tried through the host as well.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: FakeClock,
        database: Database,
        workspace: Path,
        base_url: str = "http://127.0.0.1:8420",
        shop_name: str = "小满的店",
    ) -> None:
        self.name = name
        self.clock = clock
        self.database = database
        self.workspace = workspace
        self.base_url = base_url
        self.shop_name = shop_name
        self.points = FakePoints(clock)
        self.rules: list[PointsRule] = []
        self.members: dict[str, MemberView] = {}
        self.identities: dict[tuple[str, str], str] = {}
        self.events: dict[str, MemberEvent] = {}
        self.changed: list[tuple[str, str]] = []

    def add_member(
        self,
        member: str,
        name: str = "",
        *,
        zone: str = "Asia/Shanghai",
        frozen: bool = False,
        tags: Sequence[str] = (),
        identities: Sequence[tuple[str, str]] = (),
    ) -> MemberView:
        """A member to set a scene with; `identities` are (provider, user) pairs."""
        view = MemberView(member, name or member, zone, frozen, tuple(tags))
        self.members[member] = view
        self.identities.update(dict.fromkeys(identities, member))
        return view

    def sign(self, purpose: str, value: str, valid_for: timedelta) -> str:
        until = (self.clock.now() + valid_for).isoformat()
        body = base64.urlsafe_b64encode(json.dumps([purpose, value, until]).encode()).decode().rstrip("=")
        return f"{body}.{_seal(body)}"

    def unsign(self, purpose: str, token: str) -> str | None:
        body, _, seal = token.partition(".")
        if not hmac.compare_digest(seal.encode(), _seal(body).encode()):
            return None
        meant, value, until = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        if meant != purpose or datetime.fromisoformat(until) < self.clock.now():
            return None
        return str(value)

    def member(self, member: str) -> MemberView | None:
        return self.members.get(member)

    def list_members(
        self, search: str = "", after: str = "", limit: int = 50
    ) -> tuple[Sequence[MemberView], str]:
        found = [view for view in reversed(self.members.values()) if search.strip() in view.name]
        at = [view.id for view in found].index(after) + 1 if after else 0
        page = found[at : at + limit]
        return page, page[-1].id if len(found) > at + limit else ""

    def find_member(self, provider: str, user: str) -> MemberView | None:
        return self.members.get(self.identities.get((provider, user), ""))

    def tag_member(self, member: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        view = self.members[member]
        kept = [tag for tag in view.tags if tag not in remove]
        self.members[member] = replace(view, tags=tuple(dict.fromkeys([*kept, *add])))

    def record(self, event: MemberEvent) -> PointsPosted:
        if event.key in self.events:
            return PointsPosted(0, self.points.balance(event.member), replayed=True, capped=False)
        self.events[event.key] = event
        earned, capped = self.points.post(award for rule in self.rules for award in rule.propose(event))
        return PointsPosted(earned, self.points.balance(event.member), replayed=False, capped=capped)

    def results_changed(self, channel: str, ref: str) -> None:
        self.changed.append((channel, ref))


def _seal(body: str) -> str:
    return hmac.new(_KEY, body.encode(), hashlib.sha256).hexdigest()[:32]
