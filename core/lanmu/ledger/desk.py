"""核销台: coupons in members' hands, and their use at the till, once each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, or_, select, update
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Invalid
from lanmu.interfaces.host import CouponView
from lanmu.ledger.coupons import CouponCodes, normalise
from lanmu.ledger.models import Coupon, Offer
from lanmu.storage import Database


class CouponDesk:
    """The coupons of the shop."""

    def __init__(self, database: Database, clock: Clock, codes: CouponCodes) -> None:
        self._database = database
        self._clock = clock
        self._codes = codes

    def look(self, code: str, staff: str = "") -> CouponView:
        """What a coupon is worth, before `staff` uses it up. Raises Invalid as `use` does."""
        now = self._clock.now()
        hashed = self._codes.lookup(normalise(code) or "")
        with self._database.read() as session:
            found = session.execute(
                select(Coupon, Offer)
                .join(Offer, Offer.id == Coupon.offer_id)
                .where(Coupon.code_hash == hashed, *_usable(now))
            ).one_or_none()
            if found is None:
                raise _why_not(session, hashed, staff, now)
            coupon, offer = found
            return coupon_view(coupon, offer, now)

    def use(self, code: str, staff: str) -> CouponView:
        """Use a coupon up, at the till. Raises Invalid, in the same words whatever is wrong with the code.

        The words are the same, and so is the work done, for a code that is unknown, used, void or expired:
        whoever guesses learns nothing. Only who used the coupon up themselves is told so, and when: where the
        answer was lost on its way, they must know whether the member has had what it is worth.
        """
        now = self._clock.now()
        clean = normalise(code)
        # A code that fails its check costs the same one look-up as any other.
        hashed = self._codes.lookup(clean or "")
        with self._database.write() as session:
            used = session.execute(
                update(Coupon)
                .where(Coupon.code_hash == hashed, *_usable(now))
                .values(state="redeemed", used_at=now, used_by=staff)
                .execution_options(synchronize_session=False)
            )
            if cast("CursorResult[Any]", used).rowcount != 1:
                raise _why_not(session, hashed, staff, now)
            coupon, offer = session.execute(
                select(Coupon, Offer)
                .join(Offer, Offer.id == Coupon.offer_id)
                .where(Coupon.code_hash == hashed)
            ).one()
            return coupon_view(coupon, offer, now)

    def of_member(self, member: str, limit: int = 200) -> Sequence[CouponView]:
        """The member's coupons, newest first, without their codes."""
        return self._list(Coupon.member == member, limit)

    def one(self, member: str, coupon: str) -> CouponView | None:
        """One coupon of the member's, with its code while it can be used."""
        with self._database.read() as session:
            found = session.execute(
                select(Coupon, Offer)
                .join(Offer, Offer.id == Coupon.offer_id)
                .where(Coupon.public_id == coupon, Coupon.member == member)
            ).one_or_none()
            if found is None:
                return None
            row, offer = found
            return coupon_view(row, offer, self._clock.now(), self._codes.code(row.public_id))

    def latest(self, limit: int = 50) -> Sequence[CouponView]:
        """The newest coupons of all members, without their codes."""
        return self._list(Coupon.id > 0, limit)

    def unused(self, postings: Sequence[int]) -> set[int]:
        """Which of these postings paid for a coupon that nobody has used, so that it can be given back."""
        with self._database.read() as session:
            open_states = Coupon.state.in_(("issued", "expired"))
            return set(session.scalars(select(Coupon.tx_id).where(Coupon.tx_id.in_(postings), open_states)))

    def expire(self) -> int:
        """Mark the coupons whose time is over; how many. They were unusable from that instant anyway."""
        now = self._clock.now()
        with self._database.write() as session:
            ended = session.execute(
                update(Coupon)
                .where(Coupon.state == "issued", Coupon.expires_at <= now)
                .values(state="expired")
                .execution_options(synchronize_session=False)
            )
            return cast("CursorResult[Any]", ended).rowcount

    def _list(self, condition: Any, limit: int) -> Sequence[CouponView]:
        now = self._clock.now()
        with self._database.read() as session:
            rows = session.execute(
                select(Coupon, Offer)
                .join(Offer, Offer.id == Coupon.offer_id)
                .where(condition)
                .order_by(Coupon.id.desc())
                .limit(limit)
            )
            return [coupon_view(coupon, offer, now) for coupon, offer in rows]


def _usable(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return Coupon.state == "issued", or_(Coupon.expires_at.is_(None), Coupon.expires_at > now)


def _why_not(session: Session, hashed: str, staff: str, now: datetime) -> Invalid:
    used_at = session.scalar(
        select(Coupon.used_at).where(
            Coupon.code_hash == hashed, Coupon.state == "redeemed", Coupon.used_by == staff
        )
    )
    if used_at is not None:
        minutes = int((now - used_at).total_seconds() // 60)
        return Invalid(
            "code",
            _("You used this coupon up %(minutes)s minutes ago.")
            if minutes > 0
            else _("You have just used this coupon up."),
            _("It counts once: if the member has had it, do not give it again."),
            minutes=minutes,
        )
    return Invalid(
        "code",
        _("This code is not valid: it is mistyped, used or expired."),
        _("Compare it with the member's phone, character by character."),
    )


def coupon_view(coupon: Coupon, offer: Offer, now: datetime, code: str = "") -> CouponView:
    """What is shown of a coupon. Its code is shown only while it can be used."""
    state = coupon.state
    if state == "issued" and coupon.expires_at is not None and coupon.expires_at <= now:
        state = "expired"  # the job that writes it down may be late
    return CouponView(
        id=coupon.public_id,
        offer=offer.public_id,
        title=offer.title,
        detail=offer.detail,
        state=state,
        last4=coupon.last4,
        issued_at=coupon.issued_at,
        expires_at=coupon.expires_at,
        code=code if state == "issued" else "",
    )
