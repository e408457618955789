"""`verify` for the points: re-derives every kept number from the entries and names the first that is wrong.

Each check is one streaming query over one consistent view of the books, and changes nothing. The numbers
are those of the ledger's list of invariants; I11 to I14, about pushes, are delivery's, I16 is the storage's.
I9 (holds) is not here because there is nothing to check: points are never put aside.
"""

from collections.abc import Iterable

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    case,
    cast,
    distinct,
    exists,
    func,
    not_,
    select,
)
from sqlalchemy.orm import Session, aliased

from lanmu.i18n import _
from lanmu.ledger.coupons import CouponCodes
from lanmu.ledger.fifo import order_faults
from lanmu.ledger.models import Account, Coupon, Entry, Lot, LotMove, Offer, Seal, Tx
from lanmu.ledger.seal import START, documents, link
from lanmu.storage import Database
from lanmu.storage.checking import Check, Look, Looked, run_checks, stream

_BATCH = 500
_WITH_COUPON = "redeem"
_MOVES_LOTS = ("spend", "redeem", "adjust", "expire", "refund", "reverse")


def verify(database: Database, codes: CouponCodes | None = None) -> Iterable[Check]:
    """Check the whole ledger, one answer after the other; stops each check at its first wrong row.

    With the server's `codes` also whether the coupons can be used: a code is kept by its hash alone.
    """
    with_codes = (("I17", _CODES, _codes(codes)),) if codes else ()
    return run_checks(database, (*_CHECKS, *with_codes), {"I17": _KEY_CHANGED})


def _balanced(session: Session) -> Looked:
    sums = select(Entry.tx_id, _sum(Entry.amount)).group_by(Entry.tx_id).order_by(Entry.tx_id)
    for tx, total in stream(session, sums):
        yield None if total == 0 else f"posting {tx}: its entries add up to {total}"


def _balances(session: Session) -> Looked:
    derived = (
        select(Account.name, Account.kind, Account.balance, _sum(Entry.amount))
        .outerjoin(Entry, Entry.account_id == Account.id)
        .where(Account.kind.in_(("member", "owed")))
        .group_by(Account.id)
        .order_by(Account.id)
    )
    for name, kind, kept, entries in stream(session, derived):
        if kept is None:
            yield f"account {name}: keeps no balance, its entries add up to {entries}"
            continue
        wrong_side = kept < 0 if kind == "member" else kept > 0
        if kept != entries:
            yield f"account {name}: keeps {kept}, its entries add up to {entries}"
        else:
            yield f"account {name}: {kept} is on the wrong side of 0" if wrong_side else None
    # An account of another kind than its name tells is nobody's: its balance is kept and counted no more.
    meant = case((Account.owner == "", Account.kind), else_=Account.kind + ":" + Account.owner)
    misnamed = select(Account.name, Account.kind, Account.owner).where(Account.name != meant)
    for name, kind, owner in stream(session, misnamed.order_by(Account.id)):
        yield f"account {name}: is kept as one of the kind {kind} of {owner or 'the shop'}"


def _lots(session: Session) -> Looked:
    derived = (
        select(Lot.id, Lot.original, Lot.remaining, _sum(LotMove.delta))
        .outerjoin(LotMove, LotMove.lot_id == Lot.id)
        .group_by(Lot.id)
        .order_by(Lot.id)
    )
    for lot, original, remaining, moved in stream(session, derived):
        right = remaining == original + moved and 0 <= remaining <= original
        yield None if right else f"lot {lot}: keeps {remaining} of {original}, its moves add up to {moved}"


def _lots_of_members(session: Session) -> Looked:
    in_lots = (
        select(_sum(Lot.remaining)).where(Lot.account_id == Account.id).correlate(Account).scalar_subquery()
    )
    members = (
        select(Account.name, Account.balance, in_lots).where(Account.kind == "member").order_by(Account.id)
    )
    for name, balance, lots in stream(session, members):
        yield None if balance == lots else f"account {name}: keeps {balance}, its lots hold {lots}"


