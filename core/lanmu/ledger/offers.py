"""兑换项: what points buy, and the redeeming of it, which never sells more than there is."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, and_, func, or_, select, update
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Faults, Invalid, LanmuError, NotFound
from lanmu.interfaces.host import CouponView, OfferView
from lanmu.ledger import reading
from lanmu.ledger.coupons import CouponCodes
from lanmu.ledger.desk import coupon_view
from lanmu.ledger.models import Coupon
from lanmu.ledger.models import Offer as OfferRow
from lanmu.ledger.posting import MOST_POINTS, Asked, Poster, Posting
from lanmu.ledger.refusals import Refused
from lanmu.ledger.views import Offer
from lanmu.storage import Database

MOST_PIECES = 10_000_000


class OfferShelf:
    """The offers of the shop."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        poster: Poster,
        codes: CouponCodes,
        frozen: Callable[[str], bool],
    ) -> None:
        self._database = database
        self._clock = clock
        self._poster = poster
        self._codes = codes
        self._frozen = frozen

    # The shop's side

    def create(
        self,
        title: str,
        cost: int,
        *,
        detail: str = "",
        cap: int | None = None,
        per_member: int | None = None,
        coupon_days: int | None = 30,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
        active: bool = True,
    ) -> Offer:
        """Put an offer on the shelf. Raises Faults naming every field at fault."""
        now = self._clock.now()
        wanted = Offer(
            id=OfferRow.fresh_id(),
            title=title.strip(),
            detail=detail.strip(),
            cost=cost,
            cap=cap,
            issued=0,
            per_member=per_member,
            coupon_days=coupon_days,
            starts_at=starts_at,
            ends_at=ends_at,
            active=active,
            created_at=now,
        )
        _check(wanted)
        with self._database.write() as session:
            row = OfferRow(public_id=wanted.id, issued=0, created_at=now)
            _fill(row, wanted)
            session.add(row)
        return wanted

    def edit(self, offer: str, **changes: Any) -> Offer:
        """Change an offer's fields, named as in `create`. Raises NotFound and Faults.

        The cap cannot go below what is sold, nor the limit below what some member holds already.
        """
        unknown = set(changes) - _EDITABLE
        if unknown:
            raise TypeError(f"an offer has no such field to edit: {', '.join(sorted(unknown))}")
        with self._database.write() as session:
            row = session.scalar(select(OfferRow).where(OfferRow.public_id == offer).with_for_update())
            if row is None:
                raise _no_such(offer)
            wanted = replace(_offer(row), **changes)
            _check(wanted, _most_held(session, row.id))
            _fill(row, wanted)
        return wanted

    def get(self, offer: str) -> Offer:
        """Raises NotFound."""
        with self._database.read() as session:
            row = session.scalar(select(OfferRow).where(OfferRow.public_id == offer))
            if row is None:
                raise _no_such(offer)
            return _offer(row)

    def all(self) -> list[Offer]:
        """Every offer, those that are on first, then the newest."""
        with self._database.read() as session:
            rows = session.scalars(select(OfferRow).order_by(OfferRow.active.desc(), OfferRow.id.desc()))
            return [_offer(row) for row in rows]

    # The member's side

    def for_member(self, member: str) -> Sequence[OfferView]:
        """The offers that are on now, the cheapest first, each with the reason why not, if any."""
        now = self._clock.now()
        frozen = self._frozen(member)
        with self._database.read() as session:
            points = reading.spendable(session, member, now)
            owes = reading.owed(session, member) < 0
            held = dict(
                session.execute(
                    select(Coupon.offer_id, func.count())
                    .where(Coupon.member == member, Coupon.state != "void")
                    .group_by(Coupon.offer_id)
                ).all()
            )
            rows = session.scalars(
                select(OfferRow).where(_on(now)).order_by(OfferRow.cost, OfferRow.id)
            ).all()
        views = []
        for row in rows:
            offer = _offer(row)
            reason = ""
            if offer.left is not None and offer.left <= 0:
                reason = "sold_out"
            elif offer.per_member is not None and held.get(row.id, 0) >= offer.per_member:
                reason = "limit_reached"
            elif frozen:
                reason = "frozen"
            elif owes:
                reason = "owes"
            elif points < offer.cost:
                reason = "too_few_points"
            views.append(
                OfferView(
                    id=offer.id,
                    title=offer.title,
                    detail=offer.detail,
                    cost=offer.cost,
                    left=offer.left,
                    ends_at=offer.ends_at,
                    why_not=Refused(reason).fault if reason else "",
                    short=offer.cost - points if reason == "too_few_points" else 0,
                )
            )
        return views

    def redeem(self, member: str, offer: str, key: str, cost: int | None = None) -> CouponView:
        """See `LedgerService.redeem`."""
        wanted = self.get(offer)
        if self._frozen(member):
            raise Refused("frozen")
        asked = Asked(
            key=f"redeem:{member}:{key}",
            kind="redeem",
            member=member,
            body={"offer": offer},
            actor=f"member:{member}",
            reason=wanted.title,
            reference=offer,
        )
        posted = self._poster.post(asked, lambda posting: self._redeem(posting, member, offer, cost))
        with self._database.read() as session:
            coupon, row = session.execute(
                select(Coupon, OfferRow)
                .join(OfferRow, OfferRow.id == Coupon.offer_id)
                .where(Coupon.tx_id == posted.tx_id)
            ).one()
            return coupon_view(coupon, row, self._clock.now(), self._codes.code(coupon.public_id))

    def _redeem(self, posting: Posting, member: str, offer: str, cost: int | None) -> None:
        session, now = posting.session, posting.now
        row = session.scalars(select(OfferRow).where(OfferRow.public_id == offer)).one()
        if cost is not None and row.cost != cost:
            raise Refused("changed")
        holder = posting.lock(member)
        if holder.owed:
            raise Refused("owes")
        if row.per_member is not None and _held(session, row.id, member) >= row.per_member:
            raise Refused("limit_reached")
        posting.change_member(holder, -row.cost)
        sold = session.execute(
            update(OfferRow)
            .where(
                OfferRow.id == row.id,
                OfferRow.cost == row.cost,
                or_(OfferRow.cap.is_(None), OfferRow.issued < OfferRow.cap),
                _on(now),
            )
            .values(issued=OfferRow.issued + 1)
            .execution_options(synchronize_session=False)
        )
        if not cast("CursorResult[Any]", sold).rowcount:
            raise self._why_unsold(session, row, now)
        posting.take(holder, row.cost)
        posting.enter(posting.account("redeemed", offer), row.cost)
        public_id = Coupon.fresh_id()
        code = self._codes.code(public_id)
        days = row.coupon_days
        session.add(
            Coupon(
                public_id=public_id,
                offer_id=row.id,
                member=member,
                tx_id=posting.tx_id,
                code_hash=self._codes.lookup(code),
                last4=code[-4:],
                state="issued",
                issued_at=now,
                expires_at=None if days is None else now + timedelta(days=days),
            )
        )
        session.flush()

    @staticmethod
    def _why_unsold(session: Session, row: OfferRow, now: datetime) -> Refused:
        cost = row.cost
        session.refresh(row)
        if row.cap is not None and row.issued >= row.cap:
            return Refused("sold_out")
        return Refused("changed" if row.cost != cost else "not_on_offer")


