"""积分: earning, spending, correcting and expiring of points; what a member and the shop see of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from lanmu.i18n import _
from lanmu.interfaces.clock import Clock
from lanmu.interfaces.errors import Invalid, NotFound
from lanmu.interfaces.events import Award
from lanmu.interfaces.host import CouponView, OfferView, PointsPosted, StatementLine
from lanmu.ledger import moves, reading
from lanmu.ledger.asked import check_award, check_points
from lanmu.ledger.coupons import CouponCodes
from lanmu.ledger.desk import CouponDesk
from lanmu.ledger.models import Account, Lot, Tx
from lanmu.ledger.offers import OfferShelf, void_coupon
from lanmu.ledger.posting import Asked, Poster, Posting
from lanmu.ledger.refusals import Refused
from lanmu.ledger.rules import RuleSettings, allowed
from lanmu.ledger.views import AccountLine, Flow, PostingLine, Totals
from lanmu.storage import Database

_NOTHING_EARNED = ("capped", "too_soon", "rule_off")


def nobody_listens(_staff: str, _coupon: str) -> None:
    """For a ledger on its own: who used a coupon is written down by the staff's log."""


def nobody_is_frozen(_member: str) -> bool:
    """For a ledger on its own: whether a member is frozen is known to the audience."""
    return False