def _lot_moves(session: Session) -> Looked:
    moves = (
        select(LotMove.id, LotMove.lot_id, Tx.id, Tx.kind, Tx.refusal, Tx.member, Account.owner)
        .join(Lot, Lot.id == LotMove.lot_id)
        .join(Account, Account.id == Lot.account_id)
        .outerjoin(Tx, Tx.id == LotMove.tx_id)
        .order_by(LotMove.id)
    )
    for move, lot, tx, kind, refusal, member, owner in stream(session, moves):
        if tx is None or refusal or kind not in _MOVES_LOTS:
            yield f"lot move {move}: posting {tx} ({kind}) may not move lots"
        elif member != owner:
            yield f"lot move {move}: posting {tx} of {member} moves lot {lot} of {owner}"
        else:
            yield None
    yield from order_faults(session)


def _refunds(session: Session) -> Looked:
    refund, spent = aliased(Tx), aliased(Tx)
    of_members = and_(Entry.account_id == Account.id, Account.kind.in_(("member", "owed")))
    back = (
        select(refund.ref_tx, _sum(Entry.amount).label("points"))
        .join(Entry, Entry.tx_id == refund.id)
        .join(Account, of_members)
        .where(refund.kind == "refund", refund.refusal == "")
        .group_by(refund.ref_tx)
        .subquery()
    )
    query = (
        select(spent.id, back.c.points, _sum(-Entry.amount))
        .join(back, back.c.ref_tx == spent.id)
        .join(Entry, Entry.tx_id == spent.id)
        .join(Account, of_members)
        .group_by(spent.id, back.c.points)
        .order_by(spent.id)
    )
    for tx, refunded, cost in stream(session, query):
        yield None if refunded <= cost else f"posting {tx}: spent {cost}, refunded {refunded}"
    twice = (
        select(Tx.ref_tx, func.count())
        .where(Tx.kind == "reverse", Tx.refusal == "")
        .group_by(Tx.ref_tx)
        .order_by(Tx.ref_tx)
    )
    for tx, times in stream(session, twice):
        yield None if times == 1 else f"posting {tx}: taken back {times} times"


def _offers(session: Session) -> Looked:
    in_force = case((Coupon.state != "void", 1))
    query = (
        select(Offer.public_id, Offer.issued, Offer.cap, func.count(in_force))
        .outerjoin(Coupon, Coupon.offer_id == Offer.id)
        .group_by(Offer.id)
        .order_by(Offer.id)
    )
    for offer, issued, cap, coupons in stream(session, query):
        if issued != coupons:
            yield f"offer {offer}: counts {issued} issued, {coupons} coupons are in force"
        else:
            yield f"offer {offer}: {issued} issued of {cap}" if cap is not None and issued > cap else None
    over = (
        select(Offer.public_id, Coupon.member, func.count(), Offer.per_member)
        .join(Coupon, Coupon.offer_id == Offer.id)
        .where(Coupon.state != "void", Offer.per_member.is_not(None))
        .group_by(Offer.id, Coupon.member)
        .order_by(Offer.id, Coupon.member)
    )
    for offer, member, held, most in stream(session, over):
        yield None if held <= most else f"offer {offer}: {member} holds {held}, at most {most} are allowed"


def _coupons(session: Session) -> Looked:
    refund = aliased(Tx)
    refunded = exists().where(refund.ref_tx == Tx.id, refund.kind == "refund", refund.refusal == "")
    query = (
        select(Coupon, Tx.id, Tx.kind, Tx.member, Tx.refusal, Tx.reference, Offer.public_id, refunded)
        .join(Offer, Offer.id == Coupon.offer_id)
        .outerjoin(Tx, Tx.id == Coupon.tx_id)
        .order_by(Coupon.id)
    )
    for coupon, tx, kind, payer, refusal, bought, offer, given_back in stream(session, query):
        paid = tx is not None and kind == _WITH_COUPON and not refusal
        if not (paid and payer == coupon.member and bought == offer):
            yield f"coupon {coupon.public_id}: posting {tx} does not pay for it"
        elif given_back != (coupon.state == "void"):
            became = "was given back" if given_back else "was not given back"
            yield f"coupon {coupon.public_id}: is {coupon.state}, and posting {tx} {became}"
        elif (coupon.used_at is not None) != (coupon.state == "redeemed"):
            used = f"used at {coupon.used_at}" if coupon.used_at else "used at no time"
            yield f"coupon {coupon.public_id}: is {coupon.state}, and {used}"
        else:
            yield None
    alone = (
        select(Tx.id)
        .where(Tx.kind == _WITH_COUPON, Tx.refusal == "", not_(exists().where(Coupon.tx_id == Tx.id)))
        .order_by(Tx.id)
    )
    for (tx,) in stream(session, alone):
        yield f"posting {tx}: paid for a coupon that does not exist"


