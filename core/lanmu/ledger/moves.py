"""What each kind of posting does inside its open transaction; every function starts by locking the member."""

from datetime import datetime, timedelta

from sqlalchemy import select

from lanmu.interfaces.events import Award
from lanmu.ledger import reading
from lanmu.ledger.lots import LotLeft, Take, give_back, take
from lanmu.ledger.models import Entry, Lot, LotMove, Tx
from lanmu.ledger.posting import Holder, Posting
from lanmu.ledger.refusals import Refused

GRACE = timedelta(days=7)
"""How long refunded points live whose lot has expired meanwhile."""


class NothingToDo(Exception):
    """The posting has become needless; it is rolled back and nothing is kept of it."""


def earn(posting: Posting, holder: Holder, award: Award, points: int) -> None:
    """Points in: first towards what the member owes, the rest into a new lot."""
    posting.enter(posting.account("issued", award.rule), -points)
    _give(posting, award.member, holder, points, award.expires_after_days)


def spend(posting: Posting, member: str, points: int) -> None:
    """Points out, from live lots. Nothing goes out while the member owes."""
    holder = posting.lock(member)
    if holder.owed:
        raise Refused("owes")
    posting.change_member(holder, -points)
    posting.take(holder, points)
    posting.enter(posting.account("spent"), points)


def adjust(posting: Posting, member: str, points: int, expires_after_days: int | None) -> None:
    """Points in or out by hand. In, they go first towards what the member owes: so the shop can waive it."""
    holder = posting.lock(member)
    if points > 0:
        _give(posting, member, holder, points, expires_after_days)
    else:
        posting.change_member(holder, points)
        posting.take(holder, -points)
    posting.enter(posting.account("adjust"), -points)


def refund(posting: Posting, member: str, spent: int, points: int) -> bool:
    """Undo a spending or a part of it. Answers whether it was a coupon's, which is void then.

    What the member owes is made up for at once: left beside the debt the points could not be spent, would
    expire, and be owed all the same. What would live on for the grace alone goes towards it first.
    """
    holder = posting.lock(member)
    session = posting.session
    tx = session.get(Tx, spent)
    if tx is None or tx.member != member or tx.kind not in ("spend", "redeem") or tx.refusal:
        raise Refused("no_such_posting")
    takes = [
        Take(lot, -delta)
        for lot, delta in session.execute(
            select(LotMove.lot_id, LotMove.delta).where(LotMove.tx_id == spent).order_by(LotMove.id)
        )
    ]
    total = sum(each.points for each in takes)
    already = reading.refunded(session, spent)
    if already + points > total or (tx.kind == "redeem" and points != total):
        raise Refused("refund_too_large")
    back = give_back(takes, already, points)
    dead = _dead(posting, [each.lot for each in back])
    posting.move([each for each in back if each.lot not in dead], +1)
    late = sum(each.points for each in back if each.lot in dead)
    repaid = min(points, -holder.owed)
    repaid_late = min(late, repaid)
    if late > repaid_late:
        posting.new_lot(holder, late - repaid_late, posting.now + GRACE)
    if repaid > repaid_late:
        posting.take(holder, repaid - repaid_late)
    if repaid:
        posting.change_owed(member, holder, repaid)
    posting.change_member(holder, points - repaid)
    taker = session.scalars(select(Entry.account_id).where(Entry.tx_id == spent, Entry.amount > 0)).one()
    posting.enter(taker, -points)
    return tx.kind == "redeem"


def reverse(posting: Posting, member: str, earned: int) -> None:
    """Take an earning back: from its own lot, then from others; the rest is owed.

    So a member who earns by an order, spends, and sends the order back, does not keep the points; and the
    account still never goes below 0. What has expired of its lot is gone already and is not taken again,
    whether or not the expiry job has come by.
    """
    holder = posting.lock(member)
    session = posting.session
    if reading.reversed_before(session, earned, besides=posting.tx_id):
        raise Refused("already_reversed")
    account, points = session.execute(
        select(Entry.account_id, -Entry.amount).where(Entry.tx_id == earned, Entry.amount < 0)
    ).one()
    left = posting.lots(holder, live_only=False)
    own = set(session.scalars(select(Lot.id).where(Lot.tx_id == earned)))
    expired = reading.expired_of(session, own)
    posting.enter(posting.account("expired"), -expired)
    owing = points - expired
    takes = [Take(lot.id, min(lot.remaining, owing)) for lot in left if lot.id in own]
    takes += take((lot for lot in left if lot.id not in own), owing - _sum(takes), posting.now)
    found = _sum(takes)
    if found:
        posting.change_member(holder, -found)
        posting.move(takes, -1)
    if owing > found:
        posting.change_owed(member, holder, found - owing)
    posting.enter(account, points)


def expire(posting: Posting, member: str, lot: int) -> None:
    """Write off what is left of a lot that has expired."""
    holder = posting.lock(member)
    left = [each for each in posting.lots(holder, live_only=False) if each.id == lot]
    if not left or left[0].live(posting.now):
        raise NothingToDo
    points = left[0].remaining
    posting.change_member(holder, -points)
    posting.move([Take(lot, points)], -1)
    posting.enter(posting.account("expired"), points)


def _give(posting: Posting, member: str, holder: Holder, points: int, days: int | None) -> None:
    """Points into a member's hands: what they owe is repaid first, the rest is a new lot."""
    repaid = min(points, -holder.owed)
    if repaid:
        posting.change_owed(member, holder, repaid)
    if points > repaid:
        posting.change_member(holder, points - repaid)
        posting.new_lot(holder, points - repaid, lives_until(posting.now, days))


def lives_until(now: datetime, days: int | None) -> datetime | None:
    """When points expire that are given now for so many days; None: never."""
    return None if days is None else now + timedelta(days=days)


def _dead(posting: Posting, lots: list[int]) -> set[int]:
    rows = posting.session.execute(select(Lot.id, Lot.original, Lot.expires_at).where(Lot.id.in_(lots)))
    return {row[0] for row in rows if not LotLeft(*row).live(posting.now)}


def _sum(takes: list[Take]) -> int:
    return sum(each.points for each in takes)