class LedgerService:
    """The ledger. It satisfies `lanmu.interfaces.host.Points`.

    `pepper` (16 bytes or more, secret, and the same for ever) makes the coupon codes. `frozen` tells
    whether a member may not spend, `used` hears who used which coupon up. What the shop sets and the till
    asks is in `shelf` (offers), `desk` (coupons) and `rules`.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        pepper: bytes,
        *,
        frozen: Callable[[str], bool] = nobody_is_frozen,
        used: Callable[[str, str], None] = nobody_listens,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._clock = clock
        self._frozen = frozen
        self._used = used
        self._poster = Poster(database, clock, sleep)
        self.codes = CouponCodes(pepper)
        self.shelf = OfferShelf(database, clock, self._poster, self.codes, frozen)
        self.desk = CouponDesk(database, clock, self.codes)
        self.rules = RuleSettings(database)

    # Points in and out

    def earn(self, award: Award, *, actor: str = "rule", occurred_at: datetime | None = None) -> PointsPosted:
        """Post an award once for its key, within the caps of its rule.

        What the member owes is repaid first. To reach a cap is no error: `capped` says so, and `earned` is
        what there was left to earn, perhaps 0; on a repetition it is 0. Raises Invalid for an award that
        makes no sense, KeyReused for a key that stands for another award.
        """
        check_award(award)
        at = occurred_at or self._clock.now()

        def work(posting: Posting) -> None:
            holder = posting.lock(award.member)
            moves.earn(posting, holder, award, allowed(posting.session, award, at))

        asked = Asked(
            key=award.key,
            kind="earn",
            member=award.member,
            body={"rule": award.rule, "points": award.points, "local_date": award.local_date},
            actor=actor,
            reason=award.reason,
            rule=award.rule,
            local_date=award.local_date,
            occurred_at=at,
        )
        try:
            posted = self._poster.post(asked, work)
        except Refused as refusal:
            if refusal.code not in _NOTHING_EARNED:
                raise
            return PointsPosted(0, self.balance(award.member), refusal.replayed, capped=True)
        with self._database.read() as session:
            earned = reading.effect(session, posted.tx_id)
        return PointsPosted(
            earned=0 if posted.replayed else earned,
            balance=self.balance(award.member),
            replayed=posted.replayed,
            capped=earned < award.points,
        )

    def spend(self, member: str, points: int, key: str, *, reason: str, actor: str) -> PostingLine:
        """Spend points on something that is no coupon, once for `key`.

        Raises Refused: too_few_points, frozen, owes.
        """
        check_points(member, points)
        if self._frozen(member):
            raise Refused("frozen")
        asked = Asked(
            key=f"spend:{member}:{key}",
            kind="spend",
            member=member,
            body={"points": points},
            actor=actor,
            reason=reason,
        )
        return self._post(asked, lambda posting: moves.spend(posting, member, points))

    def redeem(self, member: str, offer: str, key: str, cost: int | None = None) -> CouponView:
        """Spend points for a coupon, once for `key`; the same key answers the same coupon with its code.

        `cost` is the price that the member was shown, where one was: another is not taken from them.
        Raises NotFound for an unknown offer, and Refused: sold_out, too_few_points, limit_reached,
        not_on_offer, changed, frozen, owes.
        """
        return self.shelf.redeem(member, offer, key, cost)

    # Corrections

    def adjust(
        self,
        member: str,
        points: int,
        key: str,
        *,
        reason: str,
        actor: str,
        expires_after_days: int | None = 365,
    ) -> PostingLine:
        """Give (+) or take (-) points by hand, once for `actor` and `key`; a reason is compulsory.

        Raises Invalid, and Refused: too_few_points.
        """
        check_points(member, abs(points), expires_after_days)
        if not reason.strip():
            raise Invalid(
                "reason", _("must not be empty."), _("Say why: the member and the auditor will read it.")
            )
        asked = Asked(
            key=f"adjust:{actor}:{key}",
            kind="adjust",
            member=member,
            body={"points": points, "reason": reason.strip()},
            actor=actor,
            reason=reason.strip(),
        )
        return self._post(asked, lambda posting: moves.adjust(posting, member, points, expires_after_days))

    def refund(self, posting: int, points: int, key: str, *, reason: str, actor: str) -> PostingLine:
        """Give back a spending, or a part of it, into the lots it was taken from, last taken first.

        Where such a lot has expired meanwhile, its points live on for `moves.GRACE`. A coupon's points go
        back as a whole and only while it is unused; it becomes void, and its piece of the offer free again.
        Raises NotFound, and Refused: no_such_posting, refund_too_large, coupon_used.
        """
        spent = self.posting(posting)
        check_points(spent.member, points)

        def work(made: Posting) -> None:
            if moves.refund(made, spent.member, posting, points):
                void_coupon(made.session, posting)

        asked = Asked(
            key=f"refund:{spent.member}:{key}",
            kind="refund",
            member=spent.member,
            body={"posting": posting, "points": points},
            actor=actor,
            reason=reason,
            ref_tx=posting,
        )
        return self._post(asked, work)

    def reverse(self, award_key: str, *, reason: str, actor: str) -> PostingLine:
        """Take an earning back as a whole, once: an order was returned. What is spent already is owed.

        While something is owed nothing can be spent, and new earnings repay it first. Raises NotFound where
        no points were earned for `award_key`.
        """
        with self._database.read() as session:
            earned = session.scalar(
                select(Tx).where(Tx.key == award_key, Tx.kind == "earn", Tx.refusal == "")
            )
        if earned is None:
            raise NotFound(
                "key",
                _("No points were earned for “%(key)s”."),
                _("Look for the posting on the points page."),
                key=award_key,
            )
        member, posting = earned.member, earned.id
        asked = Asked(
            key=f"reverse:{award_key}"[:255],
            kind="reverse",
            member=member,
            body={"posting": posting},
            actor=actor,
            reason=reason,
            ref_tx=posting,
        )
        return self._post(asked, lambda made: moves.reverse(made, member, posting))

    def expire(self, limit: int = 1000) -> int:
        """Write off expired lots, and mark expired coupons; answers how many lots. Two at once do no harm."""
        with self._database.read() as session:
            due = session.execute(
                select(Lot.id, Account.owner)
                .join(Account, Account.id == Lot.account_id)
                .where(Lot.remaining > 0, Lot.expires_at <= self._clock.now())
                .order_by(Lot.expires_at, Lot.id)
                .limit(limit)
            ).all()
        written_off = 0
        for lot, member in due:
            asked = Asked(f"expire:{lot}", "expire", member, {"lot": lot}, actor="expiry")
            try:
                posted = self._poster.post(asked, _expiring(member, lot))
            except moves.NothingToDo:
                continue
            written_off += not posted.replayed
        self.desk.expire()
        return written_off

    # A member's view

    def balance(self, member: str) -> int:
        """Points the member can spend now: what is in live lots, and nothing while they owe."""
        with self._database.read() as session:
            return reading.spendable(session, member, self._clock.now())

    def owed(self, member: str) -> int:
        """What was earned by orders that came back, and spent before: new points go towards it first."""
        with self._database.read() as session:
            return -reading.owed(session, member)

    def statement(self, member: str, limit: int = 50) -> Sequence[StatementLine]:
        """The newest lines first."""
        with self._database.read() as session:
            return reading.statement(session, member, limit)

    def offers(self, member: str) -> Sequence[OfferView]:
        """Every offer that is on, the cheapest first, with the reason where this member cannot have it."""
        return self.shelf.for_member(member)

    def coupons(self, member: str) -> Sequence[CouponView]:
        """The member's coupons, newest first, without their codes."""
        return self.desk.of_member(member)

    def coupon(self, member: str, coupon: str) -> CouponView | None:
        """One coupon of the member's, with its code while it can be used; None where it is not theirs."""
        return self.desk.one(member, coupon)

    # The till

    def look_at_coupon(self, code: str, staff: str = "") -> CouponView:
        """What the coupon of this code is worth. Raises Invalid as `use_coupon` does."""
        return self.desk.look(code, staff)

    def use_coupon(self, code: str, staff: str) -> CouponView:
        """Use a coupon up, once. Raises Invalid, in the same words whatever is wrong with the code.

        Who used it up themselves is told so.
        """
        used = self.desk.use(code, staff)
        self._used(staff, used.id)
        return used

    # The shop's view

    def posting(self, posting: int) -> PostingLine:
        """One posting by its id. Raises NotFound."""
        with self._database.read() as session:
            found = reading.lines(session, before=posting + 1, limit=1)
        if not found or found[0].id != posting:
            raise NotFound(
                "posting", _("There is no posting %(id)s."), _("Look at the list of postings."), id=posting
            )
        return found[0]

    def lines(
        self, *, member: str = "", kind: str = "", before: int | None = None, limit: int = 50
    ) -> list[PostingLine]:
        """The newest postings first; `before`: only those older than the posting with this id."""
        with self._database.read() as session:
            return reading.lines(session, member=member, kind=kind, before=before, limit=limit)

    def accounts(self, cursor: str = "", limit: int = 50) -> tuple[list[AccountLine], str]:
        """Members' accounts, the largest balance first, and the cursor of the next page ("": no more)."""
        with self._database.read() as session:
            after = _read_cursor(session, cursor) if cursor else None
            lines = reading.accounts(session, self._clock.now(), after=after, limit=limit + 1)
        last = lines[:limit][-1] if len(lines) > limit else None
        return lines[:limit], f"{last.balance}.{last.member}" if last else ""

    def balances(self, members: Sequence[str]) -> Mapping[str, int]:
        """What each of these members can spend now; 0 for those who never had points."""
        with self._database.read() as session:
            found = reading.balances(session, members, self._clock.now())
        return {member: found.get(member, 0) for member in members}

    def totals(self) -> Totals:
        """What the shop has promised to all members together."""
        with self._database.read() as session:
            return reading.totals(session)

    def flows(self, since: datetime, until: datetime) -> list[Flow]:
        """What was posted from `since` until just before `until`, by kind."""
        with self._database.read() as session:
            return reading.flows(session, since, until)

    def _post(self, asked: Asked, work: Callable[[Posting], None]) -> PostingLine:
        return self.posting(self._poster.post(asked, work).tx_id)


def _expiring(member: str, lot: int) -> Callable[[Posting], None]:
    return lambda posting: moves.expire(posting, member, lot)


def _read_cursor(session: Session, cursor: str) -> tuple[int, int]:
    balance, dot, member = cursor.partition(".")
    row = session.scalar(select(Account.id).where(Account.name == f"member:{member}"))
    if not (dot and balance.isdecimal() and row):
        raise Invalid(
            "cursor",
            _("“%(cursor)s” is not a cursor of this list."),
            _("Take it from the last page, or leave it out for the first."),
            cursor=cursor[:40],
        )
    return int(balance), row