def void_coupon(session: Session, tx_id: int) -> None:
    """Make the coupon of a redeeming void and its piece free again. Raises Refused where it was used."""
    voided = session.execute(
        update(Coupon)
        .where(Coupon.tx_id == tx_id, Coupon.state.in_(("issued", "expired")))
        .values(state="void")
        .returning(Coupon.offer_id)
    ).scalar_one_or_none()
    if voided is None:
        raise Refused("coupon_used")
    session.execute(update(OfferRow).where(OfferRow.id == voided).values(issued=OfferRow.issued - 1))


_EDITABLE = {
    "title",
    "detail",
    "cost",
    "cap",
    "per_member",
    "coupon_days",
    "starts_at",
    "ends_at",
    "active",
}


def _on(now: datetime) -> Any:
    return and_(
        OfferRow.active.is_(True),
        or_(OfferRow.starts_at.is_(None), OfferRow.starts_at <= now),
        or_(OfferRow.ends_at.is_(None), OfferRow.ends_at > now),
    )


def _held(session: Session, offer: int, member: str) -> int:
    return (
        session.scalar(
            select(func.count()).where(
                Coupon.offer_id == offer, Coupon.member == member, Coupon.state != "void"
            )
        )
        or 0
    )


def _most_held(session: Session, offer: int) -> int:
    counts = (
        select(func.count().label("held"))
        .where(Coupon.offer_id == offer, Coupon.state != "void")
        .group_by(Coupon.member)
        .subquery()
    )
    return session.scalar(select(func.max(counts.c.held))) or 0


def _fill(row: OfferRow, offer: Offer) -> None:
    for name in _EDITABLE:
        setattr(row, name, getattr(offer, name))


def _offer(row: OfferRow) -> Offer:
    return Offer(
        id=row.public_id,
        title=row.title,
        detail=row.detail,
        cost=row.cost,
        cap=row.cap,
        issued=row.issued,
        per_member=row.per_member,
        coupon_days=row.coupon_days,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        active=row.active,
        created_at=row.created_at,
    )


def _check(offer: Offer, most_held: int = 0) -> None:
    faults: list[LanmuError] = []
    if not offer.title:
        faults.append(Invalid("title", _("must not be empty."), _("Say what the member gets.")))
    if len(offer.title) > 100:
        faults.append(
            Invalid("title", _("is longer than 100 characters."), _("Move the rest to the detail."))
        )
    if not 1 <= offer.cost <= MOST_POINTS:
        faults.append(_out_of_range("cost", offer.cost, 1, MOST_POINTS))
    if offer.cap is not None and not 0 <= offer.cap <= MOST_PIECES:
        faults.append(_out_of_range("cap", offer.cap, 0, MOST_PIECES))
    elif offer.cap is not None and offer.cap < offer.issued:
        faults.append(
            Invalid(
                "cap",
                _("is below the %(issued)s that members have already."),
                _("Switch the offer off to sell no more."),
                issued=offer.issued,
            )
        )
    if offer.per_member is not None and offer.per_member < max(1, most_held):
        faults.append(_out_of_range("per_member", offer.per_member, max(1, most_held), MOST_PIECES))
    if offer.coupon_days is not None and not 1 <= offer.coupon_days <= 3650:
        faults.append(_out_of_range("coupon_days", offer.coupon_days, 1, 3650))
    if offer.starts_at and offer.ends_at and offer.ends_at <= offer.starts_at:
        faults.append(Invalid("ends_at", _("is not after the start."), _("Choose a later end.")))
    if faults:
        raise Faults(faults)


def _out_of_range(place: str, value: int, low: int, high: int) -> Invalid:
    return Invalid(
        place,
        _("%(value)s is not between %(low)s and %(high)s."),
        _("Write a whole number in this range."),
        value=value,
        low=low,
        high=high,
    )


def _no_such(offer: str) -> NotFound:
    return NotFound("offer", _("There is no offer %(offer)s."), _("Look at the list of offers."), offer=offer)