def _codes(codes: CouponCodes) -> Look:
    def look(session: Session) -> Looked:
        query = select(Coupon.public_id, Coupon.code_hash, Coupon.last4).order_by(Coupon.id)
        for coupon, hashed, last4 in stream(session, query):
            code = codes.code(coupon)
            right = hashed == codes.lookup(code) and last4 == code[-4:]
            yield None if right else f"coupon {coupon}: is not kept under the code that its member is shown"

    return look


def _chain(session: Session) -> Looked:
    prev, last = START, 0
    while True:
        seals = session.execute(
            select(Seal, Tx)
            .outerjoin(Tx, Tx.id == Seal.tx_id)
            .where(Seal.id > last)
            .order_by(Seal.id)
            .limit(_BATCH)
        ).all()
        if not seals:
            return
        present = [tx for _seal, tx in seals if tx is not None]
        texts = {tx.id: text for tx, text in documents(session, present)}
        for seal, tx in seals:
            last += 1
            if seal.id != last:
                yield f"link {last} of the chain is missing"
            if tx is None:
                yield f"link {seal.id}: posting {seal.tx_id} is missing"
            prev = link(prev, texts[tx.id])
            yield None if prev == seal.hash else f"posting {tx.id}: differs from what link {seal.id} sealed"
        session.expunge_all()


def _keys(session: Session) -> Looked:
    entries = select(func.count()).where(Entry.tx_id == Tx.id).correlate(Tx).scalar_subquery()
    others = (
        select(func.count(distinct(Account.owner)))
        .select_from(Entry)
        .join(Account, Account.id == Entry.account_id)
        .where(Entry.tx_id == Tx.id, Account.kind.in_(("member", "owed")), Account.owner != Tx.member)
        .correlate(Tx)
        .scalar_subquery()
    )
    query = select(Tx.id, Tx.key, Tx.refusal, Tx.request_hash, entries, others).order_by(Tx.id)
    for tx, key, refusal, request, lines, strangers in stream(session, query):
        if len(request) != 64:
            yield f"posting {tx} ({key}): its request's hash is damaged"
        elif refusal and lines:
            yield f"posting {tx} ({key}): was refused, and has {lines} entries"
        elif not refusal and lines < 2:
            yield f"posting {tx} ({key}): has {lines} entries"
        else:
            yield f"posting {tx} ({key}): touches another member" if strangers else None


def _sum(column: object) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(column), 0), BigInteger)


_CODES = _("Every coupon is kept under the code that its member is shown")
_KEY_CHANGED = _(
    "If server.secret_key was changed, or left out of config.toml, put the former one back: no till takes "
    "the codes of before without it. Otherwise give the member the points back by hand."
)

_CHECKS: tuple[tuple[str, str, Look], ...] = (
    ("I1", _("The entries of every posting add up to nothing"), _balanced),
    ("I2", _("Every balance is the sum of its entries, and on its side of 0"), _balances),
    ("I3", _("Every lot holds what it began with and its moves left"), _lots),
    ("I4", _("Every member's lots hold the member's balance"), _lots_of_members),
    ("I5", _("Lots move by postings of their member, and first to expire goes first"), _lot_moves),
    ("I6", _("No more is refunded than was spent, and nothing is taken back twice"), _refunds),
    ("I7", _("Every offer counts its coupons, within its cap and its limit"), _offers),
    ("I8", _("Every coupon is paid for once, and every payment has its coupon"), _coupons),
    ("I10", _("The chain of hashes fits the postings"), _chain),
    ("I15", _("Every key stands for one whole posting, or for a refusal without entries"), _keys),
)
